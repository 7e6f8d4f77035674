"""The files of an exported model: its graph by modality, and the settings beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from huse.extract.encoders.onnx.folder import Folder
from huse.extract.encoders.onnx.graph import Graph, read_graph
from huse.extract.encoders.onnx.hub_repository import SCHEME, HubRepository
from huse.features.errors import EncoderError

GRAPHS = {
    "image": ("onnx/vision_model.onnx", "vision_model.onnx", "onnx/model.onnx", "model.onnx"),
    "text": ("onnx/text_model.onnx", "text_model.onnx", "onnx/model.onnx", "model.onnx"),
}
"""Where a folder has its graph; the first that is there is taken."""

SETTINGS = {
    "image": ("preprocessor_config.json", "processor_config.json"),
    "text": (
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
        "modules.json",
        "1_Pooling/config.json",
    ),
}
"""What is read beside a graph."""

MOST_BYTES = 1 << 26
"""Of a file of settings; the largest, tokenizers of many languages, have some 20 MB."""


@dataclass(frozen=True)
class Wanted:
    """What stands behind ``onnx:``, as ``PLACE#OUTPUT:POOLING``.

    Attributes:
        place: a folder, a file .onnx, or ``hf://ORG/NAME@REVISION``, also with a file behind it.
        output: of the graph; empty for the first known one.
        pooling: how an output of vectors a token becomes one vector; empty for what the model's settings say.
    """

    place: str
    output: str = ""
    pooling: str = ""

    @classmethod
    def of(cls, argument: str) -> Wanted:
        """Of the text behind the colon; a folder that is there may have a # in its name."""
        if "#" not in argument or (not argument.startswith(SCHEME) and Path(argument).exists()):
            return cls(argument)
        place, _, output = argument.rpartition("#")
        name, colon, pooling = output.rpartition(":")
        return cls(place, name, pooling) if colon and pooling.isidentifier() else cls(place, output)

    @property
    def whole(self) -> str:
        """The same, with a folder named from the root on.

        Raises:
            EncoderError: there is no such folder.
        """
        place = self.place if self.place.startswith(SCHEME) else Folder.of(self.place).place
        return f"{place}{self.end}"

    @property
    def end(self) -> str:
        """What stands behind the place."""
        pooling = f":{self.pooling}" if self.pooling else ""
        return f"#{self.output}{pooling}" if self.output or pooling else ""


@dataclass(frozen=True)
class ModelFiles:
    """The files that decide the vectors of a model.

    Attributes:
        place: what names the model again on this machine.
        called: the name of the model, of its folder or on the hub.
        graph_path: the .onnx file.
        settings: those of `SETTINGS` that are there.
        weights: what the graph keeps in files of its own, by their paths from its folder.
        graph: what the graph tells of itself.
    """

    place: str
    called: str
    graph_path: Path
    settings: Mapping[str, Path]
    weights: Mapping[str, Path]
    graph: Graph

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all files, wherever they lie; taking it runs nothing."""
        result = hashlib.sha256()
        named = {"graph": self.graph_path, **self.settings, **{f"weights {n}": p for n, p in self.weights.items()}}
        for name, path in sorted(named.items()):
            result.update(f"{name}:{path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                result.update(hashlib.file_digest(file, "sha256").digest())
        return result.hexdigest()

    def small(self, name: str) -> Path | None:
        """Where a file of settings lies; None when there is none.

        Raises:
            EncoderError: it is larger than settings are.
        """
        path = self.settings.get(name)
        if path is not None and path.stat().st_size > MOST_BYTES:
            raise EncoderError(f"{path}: too large for settings; download it again")
        return path

    def json(self, name: str) -> dict[str, Any]:
        """The settings of a file; none when it is not there.

        Raises:
            EncoderError: it is no JSON object.
        """
        found = self.json_value(name)
        if found is not None and not isinstance(found, dict):
            raise EncoderError(f"{self.settings[name]}: not a JSON object; download it again")
        return found or {}

    def json_value(self, name: str) -> Any:
        """As `json`, of any JSON value."""
        path = self.small(name)
        if path is None:
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise EncoderError(f"{path}: not JSON ({str(error).splitlines()[0]}); download it again") from error


def model_files(place: str, modality: str) -> ModelFiles:
    """The files of a model; those of the hub are downloaded first.

    Raises:
        EncoderError: no such folder or model, it has no graph for the modality, or lacks weights.
    """
    source: Folder | HubRepository = HubRepository.of(place) if place.startswith(SCHEME) else Folder.of(place)
    name, path = _graph(source, place, modality)
    beside = PurePosixPath(name).parent
    graph, weights = read_graph(path), {}
    for external in sorted(graph.external):
        found = source.find(str(beside / external))
        if found is None:
            raise EncoderError(f"{path}: its weights {external} are missing; put them beside it")
        weights[external] = found
    folders = (beside, beside.parent) if source.file else (PurePosixPath(), beside)
    settings = {}
    for setting in SETTINGS[modality]:
        found = next(filter(None, (source.find(str(f / setting)) for f in dict.fromkeys(folders))), None)
        if found is not None:
            settings[setting] = found
    return ModelFiles(source.place, source.called, path, settings, weights, graph)


def _graph(source: Folder | HubRepository, place: str, modality: str) -> tuple[str, Path]:
    """The path of a model's graph below its place, and on this machine."""
    candidates = (source.file,) if source.file else GRAPHS[modality]
    for name in candidates:
        path = source.find(name)
        if path is not None:
            return name, path
    other = "text" if modality == "image" else "image"
    if isinstance(source, Folder) and not source.file and any(map(source.find, GRAPHS[other])):
        way_out = f"name it by {other}_encoder (--{other}-encoder)"
        raise EncoderError(f"onnx:{place}: is a model of {other}s alone, not of {modality}s; {way_out}")
    why = f" ({source.problem})" if source.problem else ""
    raise EncoderError(f"onnx:{place}: has no {' or '.join(candidates)}{why}; name a .onnx file itself, onnx:FILE")
