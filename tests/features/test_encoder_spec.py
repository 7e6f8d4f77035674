from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from huse.features.encoder_spec import EncoderSpec, digest_arrays, require_same
from huse.features.errors import FingerprintError

SPEC = EncoderSpec("vgg16", "image", 512, "RGB", "ab")


def test_every_field_changes_the_fingerprint() -> None:
    other = {"name": "x", "modality": "text", "dimension": 1, "preprocessing": "BGR", "weights": "cd"}
    assert {*other, "source"} == {f.name for f in fields(SPEC)}
    prints = {replace(SPEC, **{name: value}).fingerprint for name, value in other.items()}
    assert len(prints | {SPEC.fingerprint}) == 6
    assert EncoderSpec.from_dict(SPEC.to_dict()) == SPEC


def test_where_an_encoder_lies_changes_nothing() -> None:
    moved = replace(SPEC, source="hub:/models/x")
    assert moved == SPEC
    assert moved.fingerprint == SPEC.fingerprint
    assert (SPEC.known_as, moved.known_as) == ("vgg16", "hub:/models/x")


def test_mixing_names_both() -> None:
    require_same(SPEC, replace(SPEC), "image")
    with pytest.raises(FingerprintError, match=r"image: encoders differ, vgg16 \(.*\) and none"):
        require_same(SPEC, None, "image")
    with pytest.raises(FingerprintError, match=r"; embed again$"):
        require_same(SPEC, None, "image", "embed again")


def test_digest_sees_values_and_shapes_not_types() -> None:
    a = np.arange(6, dtype=np.float32)
    assert digest_arrays([a]) == digest_arrays([a.astype(np.float16)])
    assert digest_arrays([a]) != digest_arrays([a.reshape(2, 3)])
    assert digest_arrays([a]) != digest_arrays([a + 1e-6])
