"""The nearest rows of embeddings, exactly or by an index."""
