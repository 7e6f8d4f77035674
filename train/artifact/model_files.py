"""The files of a model folder beside the network: written with their digests, and checked before anything is loaded."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.companions import ENCODER_STATE_FILE, read_encoder_state
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import FitError, HuseError, ModelError
from huse.features.files.cache import forget, local_copy
from huse.features.files.place import place, reopen
from huse.features.settings import SETTINGS_FILE
from huse.train.config import FitConfig

FORMAT = "huse-model"
MODEL_VERSION = 2
CONFIG_FILE = "config.json"
FOR_PEOPLE = ("README.md",)
"""What may be edited: nothing reads it."""

NEEDED = ("model.keras", "classes.json", "semantic_graph.npy", "metrics.json", "history.csv")
FILES = (*NEEDED, CONFIG_FILE, *FOR_PEOPLE, ENCODER_STATE_FILE, SETTINGS_FILE, ".gitattributes")
"""All that a model folder may hold, as saved or as a card was exported."""


@dataclass(frozen=True)
class ModelConfig:
    """What config.json says.

    Attributes:
        fit: hyperparameters.
        image: spec of the image encoder, or None.
        text: spec of the text encoder, or None.
        fusion_weight: share of the image in the fused probability.
        fingerprint: of the weights.
    """

    fit: FitConfig
    image: EncoderSpec | None
    text: EncoderSpec | None
    fusion_weight: float
    fingerprint: str


def write_config(folder: Path, values: dict[str, Any]) -> None:
    """Writes config.json with the digest of every file that is in the folder by now, and one of its own."""
    files = {entry.name: _digest_file(entry) for entry in sorted(folder.iterdir())}
    values = {**values, "files": files}
    write_json(folder / CONFIG_FILE, {**values, "digest": _digest(values)})


def read_config(folder: Path, check_files: bool = True) -> ModelConfig:
    """What config.json says, once it and the files it names are known to be those that were written.

    Models of version 1 have no digests; they are read as they are.

    Args:
        folder: the model.
        check_files: compare the digests of all other files too.

    Raises:
        ModelError: not a model folder, of another version, edited or damaged.
    """
    values = _read_json(folder / CONFIG_FILE, folder)
    if (
        not isinstance(values, dict)
        or values.get("format") != FORMAT
        or values.get("version") not in (1, MODEL_VERSION)
    ):
        raise ModelError(f"{folder}: config.json is not of model version 1 to {MODEL_VERSION}")
    if values["version"] == MODEL_VERSION:
        if values.pop("digest", None) != _digest(values):
            raise ModelError(f"{folder}: config.json was edited or damaged, its digest does not match; fit it again")
        problems = file_problems(folder, values["files"]) if check_files else {}
        if problems:
            raise ModelError(next(iter(problems.values())))
    try:
        weight = float(values["fusion_weight"])
        if not 0 <= weight <= 1:
            raise ValueError(f"fusion_weight {weight}")
        fingerprint = values["fingerprint"]
        if not isinstance(fingerprint, str):
            raise TypeError("fingerprint is no string")
        fit = FitConfig(**{"precision": "float32", **values["fit"]})  # before there was a choice it was that
        return ModelConfig(fit, _spec(values, "image"), _spec(values, "text"), weight, fingerprint)
    except (KeyError, TypeError, ValueError, AttributeError, FitError) as error:
        raise ModelError(f"{folder}: config.json is damaged ({first_line(error)}); fit it again") from error


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model of huse, damaged or not: its config.json says so, or cannot be read any more."""
    if not (folder / CONFIG_FILE).is_file():
        return False
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except ValueError:
        return all((folder / name).is_file() for name in NEEDED)
    return isinstance(values, dict) and values.get("format") == FORMAT


