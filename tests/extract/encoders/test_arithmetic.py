import pytest

from huse.extract.encoders.arithmetic import Arithmetic, Processor, common_arithmetic
from huse.extract.encoders.registry import image_encoder

AMX = Processor(frozenset({"amx_tile", "amx_bf16", "avx512f"}), gpu=False, native_bfloat16=True)
BFLOAT16 = Processor(frozenset({"avx512_bf16", "avx512f"}), gpu=False, native_bfloat16=True)
OLD = Processor(frozenset({"avx2"}), gpu=False, native_bfloat16=False)
GPU = Processor(frozenset({"amx_tile", "amx_bf16"}), gpu=True, native_bfloat16=True)


@pytest.mark.parametrize(
    ("precision", "processors", "expected"),
    [
        ("auto", [AMX, AMX], Arithmetic("bfloat16", False)),
        ("auto", [AMX, BFLOAT16], Arithmetic("bfloat16", True)),
        ("auto", [AMX, OLD], Arithmetic("float32", True)),
        ("bfloat16", [AMX, OLD], Arithmetic("bfloat16", True)),
        ("float32", [AMX], Arithmetic("float32", True)),
        ("auto", [GPU, GPU], Arithmetic("bfloat16", False)),
        ("float32", [GPU], Arithmetic("float32", False)),
    ],
)
def test_all_take_what_each_can(precision: str, processors: list[Processor], expected: Arithmetic) -> None:
    assert common_arithmetic(precision, processors) == expected
    assert common_arithmetic(precision, processors[::-1]) == expected


@pytest.mark.parametrize("winograd", [False, True])
def test_vgg16_does_as_was_agreed(winograd: bool) -> None:
    encoder = image_encoder("vgg16", precision="float16", agreed=Arithmetic("float32", winograd))
    assert encoder.block == (16 if winograd else 1)
    assert encoder.spec == image_encoder("vgg16").spec


def test_this_machine_has_one_itself() -> None:
    here = Processor.here(gpu=False)
    assert not here.gpu
    assert common_arithmetic("auto", [here]).precision in ("float32", "bfloat16")
