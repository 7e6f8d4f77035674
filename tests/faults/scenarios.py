"""The commands that write, each on inputs small enough to run it hundreds of times."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from database import Database, apply, mirrored
from numpy.typing import NDArray
from PIL import Image
from samples import random_rows, random_store, write_csv

from faults.workshop import Scenario
from huse.embed.embed import embed_source
from huse.embed.search.index import open_index
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import StoreError
from huse.features.exchange.interchange import export_store, import_store
from huse.features.exchange.merge_split import merge_stores, split_store
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.config import FitConfig
from huse.train.fit import fit_model

FIT = FitConfig(epochs=2, dimension=8, hidden_units=8, batch_size=32, refit=False)


class Color:
    """An image's vector is its mean color."""

    spec = EncoderSpec("color", "image", 3, "mean", "0")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2)).astype(np.float32) + 1


class Length:
    """A text's vector is its length and its first letter."""

    spec = EncoderSpec("length", "text", 2, "none", "0")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(t), ord(t[0])] for t in texts], np.float32).reshape(-1, 2)


def digest(*parts: Any) -> str:
    """A digest of arrays and strings."""
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return total.hexdigest()


def store_content(path: str) -> str:
    """A digest of all rows of a whole store."""
    rows = Store.open(path).load()
    columns = {n: c.tolist() if c.dtype == object else np.asarray(c) for n, c in sorted(rows.columns().items())}
    return digest(*(part for item in columns.items() for part in item), rows.failures)


def _prepare_manifest() -> None:
    rows = []
    for i in range(60):
        Image.new("RGB", (9, 7), (i, 2 * i, 100)).save(f"{i}.png")
        rows.append({"key": f"k{i}", "image": f"{i}.png", "text": f"text {i}", "label": f"c/{i % 3}"})
    write_csv(Path("m.csv"), rows)


def _extract() -> Any:
    config = ExtractConfig(shard_size=6, batch_size=4, workers=2, class_encoder="none")
    return extract_features("m.csv", "out", config, image_encoder=Color(), text_encoder=Length()).rows


def _prepare_stores() -> None:
    for number, name in enumerate("ab"):
        store = random_store(Path(name), n=120, shard_size=10, seed=number)
        for index, rows in enumerate(list(store)):
            rows.key[:] = [f"{name}{key}" for key in rows.key]
            store.write(index, rows)


def _prepare_arrays() -> None:
    rows = random_rows(400)
    np.save("image.npy", rows.image.vectors)
    np.save("text.npy", rows.text.vectors)
    Path("label.txt").write_text("".join(f"{label}\n" for label in rows.label))


def prepare_model() -> None:
    random_store(Path("a"), n=400, shard_size=40)
    fit_model("a", "model", FIT)


def _prepare_store() -> None:
    random_store(Path("a"), n=90)


def _fit() -> Any:
    return fit_model("a", "model", FIT, overwrite=True, resume=True, checkpoint_every=0.0).classes


def _prepare_embeddings() -> None:
    store = random_store(Path("out"), n=3000, shard_size=500, kind="embeddings")
    for index, rows in enumerate(list(store)):
        rows.prediction, rows.probability = rows.label, np.ones(len(rows), np.float32)
        rows.image.vectors[:] /= np.linalg.norm(rows.image.vectors, axis=1, keepdims=True)
        store.write(index, rows)


def _index() -> Any:
    return open_index(Store.open("out"), "image", "hnsw", say=lambda _: None).recall > 0.5


def _index_content() -> str:
    store = Store.open("out")
    found = open_index(store, "image", "hnsw", say=lambda _: None)
    rows = store.read(0)
    query = rows.image.vectors[:1] / np.linalg.norm(rows.image.vectors[:1])
    return digest(bool(found.recall > 0.5), [hit.key for hit in found.nearest(query, 1)[0]])


def _split_content() -> str:
    return digest(*(store_content(f"out/part-{i}") for i in range(3)))


def _exported() -> str:
    arrays = [np.load(f"out/{name}.npy") for name in ("image", "text")]
    return digest(*arrays, *(Path(f"out/{name}.txt").read_text() for name in ("key", "label", "split")))


def _prepare_night() -> None:
    """Embeddings whose first changes a database has, and a source that has changed since."""
    prepare_model()
    embed_source("model", "a", "out", changes="first.parquet")
    store = Store.open("a")
    for number in store.shard_numbers()[::3]:
        rows = store.read(number)
        rows.key[0], rows.label[1], rows.text.digest[2] = f"new {number}", "other", 1
        rows.text.vectors[3:5] += 1
        rows.text.digest[3:5] += 1
        store.write(number, rows)


def _night() -> Any:
    return embed_source("model", "a", "out", changes="second.parquet").rows


def _database() -> str:
    """What a database holds that has taken both files."""
    if not Path("second.parquet").exists():
        raise StoreError("second.parquet: is not there")
    database = Database()
    for file in ("first.parquet", "second.parquet"):
        apply(database, file)
    if database != mirrored("out", load_model("model").fingerprint):
        return "other rows than the embeddings"
    return digest(*sorted(database.items()))


def _embedded_file() -> str:
    return digest(np.load("v.npy"), Path("v.csv").read_text())


SCENARIOS = {
    "extract": Scenario("extract", _prepare_manifest, _extract, lambda: store_content("out")),
    "import": Scenario(
        "store import",
        _prepare_arrays,
        lambda: import_store("out", "image.npy", "text.npy", "label.txt", shard_size=20),
        lambda: store_content("out"),
    ),
    "merge": Scenario(
        "store merge", _prepare_stores, lambda: merge_stores(["a", "b"], "out"), lambda: store_content("out")
    ),
    "split": Scenario("store split", _prepare_stores, lambda: split_store("a", "out", parts=3), _split_content),
    "export": Scenario("store export", _prepare_stores, lambda: export_store("a", "out"), _exported),
    "index": Scenario("search --index hnsw", _prepare_embeddings, _index, _index_content),
    "fit": Scenario("fit", _prepare_store, _fit, lambda: load_model("model").fingerprint),
    "embed": Scenario(
        "embed", prepare_model, lambda: embed_source("model", "a", "out").rows, lambda: store_content("out")
    ),
    "embed changes": Scenario("embed --changes second.parquet", _prepare_night, _night, _database),
    "embed file": Scenario(
        "embed v.npy --fuse",
        prepare_model,
        lambda: embed_source("model", "a", "v.npy", fuse=True).rows,
        _embedded_file,
    ),
}

KILLS = {
    "extract": 40, "import": 40, "merge": 30, "split": 30, "export": 30, "index": 12, "fit": 12, "embed": 12,
    "embed changes": 12, "embed file": 12,
}  # fmt: skip
