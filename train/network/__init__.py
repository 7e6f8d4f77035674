"""The towers that end in one space, and how rows run through them."""
