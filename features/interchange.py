"""Features made elsewhere become a store, and a store becomes arrays: .npy, .npz, .mat and Parquet."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.atomic import replacing
from huse.features.encoder_spec import IMPORTED, EncoderSpec, imported_spec
from huse.features.errors import StoreError
from huse.features.extras import require
from huse.features.folders import require_empty
from huse.features.rows import DIGEST_BYTES, Failure, Rows
from huse.features.store import FEATURES, Store, StoreInfo

ARRAY_SUFFIXES = (".npy", ".npz", ".mat", ".parquet")
ROWS_A_GROUP = 10_000
Vectors = NDArray[Any]


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
) -> int:
    """Makes a store of features from elsewhere: `huse store import`.

    Args:
        out: a new or empty folder.
        image: file of the picture vectors, see `read_array`; this or `text` must be given.
        text: file of the text vectors.
        labels: file of the label paths, or a text file with a line a row.
        keys: file of unique keys; the row number by default.
        split: file of ``train``, ``val``, ``test`` or nothing.
        image_encoder: what made the picture vectors; stores whose names differ are never mixed.
        text_encoder: what made the text vectors.
        shard_size: most rows a shard.
        dtype: stored type of the vectors.

    Returns:
        How many rows.

    Raises:
        StoreError: a file cannot be used, their lengths differ, a key stands twice, or `out` is not empty.
    """
    vectors = {m: _matrix(file) for m, file in (("image", image), ("text", text)) if file}
    if not vectors:
        raise StoreError("nothing to import; give --image, --text or both")
    strings = {
        name: _strings(file) for name, file in (("label", labels), ("key", keys), ("split", split)) if file is not None
    }
    lengths = {name: len(values) for name, values in (*vectors.items(), *strings.items())}
    if len(set(lengths.values())) > 1:
        raise StoreError(f"files of different lengths: {', '.join(f'{name} {n}' for name, n in lengths.items())} rows")
    n = next(iter(lengths.values()))
    strings.setdefault("key", np.array([str(i) for i in range(n)], dtype=object))
    _require_strings(strings)
    names = {"image": image_encoder, "text": text_encoder}
    specs = {m: _spec(m, names[m], vectors.get(m)) for m in names}
    info = StoreInfo(FEATURES, specs["image"], specs["text"], shard_size, dtype)
    path = Path(out)
    require_empty(path, StoreError)
    return Store.create(path, info).write_all(_rows(vectors, strings, n, shard_size, np.dtype(dtype)))


def export_store(source: str | Path, out: str | Path) -> int:
    """Writes the rows of a store for other programs: `huse store export`.

    Args:
        source: the store.
        out: ``.npz`` or ``.mat`` (all columns as arrays, through memory), ``.parquet`` (a shard in memory at a time),
            or a new folder that gets ``image.npy``, ``text.npy``, and ``key.txt``, ``label.txt`` and ``split.txt``
            with a line a row, as `import_store` takes them.

    Returns:
        How many rows.

    Raises:
        StoreError: the store has no rows, the suffix is unknown, or a folder is not empty.
        ExtraError: Parquet, and no package to write it.
    """
    store, target = Store.open(source), Path(out)
    store.require_whole()
    if target.suffix == ".parquet":
        _export_parquet(store, target)
    elif target.suffix in (".npz", ".mat"):
        _export_arrays(store, target)
    elif not target.suffix:
        _export_folder(store, target)
    else:
        raise StoreError(f"{target}: unknown suffix; name a file .npz, .mat or .parquet, or a folder")
    return len(store)


def read_array(name: str) -> NDArray[Any]:
    """An array in a file.

    Args:
        name: ``F.npy``, ``F.npz:name``, ``F.mat:variable`` (also of version 7.3) or ``F.parquet:column``. The name in
            the file may be left out when there is but one.

    Raises:
        StoreError: no such file or array, or it holds Python objects.
    """
    path, inside = _parts(name)
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return np.asarray(file[_only(file.files, inside, path)])
        if path.suffix == ".mat":
            return _read_mat(path, inside)
        return _read_parquet(path, inside)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StoreError(f"{name}: cannot be read ({reason}); save plain arrays of numbers or strings") from error


def _parts(name: str) -> tuple[Path, str]:
    for suffix in ARRAY_SUFFIXES:
        if f"{suffix}:" in name:
            path, _, inside = name.rpartition(f"{suffix}:")
            return Path(path + suffix), inside
    if Path(name).suffix not in ARRAY_SUFFIXES:
        raise StoreError(f"{name}: unknown format; name a file {', '.join(ARRAY_SUFFIXES)}")
    return Path(name), ""


def _only(there: list[str], inside: str, path: Path) -> str:
    if inside in there:
        return inside
    if inside or len(there) != 1:
        raise StoreError(f"{path}: has {', '.join(there) or 'nothing'}; name one as {path.name}:NAME")
    return there[0]


def _read_mat(path: Path, inside: str) -> NDArray[Any]:
    from scipy.io import loadmat, whosmat

    if path.exists() and h5py.is_hdf5(path):  # version 7.3, its arrays transposed
        with h5py.File(path, "r") as file:
            there = [name for name in file if isinstance(file[name], h5py.Dataset)]
            return np.asarray(file[_only(there, inside, path)]).T
    name = _only([name for name, _, _ in whosmat(path)], inside, path)
    array: NDArray[Any] = loadmat(path, variable_names=[name])[name]
    if array.dtype == object:
        array = np.array([str(np.squeeze(cell)) for cell in array.ravel()])
    return array


def _read_parquet(path: Path, inside: str) -> NDArray[Any]:
    parquet = require("pyarrow.parquet", "parquet", path.name)
    file = parquet.ParquetFile(path)
    column = _only(list(file.schema_arrow.names), inside, path)
    values = file.read(columns=[column])[column].to_pylist()
    if values and isinstance(values[0], list):
        return np.asarray(values, dtype=np.float32)
    return np.array(["" if value is None else str(value) for value in values])


def _matrix(name: str) -> Vectors:
    array = read_array(name)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.shape[1]:
        raise StoreError(f"{name}: shape {array.shape} of {array.dtype}; vectors are rows x dimension, of numbers")
    return array


def _strings(name: str) -> NDArray[np.object_]:
    if Path(_file_of(name)).suffix in ARRAY_SUFFIXES:
        array = np.squeeze(read_array(name))
        if array.ndim != 1:
            raise StoreError(f"{name}: shape {array.shape}; one value a row is needed")
        values = [_string(value) for value in array.tolist()]
    else:
        try:
            values = Path(name).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{name}: not a UTF-8 text file with a line a row ({error})") from error
    result = np.empty(len(values), dtype=object)
    result[:] = [value.strip() for value in values]
    return result


def _file_of(name: str) -> str:
    return next((name[: name.index(f"{s}:") + len(s)] for s in ARRAY_SUFFIXES if f"{s}:" in name), name)


def _string(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _require_strings(strings: dict[str, NDArray[np.object_]]) -> None:
    keys, counts = np.unique(strings["key"].astype(str), return_counts=True)
    if (counts > 1).any():
        raise StoreError(f"key {str(keys[counts.argmax()])!r} stands {counts.max()} times; make keys unique")
    wrong = set(strings.get("split", ())) - {"", "train", "val", "test"}
    if wrong:
        raise StoreError(f"split {min(wrong)!r}; use train, val or test, or leave it empty")


def _spec(modality: str, name: str, vectors: Vectors | None) -> EncoderSpec | None:
    if vectors is None:
        return None
    return imported_spec(modality, vectors.shape[1], name)


def _rows(
    vectors: dict[str, Vectors], strings: dict[str, NDArray[np.object_]], n: int, shard_size: int, dtype: np.dtype[Any]
) -> Iterator[Rows]:
    dims = (vectors[m].shape[1] if m in vectors else 0 for m in ("image", "text"))
    image_dim, text_dim = dims
    for start in tqdm(range(0, n, shard_size), desc="import", unit="shard", disable=None):
        chosen = slice(start, min(start + shard_size, n))
        rows = Rows.empty(chosen.stop - start, image_dim, text_dim)
        for name, values in strings.items():
            getattr(rows, name)[:] = values[chosen]
        for modality, array in vectors.items():
            _take_over(rows, modality, np.asarray(array[chosen]), dtype)
        yield rows


def _take_over(rows: Rows, modality: str, vectors: Vectors, dtype: np.dtype[Any]) -> None:
    """Puts vectors into rows; one that is not finite as stored is missing, and a failure."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(vectors.astype(dtype)).all(axis=1)
    setattr(rows, modality, np.where(finite[:, None], vectors, 0).astype(np.float32))
    setattr(rows, f"has_{modality}", finite)
    digests = getattr(rows, f"{modality}_digest")
    for i in np.flatnonzero(finite):
        digests[i] = np.frombuffer(hashlib.blake2b(vectors[i].tobytes(), digest_size=DIGEST_BYTES).digest(), np.uint8)
    reason = f"{modality} vector is not finite as {dtype}"
    rows.failures += [Failure(str(rows.key[i]), "import", reason) for i in np.flatnonzero(~finite)]


