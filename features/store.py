"""A folder of shards with one store.json: create, open, read, write, filter by split, and whole or not."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.features import companions
from huse.features.columns import Dimensions, decoded
from huse.features.companions import CLASSES_FILE, PLAN_FILE, ClassVectors
from huse.features.errors import ShardError, StoreError, UnreadableError
from huse.features.files.ahead import fetched_ahead
from huse.features.files.atomic import is_own_trace, sweep, write_files
from huse.features.files.cache import healed
from huse.features.files.place import is_remote, make_folder, place, reopen
from huse.features.filler import Filler
from huse.features.info import STORE_FILE, StoreInfo, read_info, require_same_info, write_info
from huse.features.looks import NO_LOOKS, Looks, looks_files
from huse.features.rows import Rows, gathered
from huse.features.shards.names import is_numbered, shard_name, shard_number
from huse.features.shards.shard import Attributes, open_shard, read_attributes, read_shard, shard_bytes
from huse.features.shards.version_2 import ShardColumns

T = TypeVar("T")


class Store:
    """A folder of shards. Create one with `Store.create`, open one with `Store.open`."""

    def __init__(self, path: Path, info: StoreInfo, identity: str = "") -> None:
        self.path = path
        self.info = info
        self.identity = identity
        self._swept = False
        self._listed: set[int] | None = None

    @classmethod
    def create(cls, path: str | Path, info: StoreInfo, origin: str = "") -> Store:
        """Creates a store, or opens the one that is there if it holds the same kind of vectors.

        Args:
            path: the folder.
            info: what holds for the whole store.
            origin: digest of what the store is made from. With the info it gives the store's id, which its shards
                carry, so that a shard of another store is known; equal ones give equal stores, byte for byte.

        Raises:
            FingerprintError: the store there was made by other encoders.
            StoreError: the folder is something else, or the store has another shard size, type or compression.
        """
        path = place(path)
        if path.exists() and not path.is_dir():
            raise StoreError(f"{path}: is a file; name an empty or new folder")
        make_folder(path)
        there = [entry.name for entry in path.iterdir()]
        if STORE_FILE in there:
            store = cls.open(path)
            require_same_info(path, store.info, info)
            return store
        if not all(is_own_trace(name) for name in there):
            raise StoreError(f"{path}: exists and is not a huse store; name an empty or new folder")
        return cls(path, info, write_info(path, info, origin))

    @classmethod
    def open(cls, path: str | Path, kind: str | None = None) -> Store:
        """Opens a store.

        Args:
            path: the folder.
            kind: refuse a store of another kind than this, if given.

        Raises:
            StoreError: no store there, or of the wrong kind.
        """
        path = place(path)
        reopen(path)
        info, identity = read_info(path)
        if kind is not None and info.kind != kind:
            raise StoreError(f"{path}: holds {info.kind}, this command needs {kind}")
        return cls(path, info, identity)

    def shard_path(self, number: int) -> Path:
        """The file of shard `number`."""
        return self.path / shard_name(number)

    def shard_numbers(self) -> list[int]:
        """The numbers of the shards that are there, ascending; of objects all that follows rests on one listing."""
        if self._listed is None or not is_remote(self.path):
            self._listed = {n for entry in self.path.iterdir() if (n := shard_number(entry.name)) is not None}
        return sorted(self._listed)

    def ahead(self) -> Iterator[int]:
        """The numbers of the shards, to read them in this order; of objects the next ones are fetched meanwhile."""
        return fetched_ahead(self.shard_numbers(), lambda number: [self.shard_path(number)])

    def write(self, number: int, rows: Rows) -> None:
        """Writes shard `number`, replacing what is there in one step; a plan that does not reach so far grows."""
        self.write_many({number: rows})
        if self.identity and (companions.read_plan(self.path, self.identity) or 0) <= number:
            companions.write_plan(self.path, self.identity, number + 1)

    def write_many(self, shards: Mapping[int, Rows], looks: Mapping[int, Looks] = NO_LOOKS) -> None:
        """Writes some shards, and looks, also of shards that stay; errors as `files_of` and `put`."""
        self.put(self.files_of(shards, looks))

    def files_of(self, shards: Mapping[int, Rows], looks: Mapping[int, Looks] = NO_LOOKS) -> dict[Path, bytes]:
        """The files of some shards and looks, made in memory.

        Raises:
            ShardError: a vector is not finite in the store's type.
        """
        dtype, compression, files, digests = self.info.dtype, self.info.compression, {}, {}
        for number, rows in shards.items():
            path = self.shard_path(number)
            files[path], digests[number] = shard_bytes(path, rows, self._attributes(number), dtype, compression)
        return files | looks_files(looks, digests, self.shard_path)

    def put(self, files: Mapping[Path, bytes]) -> None:
        """Writes such files, each whole, all synced together, as fast as one; an `OSError` is the disk's."""
        if not self._swept:
            sweep(self.path)
            self._swept = True
        if files:
            write_files(files, sweep=False)
        if self._listed is not None:
            self._listed.update(number for path in files if (number := shard_number(path.name)) is not None)

    def write_all(self, parts: Iterable[Rows]) -> int:
        """Writes rows as full shards from shard 0 on, one in memory, and the plan; returns how many rows there were."""
        filler = self.filler()
        for part in parts:
            filler.add(part)
        return filler.finish()

    def filler(self) -> Filler:
        """What takes rows as they come, and writes full shards from shard 0 on, and then the plan."""
        return Filler(self.info.shard_size, self.write, self.write_plan)

    def read(self, number: int) -> Rows:
        """Reads shard `number`, codes decoded, and checks that it is whole and of this store's encoders.

        Raises:
            ShardError: the shard is damaged, misplaced, or of other encoders.
        """
        return self.read_stored(number).decoded()

    def read_stored(self, number: int) -> Rows:
        """As `read`, with the vectors as they are stored: in a store of ``int8`` or ``binary`` these are codes."""
        path = self.shard_path(number)
        rows, attributes = read_shard(path, self.info.widths, self.info.dtype)
        self._require_attributes(path, number, attributes)
        return rows

    def columns(self, number: int, names: tuple[str, ...]) -> dict[str, Any]:
        """Some columns of shard `number`, verified, codes decoded, without reading the others; errors as `read`."""
        return self.read_from(number, lambda shard: decoded(shard.read(names)))

    def slice(self, number: int, names: tuple[str, ...], start: int, stop: int) -> dict[str, Any]:
        """Rows `start` to `stop` of some columns of shard `number`, each verified once; errors as `read`."""
        return self.read_from(number, lambda shard: decoded(shard.slice(names, start, stop)))

    def read_or_none(self, number: int) -> Rows | None:
        """Shard `number`, or None when it is not there, or is damaged, which is said: its rows are to be made anew."""
        listed = self._listed if is_remote(self.path) else None
        there = self.shard_path(number).exists() if listed is None else number in listed
        try:
            return self.read(number) if there else None
        except UnreadableError:  # what may be whole is not replaced
            raise
        except ShardError as error:
            tqdm.write(f"{error}; rebuilding it now", file=sys.stderr)
            return None

    def read_from(self, number: int, read: Callable[[ShardColumns], T]) -> T:
        """What a function gives of shard `number`, open and known to be this store's; errors as `read`."""
        path = self.shard_path(number)

        def opened() -> T:
            with open_shard(path, Dimensions(self.info.widths, self.info.dtype)) as shard:
                self._require_attributes(path, number, shard.attributes)
                return read(shard)

        return healed(path, opened)

    def _attributes(self, number: int) -> dict[str, str | int]:
        fingerprints = {f"{m}_fingerprint": spec.fingerprint if spec else "" for m, spec in self.info.specs.items()}
        mine = {"store": self.identity} if self.identity else {}  # stores of version 1 have no id
        return {"kind": self.info.kind, "shard": number, **fingerprints, **mine}

    def _require_attributes(self, path: Path, number: int, found: Attributes) -> None:
        for name, value in self._attributes(number).items():
            if found.get(name) != value:
                differs = f"{name} is {found.get(name)!r}, the store has {value!r}; it is another store's"
                raise ShardError(f"{path}: {differs}; remove the file and run the command that made the store again")

    def __iter__(self) -> Iterator[Rows]:
        """The shards in order, each whole and verified."""
        return (self.read(number) for number in self.ahead())

    def __len__(self) -> int:
        """Number of rows, from the shards' attributes."""
        return sum(int(read_attributes(self.shard_path(number))["rows"]) for number in self.ahead())

    def keys(self, number: int) -> list[str]:
        """The keys of shard `number`, in order, without reading its vectors."""
        return list(self.columns(number, ("key",))["key"])

    def write_plan(self, shards: int) -> None:
        """Keeps how many shards the store has when the run that fills it is done; all parts of a run say the same."""
        with suppress(StoreError):  # a damaged plan is replaced
            if companions.read_plan(self.path, self.identity) == shards:
                return
        companions.write_plan(self.path, self.identity, shards)

    def planned_shards(self) -> int | None:
        """How many shards there ought to be; None for stores of version 1 that do not tell.

        Raises:
            StoreError: the file that tells is damaged or missing.
        """
        shards = companions.read_plan(self.path, self.identity)
        if shards is None and self.identity:
            raise StoreError(f"{self.path / PLAN_FILE}: missing; run the command that made the store again")
        return shards

    def content_digest(self) -> str:
        """SHA-256 over the content digests of all shards."""
        shards = ((number, read_attributes(self.shard_path(number))) for number in self.ahead())
        lines = "".join(f"{number}:{attributes['content_digest']}\n" for number, attributes in shards)
        return hashlib.sha256(lines.encode()).hexdigest()

    def missing_shards(self) -> list[int]:
        """The numbers that are absent: of lost files, or of what an interrupted run or a part has not done yet."""
        there = self.shard_numbers()
        return sorted(set(range(max([self.planned_shards() or 0, *there]))) - set(there))

    def surplus_shards(self) -> list[int]:
        """The numbers above those of the plan: of a run that was interrupted, or copied here from elsewhere."""
        planned = self.planned_shards()
        return [] if planned is None else [number for number in self.shard_numbers() if number >= planned]

    def require_whole(self) -> None:
        """Refuses a store that was never written to, that lacks shards, or that has more than it ought to.

        Raises:
            StoreError: the message names the first shard.
        """
        there = self.shard_numbers()
        if not there and not (self.path / PLAN_FILE).exists():
            raise StoreError(f"{self.path}: the store has no shard; run the command that made it again")
        missing, surplus = self.missing_shards(), self.surplus_shards()
        if missing:
            lost = f"{len(missing)} of {len(missing) + len(there)}, the first is {self.shard_path(missing[0]).name}"
            raise StoreError(f"{self.path}: shards are missing, {lost}; {companions.MISSING}")
        if surplus:
            raise StoreError(f"{self.shard_path(surplus[0])} is more than the plan has; {companions.SURPLUS}")
        if not there:
            raise StoreError(f"{self.path}: the store has no rows; run the command that made it, on some rows")

    def load(self, splits: tuple[str, ...] = ()) -> Rows:
        """All rows of the given splits, or of all, in memory; of the others a shard at a time.

        Raises:
            StoreError: shards are missing, or no row is of these splits.
            ShardError: a shard is damaged.
        """
        self.require_whole()
        chosen, there = dict[int, NDArray[np.bool_]](), set[str]()
        for number in self.ahead():
            split = self.columns(number, ("split",))["split"].astype(str)
            there |= set(split)
            chosen[number] = np.isin(split, splits) if splits else np.ones(len(split), bool)
        if splits and not any(mine.any() for mine in chosen.values()):
            named = ", ".join(sorted(name or "(none)" for name in there))
            raise StoreError(f"{self.path}: no row of split {' or '.join(splits)}; the store has {named}")
        wanted = (number for number, mine in chosen.items() if mine.any() or not splits)
        parts = (rows if mine.all() else rows.take(mine) for rows, mine in ((self.read(i), chosen[i]) for i in wanted))
        return gathered(parts, sum(int(mine.sum()) for mine in chosen.values()))

    def is_own(self, entry: Path) -> bool:
        """Whether an entry of the folder is a file of the store, or a temporary one or a lock of its writers."""
        named = entry.name in (STORE_FILE, *companions.FILES)
        return named or is_numbered(entry.name) or is_own_trace(entry.name)

    def write_classes(self, classes: ClassVectors, name: str = CLASSES_FILE) -> None:
        """Keeps the class vectors beside the shards, in one of `CLASS_FILES`."""
        companions.write_class_vectors(self.path / name, classes, self.identity)

    def read_classes(self, name: str = CLASSES_FILE) -> ClassVectors | None:
        """The class vectors for the semantic graph, or None when the store has none (features made elsewhere)."""
        return companions.read_class_vectors(self.path / name, self.identity)
