"""Models and embeddings as files of other programs."""