def _export_arrays(store: Store, target: Path) -> None:
    columns = {n: v.astype(str) if v.dtype == object else v for n, v in store.load().columns().items()}
    with replacing(target) as temporary, temporary.open("wb") as file:
        if target.suffix == ".npz":
            np.savez(file, **columns)  # type: ignore[arg-type]
        else:
            from scipy.io import savemat

            wide = {name: v.astype(np.float32) if v.dtype == np.float16 else v for name, v in columns.items()}
            savemat(file, {name: v.astype(object) if v.dtype.kind == "U" else v for name, v in wide.items()})


def _export_parquet(store: Store, target: Path) -> None:
    arrow = require("pyarrow", "parquet", target.name)
    parquet = require("pyarrow.parquet", "parquet", target.name)
    with replacing(target) as temporary, ExitStack() as stack:
        writer = None
        for rows in tqdm(store, total=len(store.shard_indices()), desc="export", unit="shard", disable=None):
            columns = {}
            for name, values in rows.columns().items():
                if values.ndim == 1:
                    columns[name] = arrow.array(values.tolist())
                elif values.shape[1] and not name.endswith("_digest"):
                    flat = arrow.array(values.astype(np.float32).ravel())
                    columns[name] = arrow.FixedSizeListArray.from_arrays(flat, values.shape[1])
            table = arrow.table(columns)
            writer = writer or stack.enter_context(parquet.ParquetWriter(temporary, table.schema))
            writer.write_table(table, ROWS_A_GROUP)


def _export_folder(store: Store, target: Path) -> None:
    require_empty(target, StoreError)
    target.mkdir(parents=True, exist_ok=True)
    modalities = [m for m in ("image", "text") if getattr(store.info, m)]
    shapes = {m: (len(store), getattr(store.info, m).dimension) for m in modalities}
    out = {m: np.lib.format.open_memmap(target / f"{m}.npy", "w+", store.info.dtype, shapes[m]) for m in modalities}
    lines: dict[str, list[str]] = {"key": [], "label": [], "split": []}
    done = 0
    for rows in tqdm(store, total=len(store.shard_indices()), desc="export", unit="shard", disable=None):
        for modality, array in out.items():
            array[done : done + len(rows)] = getattr(rows, modality)
        for name, values in lines.items():
            values += getattr(rows, name).tolist()
        done += len(rows)
    for array in out.values():
        array.flush()
    for name, values in lines.items():
        (target / f"{name}.txt").write_text("".join(f"{value}\n" for value in values), encoding="utf-8")
