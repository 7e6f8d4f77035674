"""Which arithmetic an encoder runs in. It changes speed, and values by less than the stored type resolves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRECISIONS = ("auto", "float32", "bfloat16", "float16")

NATIVE_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}
"""Flags of processors with arithmetic in bfloat16; one of them is enough."""

AMX = {"amx_tile", "amx_bf16"}
"""Flags of processors that multiply matrices of bfloat16 in hardware of their own."""


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

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capabilities = [
            tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus
        ]
        return bool(min(capabilities) >= (8, 0))  # NVIDIA Ampere and later
    return bool(cpu_flags() & NATIVE_BFLOAT16)


def cpu_flags() -> set[str]:
    """What this machine's processor can do, as Linux names it; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no such file outside Linux: float32 is always right
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}
