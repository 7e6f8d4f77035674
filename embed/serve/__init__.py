"""The trained model as a local page and a JSON API."""
