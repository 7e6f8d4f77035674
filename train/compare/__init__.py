"""Experiments: every objective on the same features, as the paper's tables show them."""
