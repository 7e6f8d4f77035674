"""Runs over tars: what is read again, what is kept, and what a broken one does to a store."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tars import write_tar

from huse.embed.draw.thumbnails import Thumbnails
from huse.embed.serve.shown import ShownImages, location
from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.engines.ray import _some_image
from huse.extract.extract import extract_features
from huse.extract.manifest.rows import read_manifest
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import ManifestError
from huse.features.store import Store

CONFIG = ExtractConfig(shard_size=4, batch_size=3, workers=2, dtype="float32", class_encoder="none")
LONG_AGO = 10**18


class Mean:
    spec = EncoderSpec("mean", "image", 3, "mean", "0")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2)).astype(np.float32)


def image(gray: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (gray, gray, gray)).save(buffer, "BMP")
    return buffer.getvalue()


def pack(folder: Path, number: int, grays: dict[str, int], changed: int = LONG_AGO) -> None:
    tar = write_tar(folder / f"shard-{number:05d}.tar", {f"{key}.bmp": image(gray) for key, gray in grays.items()})
    os.utime(tar, ns=(changed, changed))


def run(tmp_path: Path) -> ExtractSummary:
    source = tmp_path / "a set" / "shard-{00000..00002}.tar"
    return extract_features(source, tmp_path / "store", CONFIG, image_encoder=Mean())


def grays(tmp_path: Path) -> dict[str, float]:
    rows = Store.open(tmp_path / "store").load()
    return {key: float(rows.image.vectors[i, 0]) for i, key in enumerate(rows.key)}


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    for number in range(3):
        pack(tmp_path / "a set", number, {f"{number}{i}": 10 * number + i for i in range(3)})
    assert run(tmp_path).encoded == 9
    return tmp_path


def test_tars_that_look_the_same_are_not_read_again(packed: Path) -> None:
    before = {file.name: file.read_bytes() for file in (packed / "store").iterdir()}
    summary = run(packed)
    assert (summary.encoded, summary.reused, summary.trusted) == (0, 9, 9)
    assert {file.name: file.read_bytes() for file in (packed / "store").iterdir()} == before


def test_of_a_tar_that_changed_only_what_differs_is_encoded(packed: Path) -> None:
    pack(packed / "a set", 1, {"12": 12, "10": 77, "13": 13}, LONG_AGO + 1)
    summary = run(packed)
    assert (summary.rows, summary.encoded, summary.trusted) == (9, 2, 6)
    assert grays(packed) == {"00": 0, "01": 1, "02": 2, "10": 77, "12": 12, "13": 13, "20": 20, "21": 21, "22": 22}


def test_a_tar_that_is_cut_off_takes_nothing_from_the_store(packed: Path) -> None:
    before, tar = grays(packed), packed / "a set" / "shard-00001.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:2500])
    with pytest.raises(ManifestError, match=r"^.*shard-00001\.tar: damaged after row 1 \(.*leave it out$"):
        run(packed)
    assert grays(packed) == before
    tar.write_bytes(whole)
    assert run(packed).encoded == 0


def test_pages_show_images_of_tars(packed: Path) -> None:
    rows, folder = Store.open(packed / "store").load(), packed / "a set"
    assert rows.uri[0] == "shard-00000.tar/00.bmp"
    shown = location(rows.uri[0], folder)
    assert shown is not None
    assert ShownImages().show(shown).data == image(0)
    assert location("shard-00009.tar/00.bmp", folder) is None
    assert Thumbnails(folder).image(rows.uri[4]) is not None


def test_nodes_of_a_cluster_are_asked_for_the_tar(packed: Path) -> None:
    assert _some_image(read_manifest(packed / "a set")) == [packed / "a set" / "shard-00000.tar"]


def test_rows_of_any_table_may_name_images_in_tars(packed: Path) -> None:
    (packed / "m.csv").write_text("image\na set/shard-00001.tar/11.bmp\na set/shard-00001.tar/absent.bmp\n")
    summary = extract_features(packed / "m.csv", packed / "other", CONFIG, image_encoder=Mean())
    (failure,) = summary.failures
    assert failure.reason.startswith("no such file in the tar: a set/shard-00001.tar/absent.bmp;")
    assert Store.open(packed / "other").load().image.vectors[0, 0] == 11
