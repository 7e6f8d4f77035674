from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recorded import RECORDED, recorded_store
from samples import cosines, read_csv

from huse.demo.emoji import unpack_emoji
from huse.demo.run import run_demo
from huse.extract.config import ExtractConfig
from huse.extract.encoders import image_encoder, text_encoder
from huse.extract.images.decoding import decode_image
from huse.extract.images.reading import read_image
from huse.extract.reuse import digest_of
from huse.features.errors import ManifestError, QueryError
from huse.features.rows import Rows
from huse.features.store import Store

LEFT_OUT = slice(7, None, 115)
"""Rows that the record is not used for: the demo encodes them itself."""


def test_unpacks_real_files_and_mends_damaged_ones(emoji: Path, tmp_path: Path) -> None:
    rows = read_csv(emoji)
    assert len(rows) == 1911
    assert sum(row["split"] == "test" for row in rows) == 339
    folder = shutil.copytree(emoji.parent, tmp_path / "emoji")
    victim = folder / rows[5]["image"]
    before = victim.read_bytes()
    victim.write_bytes(before[:10])
    unpack_emoji(folder)
    assert victim.read_bytes() == before


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "emoji.csv").write_text("of the user")
    with pytest.raises(ManifestError, match=r"emoji\.csv: is there already, and is not of huse"):
        unpack_emoji(tmp_path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("emoji.csv", "of the user")]
    (tmp_path / "demo.png").write_bytes(b"of the user")
    with pytest.raises(QueryError, match=r"demo\.png: is there already, and is not of huse"):
        run_demo(tmp_path, print)


def test_every_image_is_decoded_and_has_its_recorded_vector(emoji: Path) -> None:
    recorded = np.load(RECORDED)
    files = [read_image(emoji.parent / row["image"]) for row in read_csv(emoji)]
    assert str(recorded["image_fingerprint"]) == image_encoder(ExtractConfig().image_encoder).spec.fingerprint
    assert str(recorded["text_fingerprint"]) == text_encoder("use").spec.fingerprint
    assert [digest_of(data) for data in files] == [bytes(digest) for digest in recorded["image_digest"]]
    assert all(decode_image(data, (8, 8)).any() for data in files)


def with_recorded_features(folder: Path) -> Store:
    """The demo's folder as an extraction leaves it that was interrupted: some rows are without their vectors."""
    manifest = unpack_emoji(folder)
    return recorded_store(manifest, [row["key"] for row in read_csv(manifest)], folder / "features", LEFT_OUT)


@pytest.mark.slow
def test_the_demo_reaches_its_floors(tmp_path: Path) -> None:
    """The main job as a person runs it, every stage on all 1,911 emoji; most were encoded the day before."""
    store = with_recorded_features(tmp_path / "demo")
    command = [Path(sys.executable).parent / "huse", "demo", "--out", tmp_path / "demo", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["accuracy"]["image"] >= 0.65
    assert result["accuracy"]["text"] >= 0.83
    assert result["accuracy"]["fused"] >= 0.84
    assert result["retrieval"]["image_to_text"]["map"] >= 0.62
    assert result["retrieval"]["text_to_image"]["map"] >= 0.62
    assert (result["extract"]["rows"], result["extract"]["failures"]) == (1911, 0)
    assert set(result["seconds"]) >= {"extract", "fit", "evaluate", "embed", "search"}
    sea, happy = (result["searches"][words] for words in ("sea animal", "happy face"))
    assert sum("marine" in hit["label"] for hit in sea) >= 4
    assert all(hit["label"].startswith("smileys & emotion/face") for hit in happy)
    with Image.open(tmp_path / "demo" / "demo.png") as image:
        assert image.width >= 1200
    assert_encoded_as_recorded(store.load())


def assert_encoded_as_recorded(rows: Rows) -> None:
    """Kept vectors are kept to the bit, and new ones are those of the record."""
    for modality, its in rows.modalities.items():
        recorded = np.load(RECORDED)[f"{modality}_vectors"].astype(np.float32)
        vectors = its.vectors.astype(np.float32)
        assert its.present.all()
        np.testing.assert_array_equal(np.delete(vectors, LEFT_OUT, 0), np.delete(recorded, LEFT_OUT, 0))
        again = cosines(vectors[LEFT_OUT], recorded[LEFT_OUT])
        assert len(again) == 17
        assert again.min() > 0.999, "docs/scaling.md: whatever the arithmetic"
