"""What is trained on: labeled rows of a store, in memory or streamed, and the order an epoch takes them in."""
