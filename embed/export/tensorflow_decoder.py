"""`decode_image` of stage 1 as TensorFlow operations, pixel for pixel, for models that take the bytes of an image.

It reads what TensorFlow reads (JPEG, PNG, GIF, BMP). It does not turn images by their EXIF orientation, and reads
16-bit PNG and CMYK JPEG in TensorFlow's way; stage 1 has its own.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from huse.extract.images.decoding import ENOUGH

BITS = 22
"""Pillow resizes by integers: weights have so many bits behind the point, and each pass rounds to 8 bits."""

JPEG = b"\xff\xd8\xff"


def decode(data: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Bytes of one image () to (height, width, 3) uint8 RGB, transparent parts over white."""
    is_jpeg = tf.strings.substr(data, 0, 3) == JPEG
    pixels = tf.cond(is_jpeg, lambda: _decode_jpeg(data, max(size)), lambda: _decode_other(data))
    pixels.set_shape((None, None, 3))
    return resize(pixels, size)


def resize(pixels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """(h, w, 3) uint8 to (height, width, 3) uint8 by Pillow's bilinear filter with antialiasing."""
    wide = tf.cast(pixels, tf.int32)
    across = _pass(tf.transpose(wide, (1, 0, 2)), size[1])
    return tf.cast(_pass(tf.transpose(across, (1, 0, 2)), size[0]), tf.uint8)


def _pass(pixels: tf.Tensor, out: int) -> tf.Tensor:
    """(n, m, 3) int32 to (out, m, 3): every output row is a weighted mean of input rows, rounded to 8 bits."""
    shape = tf.shape(pixels)
    flat = tf.reshape(pixels, (shape[0], -1))
    total = tf.matmul(_weights(shape[0], out), flat) + (1 << (BITS - 1))
    return tf.reshape(tf.clip_by_value(tf.bitwise.right_shift(total, BITS), 0, 255), (out, -1, 3))


def _weights(n: tf.Tensor, out: int) -> tf.Tensor:
    """(out, n) int32 weights of a triangle filter, as wide as the step between output pixels but at least 2 pixels."""
    step = tf.cast(n, tf.float64) / out
    support = tf.maximum(step, 1.0)
    center = (tf.range(out, dtype=tf.float64) + 0.5) * step
    first = tf.floor(tf.maximum(center - support + 0.5, 0.0))
    last = tf.floor(tf.minimum(center + support + 0.5, tf.cast(n, tf.float64)))
    at = tf.range(tf.cast(n, tf.float64), dtype=tf.float64)
    distance = tf.abs(at[None, :] - center[:, None] + 0.5) / support
    inside = (at[None, :] >= first[:, None]) & (at[None, :] < last[:, None])
    weights = tf.where(inside, tf.maximum(1.0 - distance, 0.0), 0.0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.cast(tf.floor(weights * (1 << BITS) + 0.5), tf.int32)


def _decode_jpeg(data: tf.Tensor, side: int) -> tf.Tensor:
    """Decodes at 1/1, 1/2, 1/4 or 1/8 scale, whatever is smallest and still `ENOUGH` times the wanted side."""
    shape = tf.io.extract_jpeg_shape(data)
    room = tf.minimum(shape[0], shape[1]) // (ENOUGH * side)
    level = tf.where(room >= 8, 3, tf.where(room >= 4, 2, tf.where(room >= 2, 1, 0)))
    accurate: Any = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}
    branches = [lambda r=1 << i: tf.io.decode_jpeg(data, ratio=r, **accurate) for i in range(4)]
    return tf.switch_case(level, branches)


def _decode_other(data: tf.Tensor) -> tf.Tensor:
    rgba = tf.cast(tf.io.decode_image(data, channels=4, expand_animations=False), tf.int32)
    rgba = tf.ensure_shape(rgba, (None, None, 4))
    alpha = rgba[..., 3:] * 128
    mixed = rgba[..., :3] * alpha + 255 * (255 * 128 - alpha) + (128 << 7)
    shown = tf.bitwise.right_shift(tf.bitwise.right_shift(mixed, 8) + mixed, 15)
    return tf.cast(shown, tf.uint8)
