"""Files and folders that are there whole or not at all, locked while they are written."""
