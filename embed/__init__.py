"""The trained towers at work: embed, search, draw."""
