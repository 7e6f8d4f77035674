"""Where the shards of a plan are filled: in this process, or by the workers of a Ray cluster."""
