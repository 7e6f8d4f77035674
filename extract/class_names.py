"""Class names as vectors: of the class encoder for the semantic graph, of the text encoder to train on as texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from huse.extract.encoders import TextEncoder
from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.texts import clean_text
from huse.features.companions import CLASS_FILES, CLASS_TEXTS_FILE, CLASSES_FILE, ClassVectors, class_name
from huse.features.errors import ManifestError
from huse.features.store import Store


def write_class_names(
    store: Store, texts: dict[str, str], classes: TextEncoder | None, text: TextEncoder | None
) -> None:
    """Keeps the vectors of the class names beside the shards, and none of an earlier run that are of no use any more.

    What is there already is not encoded again.

    Args:
        store: the store.
        texts: the text that stands for each class, by its label path.
        classes: the encoder that the semantic graph is made by; None for no class names.
        text: the encoder of the store's texts, None when it has none or they were made elsewhere.
    """
    labels = sorted(texts)
    files = {} if classes is None or not labels else dict(_files(classes, text))
    for name in CLASS_FILES:
        if name not in files:
            (store.path / name).unlink(missing_ok=True)
    for name, encoder in files.items():
        wanted = labels, [texts[label] for label in labels], str(encoder.spec)
        there = store.read_classes(name)
        if there is None or (there.labels, there.texts, there.encoder) != wanted:
            store.write_classes(ClassVectors(*wanted[:2], encoder.encode(wanted[1]), wanted[2]), name)


def class_vectors(encoder: TextEncoder, labels: list[str]) -> ClassVectors:
    """The names of some classes as vectors of an encoder.

    Raises:
        EncoderError: the encoder learns from training texts, and there are none.
    """
    texts = class_texts(labels)
    names = [texts[label] for label in labels]
    return ClassVectors(labels, names, encoder.encode(names), str(encoder.spec))


def _files(classes: TextEncoder, text: TextEncoder | None) -> Iterator[tuple[str, TextEncoder]]:
    yield CLASSES_FILE, classes
    if text is not None and text.spec != classes.spec:
        yield CLASS_TEXTS_FILE, text


def class_texts(labels: list[str], path: Path | None = None, separator: str = "/") -> dict[str, str]:
    """The text that stands for each class: its description in a file, else its name (the last part of the label).

    Args:
        labels: the classes.
        path: file with columns label and text, in any format of a manifest; it may describe some of them.
        separator: of the levels of the file's labels.

    Raises:
        ManifestError: the file cannot be read, names a class that no row has, or describes one in two ways.
    """
    texts = {label: clean_text(class_name(label)) for label in labels}
    if path is None:
        return texts
    described: dict[str, str] = {}
    for row in read_manifest(path, Columns(label_separator=separator)).rows():
        if row.label not in texts:
            raise ManifestError(f"{path}: class {row.label!r} is no row's label; correct or remove it")
        if row.text and described.setdefault(row.label, row.text) != row.text:
            raise ManifestError(f"{path}: class {row.label!r} has two texts; remove one")
    return texts | described
