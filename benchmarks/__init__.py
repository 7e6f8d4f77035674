"""Measurements that anyone can rerun; each prints a table, and one JSON object with --json."""
