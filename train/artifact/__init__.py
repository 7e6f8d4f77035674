"""The model folder: its files, their digests and its card."""
