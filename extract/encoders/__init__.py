"""Frozen encoders: images and texts to vectors. One file a family; `registry.py` turns a name into an encoder."""

from huse.extract.encoders.protocol import FittedEncoder, ImageEncoder, State, TextEncoder
from huse.extract.encoders.registry import image_encoder, text_encoder

__all__ = ["FittedEncoder", "ImageEncoder", "State", "TextEncoder", "image_encoder", "text_encoder"]
