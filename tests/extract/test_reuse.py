"""What is kept and what is encoded, alone: no store, no encoder."""

from __future__ import annotations

import numpy as np
import pytest

from huse.extract.reuse import Fate, Stored, decide, digest_of, look_alike
from huse.features.failure import Failure
from huse.features.looks import Looks
from huse.features.modality import MODALITIES
from huse.features.rows import Rows

OLD, NEW = digest_of(b"old"), digest_of(b"new")


@pytest.mark.parametrize(
    ("stored", "read", "fate"),
    [
        (None, NEW, Fate.ENCODE),
        (OLD, NEW, Fate.ENCODE),
        (OLD, OLD, Fate.KEEP),
        (OLD, None, Fate.KEEP),
        (None, None, Fate.FAIL),
    ],
)
def test_a_vector_gives_way_only_to_that_of_content_that_was_read_and_differs(
    stored: bytes | None, read: bytes | None, fate: Fate
) -> None:
    assert decide(stored, read) is fate


def test_images_look_alike_when_both_looks_are_known_and_equal() -> None:
    then = np.array([[5, 9], [5, 9], [5, 9], [0, 0], [0, 0], [-1, -1], [5, 0], [0, 9]])
    now = np.array([[5, 9], [6, 9], [5, 8], [0, 0], [5, 9], [-1, -1], [5, 0], [0, 9]])
    assert look_alike(then, now).tolist() == [True, False, False, False, False, False, True, True]


def test_looks_follow_their_rows() -> None:
    rows = Rows.empty(4, 2, 0)
    rows.key[:], rows.uri[:] = ["a", "b", "c", "d"], ["1", "2", "3", "4"]
    rows.image.present[:] = [True, True, True, False]
    stored = Stored(rows, Looks(np.arange(1, 9).reshape(4, 2)))
    at = stored.images_at(["d", "c", "new", "b", "a"], np.array(["4", "3", "1", "moved", "1"], object))
    assert at.tolist() == [-1, 2, -1, -1, 0]
    assert stored.looks(at).tolist() == [[0, 0], [5, 6], [0, 0], [0, 0], [1, 2]]
    assert stored.images_at(["a", "b"], np.array(["moved", "2"], object)).tolist() == [-1, 1]
    assert stored.images_at([], np.array([], object)).tolist() == []
    assert not Stored(None).looks(Stored(None).images_at(["a"], np.array(["1"], object))).any()


def test_digests_tell_contents_apart() -> None:
    assert digest_of(b"old") == OLD
    assert len({OLD, NEW, digest_of(b""), digest_of(b"old ")}) == 4
    assert len(OLD) == 16


def stored_rows() -> Rows:
    rows = Rows.empty(4, 2, 3)
    rows.key[:] = ["both", "image", "text", "zeros"]
    rows.uri[:] = ["both.png", "image.png", "", ""]
    for i in (0, 1):
        rows.image.vectors[i], rows.image.present[i] = i + 1, True
        rows.image.digest[i] = np.frombuffer(OLD, np.uint8)
    for i in (0, 2, 3):
        rows.text.vectors[i], rows.text.present[i] = (0 if i == 3 else i + 5), True
        rows.text.digest[i] = np.frombuffer(NEW, np.uint8)
    rows.failures.append(Failure("image", "read", "gone"))
    return rows


def test_vectors_are_found_by_key_and_modality() -> None:
    stored = Stored(stored_rows())
    found = {modality: [stored.find(key, modality) for key in (*stored_rows().key, "new")] for modality in MODALITIES}
    assert found["image"] == [0, 1, None, None, None]
    assert found["text"] == [0, None, 2, None, None], "zeros say nothing"
    assert [stored.digest(at, "image") for at in (0, None)] == [OLD, None]
    assert stored.digest(2, "text") == NEW
    assert Stored(None).find("both", "image") is None


def test_rows_are_trusted_unread_unless_they_failed_or_moved() -> None:
    stored = Stored(stored_rows())
    assert stored.trusts(0, "both.png")
    assert not stored.trusts(0, "elsewhere.png")
    assert not stored.trusts(1, "image.png"), "it failed"
    assert not stored.trusts(None, "both.png")


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_copy_takes_vector_mask_and_digest_of_one_modality(modality: str) -> None:
    out = Rows.empty(2, 2, 3)
    Stored(stored_rows()).copy(0, out, 1, modality)
    for name in MODALITIES:
        its, old = out.modalities.of(name), stored_rows().modalities.of(name)
        assert its.present.tolist() == [False, name == modality]
        assert its.vectors[1].tolist() == (old.vectors[0].tolist() if name == modality else [0] * its.dimension)
        assert its.digest[1].tobytes() == (old.digest[0].tobytes() if name == modality else bytes(16))
