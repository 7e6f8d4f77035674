"""The space and its rows as images and pages."""
