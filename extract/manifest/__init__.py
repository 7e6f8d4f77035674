"""A table or a folder becomes checked rows, and rows become a plan of shards."""
