"""Features made elsewhere become a store, and a store becomes arrays: .npy, .npz, .mat and Parquet."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.codes import CODES, stored_type, stored_width
from huse.features.columns import PRESENT, STRINGS, VECTORS
from huse.features.companions import ClassVectors
from huse.features.encoder_spec import IMPORTED, EncoderSpec, imported_spec
from huse.features.errors import StoreError
from huse.features.exchange import mat
from huse.features.exchange.arrays import ARRAY_SUFFIXES, file_of, read_array
from huse.features.exchange.npy import writing_rows
from huse.features.exchange.vector_lists import vector_lists, vector_type
from huse.features.extras import require
from huse.features.failure import Failure
from huse.features.files.atomic import replacing, replacing_folder
from huse.features.files.folders import require_new
from huse.features.files.lock import locked
from huse.features.files.outputs import MARK, require_output
from huse.features.files.place import place
from huse.features.info import EMBEDDINGS, FEATURES, StoreInfo
from huse.features.labels import clean_label
from huse.features.modality import Modality, Pair
from huse.features.rows import Rows
from huse.features.splits import split_of
from huse.features.store import Store
from huse.features.strings import clean_text, clean_value

ROWS_A_GROUP = 10_000
"""Rows written at a time to Parquet."""
MOST_STRING_BYTES = 1 << 30
"""Memory that a column of strings may take as an array."""
Vectors = NDArray[Any]
Strings = NDArray[np.object_]


def import_store(
    out: str | Path,
    image: str | None = None,
    text: str | None = None,
    labels: str | None = None,
    keys: str | None = None,
    split: str | None = None,
    image_encoder: str = IMPORTED,
    text_encoder: str = IMPORTED,
    shard_size: int = 10_000,
    dtype: str = "float32",
    embed_classes: Callable[[list[str]], ClassVectors] | None = None,
    label_separator: str = "/",
) -> int:
    """Makes a store of features from elsewhere: `huse store import`.

    Args:
        out: a new or empty folder; it is there at the end, whole.
        image: file of the image vectors, see `read_array`; this or `text` must be given.
        text: file of the text vectors.
        labels: file of the label paths, or a text file with a line a row.
        keys: file of unique keys; the row number by default.
        split: file of ``train``, ``val``, ``test`` or nothing.
        image_encoder: what made the image vectors; stores whose names differ are never mixed.
        text_encoder: what made the text vectors.
        shard_size: most rows a shard.
        dtype: stored type of the vectors.
        embed_classes: gives the vectors of the sorted labels for the semantic graph; without it the store has none.
        label_separator: what stands between the levels of a label, see `Columns`.

    Returns:
        How many rows.

    Raises:
        StoreError: a file cannot be used, their lengths differ, a key stands twice, or `out` is not empty.
    """
    path = place(out)
    require_new(path, StoreError, *(file_of(name) for name in (image, text, labels, keys, split) if name))
    vectors = Pair(image=image, text=text).map(lambda file: _matrix(file) if file else None)
    if not vectors.given():
        raise StoreError("nothing to import; give image (--image), text (--text) or both")
    strings = {
        name: _strings(file) for name, file in (("label", labels), ("key", keys), ("split", split)) if file is not None
    }
    lengths = {name: len(values) for name, values in (*vectors.given().items(), *strings.items())}
    if len(set(lengths.values())) > 1:
        raise StoreError(f"files of different lengths: {', '.join(f'{name} {n}' for name, n in lengths.items())} rows")
    n = next(iter(lengths.values()))
    if not n:
        raise StoreError("the files have no rows; nothing to import")
    strings.setdefault("key", np.array([str(i) for i in range(n)], dtype=object))
    _require_strings(strings, label_separator)
    names = Pair(image=image_encoder, text=text_encoder)
    specs = Pair.by_name(lambda modality: _spec(modality, names.of(modality), vectors.of(modality)))
    info = StoreInfo(FEATURES, specs.image, specs.text, shard_size, dtype)
    classes = sorted(set(strings.get("label", ())) - {""})
    class_vectors = embed_classes(classes) if embed_classes and classes else None
    with locked(path), replacing_folder(path) as folder:
        store = Store.create(folder, info, _origin(vectors, strings, n))
        if class_vectors is not None:
            store.write_classes(class_vectors)
        return store.write_all(_rows(vectors, strings, n, shard_size, np.dtype(dtype)))


def export_store(source: str | Path, out: str | Path) -> int:
    """Writes the rows of a store for other programs: `huse store export`.

    Args:
        source: the store.
        out: ``.npz`` or ``.mat`` (all columns as arrays, through memory), ``.parquet`` (a shard in memory at a time),
            or a new folder that gets ``image.npy``, ``text.npy``, and ``key.txt``, ``label.txt`` and ``split.txt``
            with a line a row, as `import_store` takes them. Vectors are as they are stored, codes of int8 and binary
            embeddings among them; in Parquet, those of float16 are float32.

    Returns:
        How many rows.

    Raises:
        StoreError: the store has no rows, the suffix is unknown, a folder is not empty, or a file is not of huse.
        ExtraError: Parquet, and no package to write it.
    """
    target = place(out)
    write = {".npz": _export_arrays, ".mat": _export_arrays, ".parquet": _export_parquet}.get(target.suffix)
    if write is None:
        require_new(target, StoreError, source, others="a file .npz, .mat or .parquet")
    else:
        require_output(target, StoreError, source)
    store = Store.open(source)
    store.require_whole()
    (write or _export_folder)(store, target)
    return len(store)


def _matrix(name: str) -> Vectors:
    array = read_array(name)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.shape[1]:
        raise StoreError(f"{name}: shape {array.shape} of {array.dtype}; vectors are rows x dimension, of numbers")
    return array


def _strings(name: str) -> NDArray[np.object_]:
    if place(file_of(name)).suffix in ARRAY_SUFFIXES:
        array = read_array(name)
        if array.size != max(array.shape, default=0):
            raise StoreError(f"{name}: shape {array.shape}; one value a row is needed")
        values = [clean_value(value) for value in array.ravel().tolist()]
    else:
        try:
            values = [clean_text(line) for line in place(name).read_text(encoding="utf-8-sig").split("\n")]
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{name}: not a UTF-8 text file with a line a row ({error})") from error
        if values[-1] == "":  # behind the last line's end
            values.pop()
    return np.array(values, dtype=object)


def _require_strings(strings: dict[str, NDArray[np.object_]], separator: str) -> None:
    keys, counts = np.unique(strings["key"].astype(str), return_counts=True)
    if (counts > 1).any():
        raise StoreError(f"key {str(keys[counts.argmax()])!r} stands {counts.max()} times; make keys unique")
    if "" in keys:
        raise StoreError("a key is empty; give every row one")
    for i, name in enumerate(strings.get("split", ())):
        if (split := split_of(name)) is None:
            raise StoreError(f"split {name!r} of row {i} (--split); use train, val or test, or leave it empty")
        strings["split"][i] = split
    if "label" in strings:
        strings["label"][:] = [clean_label(label, separator) for label in strings["label"]]


def _spec(modality: str, name: str, vectors: Vectors | None) -> EncoderSpec | None:
    return None if vectors is None else imported_spec(modality, vectors.shape[1], name)


def _rows(
    vectors: Pair[Vectors | None], strings: Mapping[str, Strings], n: int, shard_size: int, dtype: np.dtype[Any]
) -> Iterator[Rows]:
    for start in tqdm(range(0, n, shard_size), desc="import", unit="shard", disable=None):
        yield _shard(vectors, strings, slice(start, min(start + shard_size, n)), dtype)


def _shard(vectors: Pair[Vectors | None], strings: Mapping[str, Strings], chosen: slice, dtype: np.dtype[Any]) -> Rows:
    """Some rows; a vector of zeros is missing, and one that is none or not finite as it is stored is a failure too."""
    n = chosen.stop - chosen.start
    here = vectors.map(lambda array: np.zeros((n, 0)) if array is None else np.asarray(array[chosen]))
    stored = here.map(lambda array: _cast(array, dtype))
    finite = stored.map(lambda array: np.isfinite(array).all(axis=1))
    there = stored.map(lambda array: array.any(axis=1))
    both = Pair.by_name(lambda m: Modality.of_vectors(here.of(m), np.asarray(finite.of(m) & there.of(m))))
    rows = replace(Rows.empty(n, 0, 0), image=both.image, text=both.text)
    columns = rows.columns()
    for name, values in strings.items():
        columns[name][:] = values[chosen]
    for modality, given in here.items():
        vanished = given.any(axis=1) & ~there.of(modality)
        for wrong, what in ((~finite.of(modality), "is not finite"), (vanished, "vanishes")):
            failed = rows.key[wrong]
            rows.failures += [Failure(str(key), "import", f"{modality} vector {what} as {dtype}") for key in failed]
    return rows


def _cast(vectors: Vectors, dtype: np.dtype[Any]) -> Vectors:
    with np.errstate(over="ignore", under="ignore"):
        return vectors.astype(dtype)


def _origin(vectors: Pair[Vectors | None], strings: Mapping[str, Strings], n: int) -> str:
    """A digest of everything that is imported."""
    digest = hashlib.sha256()
    for name, values in strings.items():
        digest.update(f"{name}\n".encode() + "\n".join(values).encode())
    for name, array in vectors.given().items():
        digest.update(f"\n{name}:{array.dtype.str}:{array.shape}\n".encode())
        for start in range(0, n, ROWS_A_GROUP):
            digest.update(np.ascontiguousarray(array[start : start + ROWS_A_GROUP]).data)
    return digest.hexdigest()


def _export_arrays(store: Store, target: Path) -> None:
    if target.suffix == ".mat":
        _require_mat(store, target)
    rows = store.load()
    columns = {name: _plain(name, values, rows) for name, values in rows.encoded(store.info.dtype).columns().items()}
    with replacing(target) as temporary, temporary.open("w+b") as file:
        if target.suffix == ".npz":
            np.savez(file, **columns)  # type: ignore[arg-type]
            with zipfile.ZipFile(file, "a") as archive:
                archive.comment = MARK.encode()
        else:
            mat.write_mat(file, columns, MARK)


def _require_mat(store: Store, target: Path) -> None:
    """Refuses vectors that are too many for a .mat file, before any is read."""
    rows, dtype = len(store), store.info.dtype
    for modality, width in store.info.widths.items():
        if rows * stored_width(width, dtype) * (1 if dtype in CODES else 4) > mat.MOST_BYTES:
            raise StoreError(f"{target}: the {modality} vectors are too large for .mat; export to .npz or .parquet")


def _plain(name: str, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
    """A column without Python objects; NumPy gives every string the room of the longest."""
    if values.dtype != object:
        return values
    lengths = [len(value) for value in values]
    if len(lengths) * max(lengths, default=0) * 4 > MOST_STRING_BYTES:
        key = rows.key[int(np.argmax(lengths))]
        raise StoreError(f"{name} of key {key!r} is too long for arrays of strings; export to .parquet or a folder")
    return values.astype(str)


def _export_parquet(store: Store, target: Path) -> None:
    arrow = require("pyarrow", "parquet", target.name)
    parquet = require("pyarrow.parquet", "parquet", target.name)
    schema = _schema(arrow, store)
    with replacing(target) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for rows in tqdm(store, total=len(store.shard_numbers()), desc="export", unit="shard", disable=None):
            columns = rows.encoded(store.info.dtype).columns()
            arrays = []
            for field in schema:
                values, vectors = columns[field.name], field.name in VECTORS
                arrays.append(vector_lists(arrow, values) if vectors else arrow.array(values.tolist(), field.type))
            writer.write_table(arrow.table(arrays, schema=schema), ROWS_A_GROUP)


def _schema(arrow: Any, store: Store) -> Any:
    """The columns of a store's Parquet file, by what the store is and not by its first shard."""
    fields = [(name, arrow.string()) for name in STRINGS]
    fields += [(m, vector_type(arrow, width, store.info.dtype)) for m, width in store.info.widths.items() if width]
    fields += [(name, arrow.bool_()) for _, name in PRESENT.items()]
    if store.info.kind == EMBEDDINGS:
        fields += [("prediction", arrow.string()), ("probability", arrow.float32())]
    return arrow.schema(fields, metadata={"software": MARK})


def _export_folder(store: Store, target: Path) -> None:
    total, dtype = len(store), store.info.dtype
    with replacing_folder(target) as folder, ExitStack() as stack:
        shapes = {m: (total, stored_width(width, dtype)) for m, width in store.info.widths.items() if width}
        arrays = {
            modality: stack.enter_context(writing_rows(folder / f"{modality}.npy", shape, stored_type(dtype)))
            for modality, shape in shapes.items()
        }
        names = ("key", "label", "split")
        lines = {n: stack.enter_context((folder / f"{n}.txt").open("w", encoding="utf-8", newline="\n")) for n in names}
        for rows in tqdm(store, total=len(store.shard_numbers()), desc="export", unit="shard", disable=None):
            columns = rows.encoded(dtype).columns()
            for modality, write in arrays.items():
                write(columns[modality])
            for name, file in lines.items():
                file.writelines(f"{clean_text(value)}\n" for value in columns[name])
