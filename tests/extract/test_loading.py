"""Images of a shard that are loaded together are what each is alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from samples import write_csv

from huse.extract.config import ExtractConfig
from huse.extract.images.decoders import Decoders
from huse.extract.images.decoding import decode_image
from huse.extract.images.framing import Framing
from huse.extract.loading import MOST_BYTES, load_images
from huse.extract.manifest.rows import read_manifest
from huse.extract.reuse import Stored, digest_of

FRAMING = Framing.whole((8, 8))


def test_files_of_any_size_and_damage_keep_their_places(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sides = (40, 700, 50, 700, 700, 60)
    for i, side in enumerate(sides):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(buffer, "PNG")
        (tmp_path / f"{i}.png").write_bytes(buffer.getvalue()[: 300 if i == 4 else None])
    assert (tmp_path / "1.png").stat().st_size > MOST_BYTES
    rows = [{"key": f"k{i}", "image": f"{i}.png"} for i in (*range(len(sides)), 9)]
    manifest = read_manifest(write_csv(tmp_path / "m.csv", rows))
    ordered = manifest.rows(np.arange(len(rows)))
    with Decoders(0) as decoders:
        found = load_images(manifest, ordered, Stored(None), FRAMING, ExtractConfig(), decoders)
    assert [image.has_pixels for image in found.each] == [True, True, True, True, False, True, False]
    assert [image.failure and image.failure.stage for image in found.each[4:]] == ["decode", None, "read"]
    data = [(tmp_path / f"{i}.png").read_bytes() for i in range(len(sides))]
    assert [image.digest for image in found.each[:-1]] == list(map(digest_of, data))
    expected = [decode_image(data[i], FRAMING) for i in (0, 1, 2, 3, 5)]
    np.testing.assert_array_equal(found.pixels, np.stack(expected))
