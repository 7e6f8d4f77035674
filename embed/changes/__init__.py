"""What changed in embeddings since it was last said, as a file for databases."""
