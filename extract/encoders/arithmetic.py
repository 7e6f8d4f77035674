"""The arithmetic that several machines can do alike: equal bytes need equal arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huse.extract.encoders.convolution import winograd_is_faster
from huse.extract.encoders.precision import has_native_bfloat16
from huse.features.processor import NATIVE_BFLOAT16, cpu_flags


@dataclass(frozen=True)
class Processor:
    """What a machine would encode images on.

    Attributes:
        flags: of its processor, see `cpu_flags`.
        gpu: whether it would be GPUs.
        native_bfloat16: whether matrix products in bfloat16 run in hardware there.
    """

    flags: frozenset[str]
    gpu: bool
    native_bfloat16: bool

    @classmethod
    def here(cls, gpu: bool) -> Processor:
        """That of this machine; TensorFlow is asked for GPUs only."""
        flags = frozenset(cpu_flags())
        return cls(flags, gpu, has_native_bfloat16() if gpu else bool(flags & NATIVE_BFLOAT16))


@dataclass(frozen=True)
class Arithmetic:
    """How images are encoded, the same on all machines of a run.

    Attributes:
        precision: ``float32``, ``bfloat16`` or ``float16``.
        winograd: whether convolutions go by Winograd's algorithm where an encoder has it.
    """

    precision: str
    winograd: bool


def common_arithmetic(precision: str, processors: Sequence[Processor]) -> Arithmetic:
    """What all of some processors can do, and what is fast on what they have in common.

    Args:
        precision: as asked for; ``auto`` is bfloat16 where all have it natively, else float32.
        processors: at least one.
    """
    if precision == "auto":
        precision = "bfloat16" if all(processor.native_bfloat16 for processor in processors) else "float32"
    flags = frozenset.intersection(*(processor.flags for processor in processors))
    on_gpu = any(processor.gpu for processor in processors)
    return Arithmetic(precision, not on_gpu and winograd_is_faster(precision, flags))