def file_problems(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """What is wrong with the files that config.json names, by name; empty when all are as they were written."""
    problems = {}
    for name, digest in files.items():
        try:
            if not _is_as_written(folder / name, digest):
                problems[name] = f"{folder}: {name} does not match its digest in config.json; fit it again"
        except FileNotFoundError:
            problems[name] = f"{folder}: no {name} there; make a model with huse fit"
        except OSError as error:
            problems[name] = f"{folder}: {name} cannot be read ({error.strerror}); make it readable"
    return problems


def checkpoint_path(folder: Path) -> Path:
    """Where the fit of a model keeps its checkpoint: beside the folder, also when that is named ``.``."""
    there = folder.absolute()
    return there.with_name(f"{there.name}.checkpoint.npz")


def check_model(folder: str | Path) -> dict[str, str]:
    """Checks every file of a model folder without loading the network; what is wrong by file name.

    Raises:
        ModelError: not a model folder.
    """
    folder = place(folder)
    reopen(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise ModelError(f"{folder}: no config.json there; make a model with huse fit")
    problems: dict[str, str] = {}
    try:
        read_config(folder, check_files=False)
        values = _read_json(folder / CONFIG_FILE, folder)
        problems |= file_problems(folder, values.get("files") or dict.fromkeys(NEEDED, ""))
        if "files" not in values:  # of version 1: all that can be told is whether they are there
            problems = {name: told for name, told in problems.items() if not (folder / name).is_file()}
    except ModelError as error:
        problems[CONFIG_FILE] = str(error)
    for name, check in (("classes.json", read_classes), ("text_encoder.json", read_encoder_state)):
        try:
            check(folder)
        except HuseError as error:
            problems.setdefault(name, str(error))
    return problems


def read_classes(folder: Path) -> tuple[list[str], NDArray[np.float32]]:
    """The K classes of a model and their (K, K) semantic graph.

    Raises:
        ModelError: they are damaged, or do not fit each other.
    """
    classes = _read_json(folder / "classes.json", folder)
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ModelError(f"{folder}: classes.json is no list of names; fit it again")
    try:
        graph = np.load(local_copy(folder / "semantic_graph.npy"), allow_pickle=False)
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no semantic_graph.npy there; make a model with huse fit") from error
    except (ValueError, EOFError) as error:
        raise ModelError(f"{folder}: semantic_graph.npy is damaged ({first_line(error)}); fit it again") from error
    if graph.shape != (len(classes), len(classes)) or graph.dtype.kind != "f" or not np.isfinite(graph).all():
        raise ModelError(
            f"{folder}: semantic_graph.npy has shape {graph.shape} for {len(classes)} classes, or is not finite; "
            "fit it again"
        )
    if len(set(classes)) < len(classes):
        raise ModelError(f"{folder}: classes.json names a class twice; fit it again")
    return classes, graph


def write_json(path: Path, values: Any) -> None:
    """Values as indented JSON in UTF-8."""
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """One line an epoch, and a column for everything that an epoch may tell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for entry in history for name in entry)))
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, Any]]:
    """What `write_history` wrote, as strings; empty when there is no such file, as in models of version 1."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in entry.items() if value != ""} for entry in csv.DictReader(file)]


def first_line(error: BaseException) -> str:
    """An error's first line, or its name when it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _spec(values: dict[str, Any], modality: str) -> EncoderSpec | None:
    found = values[modality]
    if found is None:
        return None
    written = found.get("fingerprint")
    spec = EncoderSpec.from_dict({name: value for name, value in found.items() if name != "fingerprint"})
    if spec is None or spec.fingerprint != written:
        raise ValueError(f"the {modality} spec does not match its fingerprint")
    return spec


def _read_json(path: Path, folder: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelError(f"{folder}: no {path.name} there; make a model with huse fit") from error
    except ValueError as error:
        raise ModelError(f"{folder}: {path.name} is damaged ({first_line(error)}); fit it again") from error


def _digest(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _is_as_written(path: Path, digest: str) -> bool:
    """Whether a file has a digest; of an object a copy that has not is fetched again."""
    return _digest_file(path) == digest or (forget(path) and _digest_file(path) == digest)


def _digest_file(path: Path) -> str:
    with local_copy(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
