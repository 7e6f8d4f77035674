"""Which output of a graph is the vectors, and how those of tokens become one."""

from __future__ import annotations

from dataclasses import dataclass

from huse.extract.encoders.onnx.files import ModelFiles, Wanted
from huse.extract.encoders.onnx.pooling import POOLINGS, Modules, Pooling
from huse.features.errors import EncoderError

OF_TOKENS = ("last_hidden_state", "token_embeddings")
"""Outputs of one vector a token, or a patch."""

OF_IMAGES = ("image_embeds", "pooler_output", *OF_TOKENS)
OF_TEXTS = ("text_embeds", "sentence_embedding", "pooler_output", *OF_TOKENS)
"""Known outputs, the first that is there is taken."""

WHOLE = "sentence_embedding"
"""An output that has all modules of sentence-transformers behind it."""


@dataclass(frozen=True)
class Output:
    """What is taken of a graph.

    Attributes:
        name: of the output.
        pooling: of vectors of tokens; None for an output of one vector an item.
        normalize: whether vectors get unit length.
    """

    name: str
    pooling: Pooling | None
    normalize: bool = False

    def __str__(self) -> str:
        """In words, for the spec."""
        pooled = f"{' and '.join(self.pooling.names)} of {self.name}" if self.pooling else self.name
        return f"{pooled}; unit length" if self.normalize else pooled


def image_output(files: ModelFiles, wanted: Wanted) -> Output:
    """The output of a model of images; the first vector, of the class token, stands for those of patches.

    Raises:
        EncoderError: none is known, or there is none of the name that is asked for.
    """
    return Output(*_output(files, wanted, OF_IMAGES, Pooling(("cls",))))


def text_output(files: ModelFiles, wanted: Wanted) -> Output:
    """The output of a model of texts, with what sentence-transformers does behind it.

    Raises:
        EncoderError: as `image_output`; or what is done behind it needs weights that are not there.
    """
    modules = Modules.of(files)
    known = OF_TEXTS if modules.pooling is None else (WHOLE, *OF_TOKENS, *OF_TEXTS)
    name, pooling = _output(files, wanted, known, modules.pooling or Pooling())
    if modules.unknown and name != WHOLE and not wanted.output:
        raise EncoderError(
            f"onnx:{files.place}: {modules.unknown} of modules.json is not in the graph; export it with the output "
            f"{WHOLE}, or name an output that stands before it, onnx:FOLDER#{name}"
        )
    return Output(name, pooling, modules.normalize and not (wanted.output and modules.unknown))


def _output(files: ModelFiles, wanted: Wanted, known: tuple[str, ...], usual: Pooling) -> tuple[str, Pooling | None]:
    outputs = files.graph.outputs
    name = (
        wanted.output
        or next((n for n in known if n in outputs), "")
        or (next(iter(outputs)) if len(outputs) == 1 else "")
    )
    if name not in outputs:
        what = f"has no output {name!r}, it has" if name else "has outputs of no known name,"
        raise EncoderError(f"{files.graph_path}: {what} {', '.join(outputs)}; name one, onnx:{files.place}#OUTPUT")
    rank = len(outputs[name].shape)
    if rank not in (2, 3, 4):
        raise EncoderError(f"{files.graph_path}: {name} has {rank} axes, no vectors; name another output, #OUTPUT")
    if wanted.pooling and (rank != 3 or wanted.pooling not in POOLINGS):
        why = f"{name} has one vector an item" if rank != 3 else f"it is one of {', '.join(POOLINGS)}"
        raise EncoderError(f"onnx:{files.place}{wanted.end}: no pooling {wanted.pooling!r} here; {why}")
    return name, (Pooling((wanted.pooling,)) if wanted.pooling else usual) if rank == 3 else None
