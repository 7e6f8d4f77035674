"""Stage 1: rows of a manifest become frozen vectors in a store."""
