"""Which type the matrix products of a fit have: a function of the hardware and the configuration alone."""

from __future__ import annotations

from dataclasses import replace

from huse.features.processor import multiplies_bfloat16
from huse.train.config import FitConfig


def arithmetic(precision: str) -> str:
    """The type of a precision; ``auto`` is bfloat16 where the processor or every GPU has it natively, else float32."""
    if precision != "auto":
        return precision
    import tensorflow as tf

    return "bfloat16" if multiplies_bfloat16(tf.config) else "float32"


def resolved(config: FitConfig) -> FitConfig:
    """A configuration that says which precision ``auto`` is here."""
    return replace(config, precision=arithmetic(config.precision))
