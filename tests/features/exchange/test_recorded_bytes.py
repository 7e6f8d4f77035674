"""Stores made of the same arrays and texts are the same bytes as ever, file by file; see docs/formats.md."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from samples import write_csv

from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.features.exchange.interchange import export_store, import_store
from huse.features.store import Store

ROWS, SHARD_SIZE = 7, 4

IMPORTED = {
    "plan.json": "3e00ee0d70b4e7c56b5277bffb68ef54ad7371b6b0df913b69d12a9514784abd",
    "shard-00000.h5": "8500b0e055e043b4b62c0bd4ca375cdf42f0b4cc4eef034a495bcc6e5636ffe0",
    "shard-00001.h5": "c313d59e37c5bd76b4b3a7f767b6bebaeaeaf4391427b6f38defe1cb0c930ee8",
    "store.json": "82b4d1e327cbdfba1ed752fe729cb6294e9a979af1058f6c84409fd6485393df",
    "content": "813a7157126ab6afb50dc94475f261cfdf6aaab7a107eef9eccddb7eb77f6807",
}

OF_TEXTS = {
    "plan.json": "fd790ad96f394b0dbfcc9fa58f5e0ead7e10c8b67efce357fd8f84faed626737",
    "shard-00000.h5": "38961ef780fe7861e84b8438c99f7a528cb2bfb0368874da3e8c30310fa68ab2",
    "shard-00001.h5": "7266e0df73cf467a5b8c76ec703f8f79447e6216a4de556337e1e5bb5de57096",
    "store.json": "96628a93f52db8afc613ba0e37e786ee614559f3070c89f2c1be41ff00f60f35",
    "text_encoder.json": "99d87e43a2c817ee16616f9b32377a17b6027e3fc44de8740241c3dcaf8d8cde",
    "content": "02a43c4a542e8793ddd036c0d246fd9a1f2f8f8f53e46b40f9dfc02ae1836201",
}

EXPORTED = "a94507a91d7d9dd093782f447e4f311a9720f128fd7d82f35e8bf23694d6fefd"


def digests(store: Path) -> dict[str, str]:
    """SHA-256 of each file but looks and settings, and the content digest, which no version of HDF5 changes."""
    files = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(store.glob("*.*"))}
    files = {name: digest for name, digest in files.items() if not name.startswith(("looks-", "settings."))}
    return {**files, "content": Store.open(store).content_digest()}


def imported(folder: Path) -> Path:
    """A store of numbers that float16 holds exactly; row 3 has no image, row 5 no text."""
    image = (np.arange(ROWS * 3).reshape(ROWS, 3) - 8) / np.float32(4)
    text = (np.arange(ROWS * 2).reshape(ROWS, 2) + 1) / np.float32(8)
    image[3], text[5] = 0, 0
    np.save(folder / "image.npy", image.astype(np.float32))
    np.save(folder / "text.npy", text.astype(np.float32))
    (folder / "labels.txt").write_text("a/b\n\nc\na/b\nc\nü/d\na\n", encoding="utf-8")
    (folder / "split.txt").write_text("train\ntest\n\nval\ntrain\ntrain\ntest\n", encoding="utf-8")
    import_store(
        folder / "imported",
        *(str(folder / name) for name in ("image.npy", "text.npy", "labels.txt")),
        split=str(folder / "split.txt"),
        shard_size=SHARD_SIZE,
        dtype="float16",
    )
    return folder / "imported"


def of_texts(folder: Path) -> Path:
    """A store of texts of one word, whose vectors by TF-IDF are of zeros and a one, whatever the processor."""
    words = ("red", "blue", "red", "", "green", "blue", "red")
    rows = [{"key": f"row {i}", "text": word, "label": "things" if i % 2 else ""} for i, word in enumerate(words)]
    manifest = write_csv(folder / "texts.csv", rows)
    config = ExtractConfig(text_encoder="tfidf:4", class_encoder="none", shard_size=SHARD_SIZE)
    extract_features(manifest, folder / "texts", config)
    return folder / "texts"


def test_an_imported_store_has_the_recorded_bytes(tmp_path: Path) -> None:
    assert digests(imported(tmp_path)) == IMPORTED


def test_a_store_of_texts_has_the_recorded_bytes(tmp_path: Path) -> None:
    assert digests(of_texts(tmp_path)) == OF_TEXTS


def test_an_exported_store_has_the_recorded_columns(tmp_path: Path) -> None:
    out = tmp_path / "store.npz"
    export_store(imported(tmp_path), out)
    digest = hashlib.sha256()
    with np.load(out) as columns:
        for name in columns.files:
            values = columns[name]
            digest.update(f"{name}:{values.dtype.str}:{values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values).data)
    assert digest.hexdigest() == EXPORTED
