"""The bytes of an image become the pixels that an encoder takes."""
