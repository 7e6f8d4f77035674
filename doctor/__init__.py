"""What this machine has, and what is wrong with a store, a model or embeddings."""
