"""Which arithmetic an encoder runs in. It changes speed, and values by less than the stored type resolves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from huse.features.processor import multiplies_bfloat16

PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def arithmetic(precision: str) -> str:
    """The type of a precision; ``auto`` is bfloat16 where the processor or every GPU has it natively, else float32."""
    if precision == "auto":
        return "bfloat16" if has_native_bfloat16() else "float32"
    return precision


def keras_dtype(precision: str) -> str:
    """The Keras dtype policy of a precision."""
    dtype = arithmetic(precision)
    return dtype if dtype == "float32" else f"mixed_{dtype}"


@contextmanager
def under_policy(dtype: str) -> Iterator[None]:
    """Layers made meanwhile have this Keras dtype policy."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_native_bfloat16() -> bool:
    """True when matrix products in bfloat16 run in hardware on what TensorFlow would use here."""
    import tensorflow as tf

    return multiplies_bfloat16(tf.config)
