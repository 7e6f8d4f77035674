"""What an ONNX file tells of its graph, read without running anything: its protocol buffer is walked once.

Field numbers are those of onnx.proto. What is large, the weights, is stepped over.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from huse.features.errors import EncoderError

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5
"""Kinds of fields on the wire; `EIGHT_BYTES` and `FOUR_BYTES` hold nothing that is wanted here."""

Field = tuple[int, int | memoryview]

KINDS = {1: "float32", 6: "int32", 7: "int64", 10: "float16", 11: "float64"}
"""Types of tensors that are fed or taken, as NumPy names them."""


@dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
        kind: NumPy's name of its type; empty for one that is not of `KINDS`.
        shape: sizes; 0 for what is open.
    """

    kind: str
    shape: tuple[int, ...]


@dataclass
class Graph:
    """What is known of a graph.

    Attributes:
        inputs: by name.
        outputs: by name, in order.
        external: files with weights, by their paths from the model's folder.
        operations: names of all operations, those of inner graphs among them.
    """

    inputs: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    external: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)

    @property
    def quantizes(self) -> bool:
        """Whether it takes the scale of its activations from a whole batch, so that vectors hang on their neighbors."""
        return any(name.startswith("DynamicQuantize") for name in self.operations)


def read_graph(path: Path) -> Graph:
    """The graph of a model file.

    Raises:
        EncoderError: not an ONNX model, or weights that lie outside its folder.
    """
    graph = Graph()
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # what raises holds on to views of the file, which cannot be closed meanwhile: they end with `walk`
            walked = _walk(graph, content)
    except OSError as error:
        raise EncoderError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:  # an empty file
        raise EncoderError(f"{path}: not an ONNX model ({error})") from error
    if not (walked and graph.outputs):
        raise EncoderError(f"{path}: not an ONNX model, or damaged; export or download it again")
    for name in sorted(graph.external):
        if not _is_inside(name):
            raise EncoderError(f"{path}: keeps weights outside its folder, in {name!r}; save it with files beside it")
    return graph


def _is_inside(name: str) -> bool:
    """Whether a path stays in its folder; what begins with * may stand for a place in memory to ONNX Runtime."""
    return (
        bool(name)
        and ".." not in PurePosixPath(name).parts
        and not (PureWindowsPath(name).anchor or name.startswith(("/", "*")))
    )


def _walk(graph: Graph, content: mmap.mmap) -> bool:
    with memoryview(content) as view:
        try:
            for number, value in _fields(view):
                if number == 7:
                    _take_graph(graph, _bytes(value), outermost=True)
                if number == 25:
                    _take_function(graph, _bytes(value))
        except (IndexError, ValueError, RecursionError):
            return False
    return True


def _take_graph(graph: Graph, view: memoryview, outermost: bool = False) -> None:
    initialized = set()
    for number, value in _fields(view):
        if number == 1:
            _take_node(graph, _bytes(value))
        elif number == 5:
            initialized.add(_take_tensor(graph, _bytes(value)))
        elif number == 15:
            _take_sparse_tensor(graph, _bytes(value))
        elif number in (11, 12) and outermost:
            name, tensor = _value(_bytes(value))
            (graph.inputs if number == 11 else graph.outputs)[name] = tensor
    for name in initialized & graph.inputs.keys() if outermost else ():  # as older files list them
        del graph.inputs[name]


def _take_node(graph: Graph, view: memoryview) -> None:
    for number, value in _fields(view):
        if number == 4:
            graph.operations.add(_text(value))
        elif number == 5:
            _take_attribute(graph, _bytes(value))


def _take_function(graph: Graph, view: memoryview) -> None:
    for number, value in _fields(view):
        if number == 7:
            _take_node(graph, _bytes(value))
        elif number == 11:  # what attributes are where a node does not say
            _take_attribute(graph, _bytes(value))


def _take_attribute(graph: Graph, view: memoryview) -> None:
    for number, value in _fields(view):
        if number in (5, 10):
            _take_tensor(graph, _bytes(value))
        elif number in (6, 11):
            _take_graph(graph, _bytes(value))
        elif number in (22, 23):
            _take_sparse_tensor(graph, _bytes(value))


def _take_sparse_tensor(graph: Graph, view: memoryview) -> None:
    for number, value in _fields(view):
        if number in (1, 2):  # values and indices
            _take_tensor(graph, _bytes(value))


def _take_tensor(graph: Graph, view: memoryview) -> str:
    """Notes where a tensor's values lie; returns its name."""
    name = ""
    for number, value in _fields(view):
        if number == 8:
            name = _text(value)
        elif number == 13:
            entry = {key: _text(part) for key, part in _fields(_bytes(value))}
            if entry.get(1) == "location":
                graph.external.add(entry.get(2, ""))
    return name


def _value(view: memoryview) -> tuple[str, Tensor]:
    """Name, type and shape of an input or output."""
    name, kind, shape = "", "", []
    for number, value in _fields(view):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for part, tensor in (
                (p, t) for n, typed in _fields(_bytes(value)) if n == 1 for p, t in _fields(_bytes(typed))
            ):
                if part == 1 and isinstance(tensor, int):
                    kind = KINDS.get(tensor, "")
                elif part == 2:
                    shape = [_size(_bytes(dim)) for n, dim in _fields(_bytes(tensor)) if n == 1]
    return name, Tensor(kind, tuple(shape))


def _size(view: memoryview) -> int:
    sizes = (value for number, value in _fields(view) if number == 1 and isinstance(value, int))
    size = next(sizes, 0)
    return size if size < 1 << 31 else 0


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message is due")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode("utf-8", "replace")


def _fields(view: memoryview) -> Iterator[Field]:
    """The fields of a message, each by its number."""
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _varint(view, at)
            yield tag >> 3, value
            continue
        if kind == LENGTH:
            length, at = _varint(view, at)
            if length > len(view) - at:
                raise ValueError("a field longer than its message")
            yield tag >> 3, view[at : at + length]
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError("no field")
        at += length


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("no number")
