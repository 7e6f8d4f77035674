"""A store, a model or embeddings: what it is, every file checked, and what to type about what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huse.doctor.finding import Finding
from huse.features.counted import counted
from huse.features.delivered import CHANGES_FOLDER
from huse.features.encoder_spec import EncoderSpec, imported_spec
from huse.features.errors import HuseError, StoreError
from huse.features.files.atomic import is_own_trace
from huse.features.files.cache import local_copy
from huse.features.files.lock import lock_path
from huse.features.files.place import place
from huse.features.info import EMBEDDINGS, STORE_FILE
from huse.features.inspection import INDEX_FOLDER, verify_store
from huse.features.store import Store
from huse.train.artifact.model_files import CONFIG_FILE, FORMAT, check_model, checkpoint_path, read_config

MODEL = "model"
READ_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Examined:
    """What was looked at.

    Attributes:
        path: the folder or file.
        kind: ``features``, ``embeddings`` or ``model``.
        contents: what it holds, in a few words.
        findings: what is wrong, worst first; empty when all is well.
    """

    path: Path
    kind: str
    contents: str
    findings: list[Finding]


def examine(path: Path) -> Examined:
    """Finds out what a path is, and reads every byte of it; TensorFlow is not loaded.

    Raises:
        StoreError: it is none of huse's folders; the message names those that lie in it.
    """
    path = place(path)
    if (path / STORE_FILE).is_file():
        return _examine_store(path)
    if (path / CONFIG_FILE).is_file():
        return _examine_model(path)
    if path.suffix in (".npy", ".parquet") and path.with_suffix(".store").is_dir():
        return _examine_store(path.with_suffix(".store"))
    raise StoreError(f"{path}: {_told(path)}")


def _told(path: Path) -> str:
    if not path.exists():
        return "is not there; name a store, a model or embeddings"
    if path.is_file():
        return "is a file; name a store, a model or embeddings, or a .npy or .parquet file beside its .store"
    inside = sorted(
        entry.name for entry in path.iterdir() if (entry / STORE_FILE).is_file() or (entry / CONFIG_FILE).is_file()
    )
    return f"is no store and no model; of its folders these are: {', '.join(inside) or 'none'}"


def _examine_store(path: Path) -> Examined:
    try:
        store = Store.open(path)
    except (HuseError, OSError) as error:
        command = f"huse extract MANIFEST {path} --overwrite"
        return Examined(path, "store", "unreadable", [_finding(path, STORE_FILE, str(error), command)])
    again = _command(store)
    problems = verify_store(store) | _stale_indexes(store)
    findings = [_finding(path, name, what, _remedy(store, name, again)) for name, what in sorted(problems.items())]
    findings += _traces(path, again)
    return Examined(path, store.info.kind, _contents(store, bool(findings)), findings)


def _finding(folder: Path, name: str, what: str, command: str) -> Finding:
    """What is wrong with a file; of one that cannot be read nothing is known, and no command makes it anew."""
    why = _why_unread(folder / name)
    if why:
        return Finding(name, f"{folder / name}: cannot be read ({why}); make it readable, or put back a copy of it")
    return Finding(name, what, command)


def _why_unread(file: Path) -> str:
    """Why a file that is there cannot be read to its end; empty when it can."""
    if not file.is_file():
        return ""
    try:
        with local_copy(file).open("rb") as content:
            while content.read(READ_AT_ONCE):
                pass
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _command(store: Store) -> str:
    if store.info.kind == EMBEDDINGS:
        return f"huse embed MODEL SOURCE {store.path}"
    made_elsewhere = any(spec == imported_spec(spec.modality, spec.dimension, spec.name) for spec in _specs(store))
    return f"huse store import {store.path}" if made_elsewhere else f"huse extract MANIFEST {store.path}"


def _specs(store: Store) -> list[EncoderSpec]:
    return [spec for spec in (store.info.image, store.info.text) if spec]


def _contents(store: Store, damaged: bool) -> str:
    encoders = " and ".join(map(str, _specs(store)))
    shards = len(store.shard_numbers())
    version = "" if store.identity else "; of format version 1, which is read as ever"
    rows = counted(shards, "shard") if damaged else f"{counted(len(store), 'row')} in {counted(shards, 'shard')}"
    return f"{rows}, {encoders}{version}"


def _traces(path: Path, again: str) -> Iterator[Finding]:
    """Temporary files of runs that were killed, and locks of runs that may be at work."""
    for entry in sorted(path.iterdir()):
        if is_own_trace(entry.name) and entry.suffix != ".lock":
            yield Finding(entry.name, "of a run that was killed, or is at work; the next run removes it", again)
    lock = lock_path(path)
    if lock is not None and lock.exists():
        holder = lock.read_text(encoding="utf-8", errors="replace").strip() or "a process"
        yield Finding(lock.name, f"{holder} writes here, or was killed; a dead process holds nothing", again)


def _remedy(store: Store, name: str, again: str) -> str:
    """The command that mends a file; none of what was said to a database, of which the line says what can be done."""
    return "" if name.startswith(f"{CHANGES_FOLDER}/") else _search(store, name) or again


def _search(store: Store, name: str) -> str:
    """The command that makes an index anew, by the name of its file; empty for other files."""
    folder, _, file = name.rpartition("/")
    kind = Path(file).stem.rpartition("-")[2]
    return f"huse search MODEL {store.path} --index {kind} --text WORDS" if folder == INDEX_FOLDER else ""


def _stale_indexes(store: Store) -> dict[str, str]:
    """Indexes of other rows than those that are there, by file; damaged ones are left to `Store.verify`."""
    stale = {}
    for described in sorted((store.path / INDEX_FOLDER).glob("*.json")):
        try:
            if json.loads(described.read_text(encoding="utf-8"))["digest"] != store.content_digest():
                name = f"{INDEX_FOLDER}/{described.stem}.faiss"
                stale[name] = f"{described}: is of other rows; the next search makes it anew"
        except (OSError, ValueError, KeyError, TypeError, HuseError):  # verify tells
            continue
    return stale


def _examine_model(path: Path) -> Examined:
    again = f"huse fit STORE {path} --overwrite"
    unread = [_finding(path, file.name, "", "") for file in sorted(path.iterdir()) if _why_unread(file)]
    if unread:
        return Examined(path, MODEL, "unreadable", unread)
    findings = [Finding(name, what, again) for name, what in sorted(check_model(path).items())]
    checkpoint = checkpoint_path(path)
    if checkpoint.exists():
        what = "a fit of this model was interrupted; the same fit with resume=True (--resume) goes on from here"
        findings.append(Finding(checkpoint.name, what, f"huse fit STORE {path} --overwrite --resume"))
    contents = "unreadable"
    if CONFIG_FILE not in {finding.where for finding in findings}:
        config = read_config(path, check_files=False)
        encoders = " and ".join(str(spec) for spec in (config.image, config.text) if spec)
        contents = f"{FORMAT}, {config.fit.dimension}-d over {encoders}, fingerprint {config.fingerprint[:12]}"
    return Examined(path, MODEL, contents, findings)
