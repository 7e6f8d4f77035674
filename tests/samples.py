"""Manifests and random stores that tests make."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huse.features.companions import ClassVectors, class_name
from huse.features.encoder_spec import EncoderSpec
from huse.features.info import EMBEDDINGS, FEATURES, StoreInfo
from huse.features.modality import Modality
from huse.features.rows import Rows
from huse.features.store import Store

IMAGE_SPEC = EncoderSpec("image-test", "image", 6, "none", "0")
TEXT_SPEC = EncoderSpec("text-test", "text", 4, "none", "0")
EMBEDDING_DIMENSION = 16


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n,) of the rows of two (n, D) arrays."""
    a, b = a.astype(float), b.astype(float)
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def random_rows(n: int, seed: int = 0, classes: int = 3) -> Rows:
    """Rows whose vectors are noisy copies of their class's."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, 10)) * 2
    rows = Rows.empty(n, 6, 4)
    number = np.arange(n) % classes
    rows.key[:] = [f"row-{i:05d}" for i in range(n)]
    rows.label[:] = [f"things/class {i}" for i in number]
    rows.split[:] = ["test" if i % 5 == 4 else "train" for i in range(n)]
    rows.uri[:] = [f"images/{i}.png" for i in range(n)]
    rows.caption[:] = [f"caption {i} ü" for i in range(n)]
    vectors = centers[number] + rng.normal(size=(n, 10))
    rows.image.vectors[:], rows.text.vectors[:] = vectors[:, :6], vectors[:, 6:]
    for _, its in rows.modalities.items():
        its.present[:] = True
        its.digest[:] = rng.integers(1, 255, its.digest.shape)
    return rows


def random_store(path: Path, n: int = 60, shard_size: int = 25, seed: int = 0, kind: str = FEATURES) -> Store:
    """A store of `random_rows` with class vectors."""
    store = Store.create(path, StoreInfo(kind, IMAGE_SPEC, TEXT_SPEC, shard_size, "float32"))
    rows = random_rows(n, seed)
    for index, start in enumerate(range(0, n, shard_size)):
        store.write(index, rows.take(np.arange(start, min(start + shard_size, n))))
    store.write_plan(-(-n // shard_size))
    labels = sorted(set(rows.label))
    vectors = np.random.default_rng(1).normal(size=(len(labels), 4)).astype(np.float32)
    store.write_classes(ClassVectors(labels, [class_name(label) for label in labels], vectors, str(TEXT_SPEC)))
    return store


def without_images(rows: Rows) -> Rows:
    """The same rows as a store of texts alone has them."""
    return replace(rows, image=Modality.empty(len(rows), 0), failures=[])


def embedding_spec(modality: str, dimension: int | None = None) -> EncoderSpec:
    """The spec of `random_embeddings`."""
    return EncoderSpec("huse", modality, dimension or EMBEDDING_DIMENSION, "towers", "0")


def random_embeddings(path: Path, n: int = 60, has_image: bool = True, seed: int = 0, dtype: str = "float32") -> Store:
    """A store of made unit vectors in shards of 25."""
    image = embedding_spec("image") if has_image else None
    store = Store.create(path, StoreInfo(EMBEDDINGS, image, embedding_spec("text"), 25, dtype))
    rng = np.random.default_rng(seed)
    for index, start in enumerate(range(0, max(n, 1), 25)):
        size = min(25, n - start)
        rows = Rows.empty(size, EMBEDDING_DIMENSION if has_image else 0, EMBEDDING_DIMENSION)
        sides = [rows.image, rows.text] if has_image else [rows.text]
        rows.key[:] = [f"row {start + i}" for i in range(size)]
        for its in sides:
            vectors = rng.normal(size=(size, EMBEDDING_DIMENSION))
            its.vectors[:] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            its.present[:] = True
        rows.prediction, rows.probability = rows.label.copy(), np.ones(size, np.float32)
        store.write(index, rows)
    store.write_plan(len(store.shard_numbers()))
    return store


def text_manifest(tmp_path: Path, n: int = 8) -> Path:
    """A manifest of texts of two classes."""
    words = ("red apple", "green apple", "fast train", "slow train")
    rows = [{"key": str(i), "text": f"{words[i % 4]} {i}", "label": words[i % 4].split()[1]} for i in range(n)]
    return write_csv(tmp_path / "m.csv", rows)
