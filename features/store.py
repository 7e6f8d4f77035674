"""A folder of shards with one store.json: create, open, iterate, load, verify, inspect."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features.atomic import is_own_trace, replacing
from huse.features.encoder_spec import EncoderSpec, require_same
from huse.features.errors import ShardError, StoreError
from huse.features.rows import Failure, Rows, concatenate
from huse.features.shard import Attributes, read_attributes, read_columns, read_shard, write_shard

STORE_FILE = "store.json"
CLASSES_FILE = "classes.h5"
CLASS_TEXTS_FILE = "class_texts.h5"
"""Class names by the store's text encoder, where that of `CLASSES_FILE` is another."""
CLASS_FILES = (CLASSES_FILE, CLASS_TEXTS_FILE)
ENCODER_STATE_FILE = "text_encoder.json"
PLAN_FILE = "plan.json"
STORE_VERSION = 1
FEATURES = "features"
EMBEDDINGS = "embeddings"
MISSING = "run the command that made the store again, all its parts, or copy the files anew"
"""What to do about missing shards."""

_SHARD_NAME = re.compile(r"shard-(\d{5,})\.h5")


@dataclass(frozen=True)
class StoreInfo:
    """What holds for a whole store; written once as store.json.

    Attributes:
        kind: ``features`` (frozen encoders) or ``embeddings`` (trained towers).
        image: spec of the picture vectors, None when the store has no pictures.
        text: spec of the text vectors, None when the store has no texts.
        shard_size: most rows a shard.
        dtype: stored type of the vectors, ``float16`` or ``float32``.
        compression: ``""``, ``lzf`` or ``gzip``.
    """

    kind: str
    image: EncoderSpec | None
    text: EncoderSpec | None
    shard_size: int = 10_000
    dtype: str = "float16"
    compression: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The info as JSON-ready values."""
        values = {**vars(self), "format": "huse-store", "version": STORE_VERSION}
        for modality in ("image", "text"):
            spec: EncoderSpec | None = values[modality]
            values[modality] = spec and {**spec.to_dict(), "fingerprint": spec.fingerprint}
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> StoreInfo:
        """The info that `to_dict` wrote.

        Raises:
            StoreError: the values are of another version, or a fingerprint does not match its spec.
        """
        values = dict(values)
        if values.pop("format", None) != "huse-store" or values.pop("version", None) != STORE_VERSION:
            raise StoreError(f"{STORE_FILE} is not of store version {STORE_VERSION}")
        for modality in ("image", "text"):
            if values[modality] is not None:
                written = values[modality].pop("fingerprint")
                values[modality] = EncoderSpec(**values[modality])
                if values[modality].fingerprint != written:
                    raise StoreError(f"{STORE_FILE}: the {modality} spec was edited, its fingerprint does not match")
        return cls(**values)


@dataclass(frozen=True)
class ClassVectors:
    """The class names of a store as vectors of a text encoder, from which the semantic graph is made.

    Attributes:
        labels: K label paths, sorted.
        texts: K texts that were embedded: class names (the last part of the path) or descriptions.
        vectors: (K, D) float32, one a text.
        encoder: ``name (dimension, fingerprint)`` of the text encoder.
    """

    labels: list[str]
    texts: list[str]
    vectors: NDArray[np.float32]
    encoder: str


def class_name(label: str) -> str:
    """The shown and embedded part of a label path: its last part."""
    return label.rsplit("/", 1)[-1]


def read_encoder_state(path: Path) -> Any:
    """What the text encoder of a store or a model has learned; None when it learns nothing, or nothing is there.

    Raises:
        StoreError: the file is damaged.
    """
    file = path / ENCODER_STATE_FILE
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: damaged ({error}); extract again with --overwrite") from error


def remove_store(path: str | Path) -> None:
    """Deletes a store, its own files alone; errors as `removable_files`."""
    # store.json goes last: as long as anything is left, the folder is known as a store
    for file in removable_files(path):
        file.unlink(missing_ok=True)


def removable_files(path: str | Path) -> list[Path]:
    """The files of a store that is to be deleted, store.json last; none when nothing is there.

    Raises:
        StoreError: the folder is there and holds no store, or something else too.
    """
    path = Path(path)
    if not path.exists() or (path.is_dir() and all(is_own_trace(entry.name) for entry in path.iterdir())):
        return []
    store = Store.open(path)
    names = (*CLASS_FILES, ENCODER_STATE_FILE, PLAN_FILE)
    files = [*(path / name for name in names), *map(store.shard_path, store.shard_indices())]
    files += [entry for entry in path.iterdir() if is_own_trace(entry.name)]
    others = sorted(entry.name for entry in set(path.iterdir()) - {*files, path / STORE_FILE})
    if others:
        raise StoreError(f"{path}: holds {others[0]!r} too, which is no part of a store; move it away")
    return [*files, path / STORE_FILE]


class Store:
    """A folder of shards. Create one with `Store.create`, open one with `Store.open`."""

    def __init__(self, path: Path, info: StoreInfo) -> None:
        self.path = path
        self.info = info

    @classmethod
    def create(cls, path: str | Path, info: StoreInfo) -> Store:
        """Creates a store, or opens the one that is there if it holds the same kind of vectors.

        Raises:
            FingerprintError: the store there was made by other encoders.
            StoreError: the folder is something else, or the store has another shard size, type or compression.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path}: is a file; name an empty or new folder")
        path.mkdir(parents=True, exist_ok=True)
        there = [entry.name for entry in path.iterdir()]
        if STORE_FILE in there:
            return cls._reopen(path, info)
        if not all(is_own_trace(name) for name in there):
            raise StoreError(f"{path}: exists and is not a huse store; name an empty or new folder")
        with replacing(path / STORE_FILE) as temporary:
            temporary.write_text(json.dumps(info.to_dict(), indent=2) + "\n", encoding="utf-8")
        return cls(path, info)

    @classmethod
    def _reopen(cls, path: Path, info: StoreInfo) -> Store:
        store = cls.open(path)
        for modality in ("image", "text"):
            require_same(
                getattr(store.info, modality), getattr(info, modality), f"{modality}: store {path} and this run"
            )
        if store.info != info:
            there, here = store.info.to_dict(), info.to_dict()
            changed = ", ".join(
                f"{name} {there[name]!r} not {here[name]!r}" for name in there if there[name] != here[name]
            )
            raise StoreError(f"{path}: the store has {changed}; use its values or a new folder")
        return store

    @classmethod
    def open(cls, path: str | Path, kind: str | None = None) -> Store:
        """Opens a store.

        Args:
            path: the folder.
            kind: refuse a store of another kind than this, if given.

        Raises:
            StoreError: no store there, or of the wrong kind.
        """
        path = Path(path)
        try:
            info = StoreInfo.from_dict(json.loads((path / STORE_FILE).read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise StoreError(
                f"{path}: no {STORE_FILE} there; make a store with huse extract MANIFEST {path}"
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, NotADirectoryError) as error:
            raise StoreError(f"{path / STORE_FILE}: damaged or not a huse store ({error})") from error
        if kind is not None and info.kind != kind:
            raise StoreError(f"{path}: holds {info.kind}, this command needs {kind}")
        return cls(path, info)

    def shard_path(self, index: int) -> Path:
        """The file of shard `index`."""
        return self.path / f"shard-{index:05d}.h5"

    def shard_indices(self) -> list[int]:
        """The numbers of the shards that are there, ascending."""
        found = (_SHARD_NAME.fullmatch(entry.name) for entry in self.path.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    def write(self, index: int, rows: Rows) -> None:
        """Writes shard `index`, replacing what is there in one step."""
        write_shard(self.shard_path(index), rows, self._attributes(index), self.info.dtype, self.info.compression)

    def write_all(self, parts: Iterable[Rows]) -> int:
        """Writes rows as full shards from shard 0 on, a shard in memory at a time; returns how many rows there were."""
        waiting: list[Rows] = []
        index = total = 0
        for part in parts:
            waiting.append(part)
            while sum(map(len, waiting)) >= self.info.shard_size:
                rows = concatenate(waiting)
                self.write(index, rows.take(np.arange(self.info.shard_size)))
                waiting = [rows.take(np.arange(self.info.shard_size, len(rows)))]
                index, total = index + 1, total + self.info.shard_size
        rest = [part for part in waiting if len(part)]
        if rest:
            self.write(index, concatenate(rest))
        return total + sum(map(len, rest))

    def read(self, index: int) -> Rows:
        """Reads shard `index` and checks that it is whole and of this store's encoders.

        Raises:
            ShardError: the shard is damaged, misplaced, or of other encoders.
        """
        path = self.shard_path(index)
        rows, attributes = read_shard(path)
        self._require_attributes(path, index, attributes)
        return rows

    def read_or_none(self, index: int) -> Rows | None:
        """Shard `index`, or None when it is not there, or is damaged, which is said: its rows are to be made anew."""
        try:
            return self.read(index) if self.shard_path(index).exists() else None
        except ShardError as error:
            tqdm.write(f"{error}; rebuilding it now", file=sys.stderr)
            return None

    def _attributes(self, index: int) -> dict[str, str | int]:
        fingerprints = {
            f"{modality}_fingerprint": spec.fingerprint if spec else ""
            for modality, spec in (("image", self.info.image), ("text", self.info.text))
        }
        return {"kind": self.info.kind, "shard": index, **fingerprints}

    def _require_attributes(self, path: Path, index: int, found: Attributes) -> None:
        for name, value in self._attributes(index).items():
            if found.get(name) != value:
                raise ShardError(f"{path}: {name} is {found.get(name)!r}, the store has {value!r}; remove the file")

    def __iter__(self) -> Iterator[Rows]:
        """The shards in order, each whole and verified."""
        return (self.read(index) for index in self.shard_indices())

    def __len__(self) -> int:
        """Number of rows, from the shards' attributes."""
        return sum(int(read_attributes(self.shard_path(index))["rows"]) for index in self.shard_indices())

    def keys(self, index: int) -> list[str]:
        """The keys of shard `index`, in order, without reading its vectors."""
        return list(read_columns(self.shard_path(index), ("key",))["key"])

    def write_plan(self, shards: int) -> None:
        """Keeps how many shards the store has when the run that fills it is done; all parts of a run say the same."""
        if shards != self.planned_shards():
            with replacing(self.path / PLAN_FILE) as temporary:
                temporary.write_text(json.dumps({"shards": shards}) + "\n", encoding="utf-8")

    def planned_shards(self) -> int:
        """How many shards there ought to be; 0 when nothing tells.

        Raises:
            StoreError: the file that tells is damaged.
        """
        try:
            return int(json.loads((self.path / PLAN_FILE).read_text(encoding="utf-8"))["shards"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path / PLAN_FILE}: damaged ({error}); delete it, and {MISSING}") from error

    def missing_shards(self) -> list[int]:
        """The numbers that are absent: of lost files, or of what an interrupted run or a part has not done yet."""
        there = self.shard_indices()
        return sorted(set(range(max([self.planned_shards(), *there]))) - set(there))

    def require_whole(self) -> None:
        """Refuses a store that was never written to, or that lacks shards.

        Raises:
            StoreError: it has no shard, or some are missing.
        """
        there, missing = self.shard_indices(), self.missing_shards()
        if not there:
            raise StoreError(f"{self.path}: the store has no shard; run huse extract MANIFEST {self.path}")
        if missing:
            of, first = len(missing) + len(there), self.shard_path(missing[0]).name
            raise StoreError(
                f"{self.path}: shards are missing, {len(missing)} of {of}, the first is {first}; {MISSING}"
            )

    def load(self, splits: tuple[str, ...] = ()) -> Rows:
        """All rows in memory, of the given splits or of all.

        Raises:
            StoreError: shards are missing, or no row is of these splits.
            ShardError: a shard is damaged.
        """
        self.require_whole()
        rows = concatenate(list(self))
        if not splits:
            return rows
        chosen = np.isin(rows.split.astype(str), splits)
        if not chosen.any():
            there = ", ".join(sorted({s or "(none)" for s in rows.split}))
            raise StoreError(f"{self.path}: no row of split {' or '.join(splits)}; the store has {there}")
        return rows.take(chosen)

    def failures(self) -> list[Failure]:
        """What went wrong in the rows of all shards."""
        return [failure for rows in self for failure in rows.failures]

    def verify(self) -> dict[str, str]:
        """Reads every byte; returns what is wrong by file name, empty when all is well."""
        missing = [self.shard_path(index) for index in self.missing_shards()]
        problems = {path.name: f"{path}: missing; {MISSING}" for path in missing}
        for index in tqdm(self.shard_indices(), desc="verify", unit="shard", disable=None):
            try:
                self.read(index)
            except ShardError as error:
                problems[self.shard_path(index).name] = str(error)
        return problems

    def write_classes(self, classes: ClassVectors, name: str = CLASSES_FILE) -> None:
        """Keeps the class vectors beside the shards, in `CLASSES_FILE` or `CLASS_TEXTS_FILE`."""
        rows = Rows.empty(len(classes.labels), 0, classes.vectors.shape[1])
        rows.key[:] = classes.labels
        rows.caption[:] = classes.texts
        rows.text = classes.vectors
        rows.has_text[:] = True
        write_shard(self.path / name, rows, {"kind": "classes", "encoder": classes.encoder}, "float32")

    def read_classes(self, name: str = CLASSES_FILE) -> ClassVectors | None:
        """The class vectors for the semantic graph, or None when the store has none (features made elsewhere)."""
        if not (self.path / name).exists():
            return None
        rows, attributes = read_shard(self.path / name)
        return ClassVectors(
            list(rows.key), list(rows.caption), rows.text.astype(np.float32), str(attributes["encoder"])
        )

    def read_class_texts(self) -> ClassVectors | None:
        """The class names as vectors of the store's own text encoder, to train on; None when there are none."""
        for name in CLASS_FILES:
            classes = self.read_classes(name)
            if classes is not None and classes.encoder == str(self.info.text):
                return classes
        return None

    def write_encoder_state(self, state: Any) -> None:
        """Keeps what a fitted text encoder has learned, as JSON."""
        with replacing(self.path / ENCODER_STATE_FILE) as temporary:
            temporary.write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")

    def inspect(self) -> dict[str, Any]:
        """What the store holds, as JSON-ready figures."""
        splits: Counter[str] = Counter()
        labels: Counter[str] = Counter()
        present = Counter({"image": 0, "text": 0})
        size = failed = 0
        for index in self.shard_indices():
            names = ("split", "label", "has_image", "has_text", "failures/key")
            columns = read_columns(self.shard_path(index), names)
            splits.update(value or "(none)" for value in columns["split"])
            labels.update(value for value in columns["label"] if value)
            present["image"] += int(columns["has_image"].sum())
            present["text"] += int(columns["has_text"].sum())
            failed += len(columns["failures/key"])
            size += self.shard_path(index).stat().st_size
        return {
            "path": str(self.path),
            "kind": self.info.kind,
            "rows": sum(splits.values()),
            "shards": len(self.shard_indices()),
            "bytes": size,
            "image": self.info.to_dict()["image"],
            "text": self.info.to_dict()["text"],
            "dtype": self.info.dtype,
            "compression": self.info.compression,
            "with_image": present["image"],
            "with_text": present["text"],
            "classes": len(labels),
            "splits": dict(sorted(splits.items())),
            "failures": failed,
        }
