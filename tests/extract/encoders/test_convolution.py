"""Both ways to a convolution against plain loops and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from huse.extract.encoders import convolution, vgg16
from huse.extract.encoders.arithmetic import Processor
from huse.extract.encoders.convolution import Layer
from huse.extract.run_encoders import Encoders
from huse.features.processor import NATIVE_BFLOAT16


def plain(x: NDArray[np.float64], kernel: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((*x.shape[:3], len(bias))) + bias
    for i in range(3):
        for j in range(3):
            out += padded[:, i : i + height, j : j + width] @ kernel[i, j]
    return np.maximum(out, 0)


@pytest.mark.parametrize("way", [convolution.direct, convolution.winograd])
@pytest.mark.parametrize("height", [4, 7, 14])
def test_equals_plain_sums(way: object, height: int) -> None:
    rng = np.random.default_rng(height)
    x, kernel, bias = rng.normal(size=(2, height, 6, 5)), rng.normal(size=(3, 3, 5, 3)), rng.normal(size=3)
    layer: Layer = way(kernel.astype(np.float32), bias.astype(np.float32), tf.float32)  # type: ignore[operator]
    np.testing.assert_allclose(layer(tf.constant(x, tf.float32)), plain(x, kernel, bias), atol=1e-4)


INTEL = {"fma", "avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"}
PROCESSORS = {
    "AMX": INTEL,
    "AMX tiles that multiply integers alone": INTEL - {"amx_bf16"},
    "AVX-512 with bfloat16": INTEL - {"amx_tile", "amx_bf16", "amx_int8"},
    "ARM": {"asimd", "bf16", "sve"},
    "old": {"sse4_2", "avx"},
    "unknown": set(),
}


@pytest.mark.parametrize("name", list(PROCESSORS))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_way_follows_from_flags_and_arithmetic_alone(name: str, dtype: str) -> None:
    fast = {"float32": True, "bfloat16": name != "AMX", "float16": False}[dtype]
    assert convolution.winograd_is_faster(dtype, PROCESSORS[name]) is fast
    assert convolution.winograd_is_faster(dtype, sorted(PROCESSORS[name])) is fast


@pytest.mark.parametrize(
    ("precision", "flags", "block"),
    [
        ("bfloat16", "AMX", 1),
        ("float32", "AMX", vgg16.BLOCK),
        ("auto", "AMX", 1),
        ("auto", "AVX-512 with bfloat16", vgg16.BLOCK),
        ("auto", "old", vgg16.BLOCK),
        ("float16", "old", 1),
    ],
)
def test_batches_are_multiples_of_what_the_chosen_way_takes(precision: str, flags: str, block: int) -> None:
    its = frozenset(PROCESSORS[flags])
    processor = Processor(its, gpu=False, native_bfloat16=bool(its & NATIVE_BFLOAT16))
    encoder = vgg16.VGG16Encoder(precision=precision, processor=processor)
    assert encoder.block == block
    for wanted in (1, 16, 33):
        assert Encoders(encoder).batch_size(wanted) == -(-wanted // block) * block


def test_whoever_measures_may_choose_the_way() -> None:
    assert vgg16.VGG16Encoder(precision="bfloat16", winograd=True).block == vgg16.BLOCK
    assert vgg16.VGG16Encoder(precision="float32", winograd=False).block == 1
