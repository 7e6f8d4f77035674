"""Features from elsewhere into a store, and stores into other files, into one or into several."""
