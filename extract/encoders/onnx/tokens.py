"""Texts become numbers of tokens, as tokenizer.json and what stands beside it say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.extract.encoders.onnx.files import ModelFiles
from huse.features.errors import EncoderError
from huse.features.extras import require

USUAL_TOKENS = 512
"""Most tokens of a text where nothing tells."""

NO_LIMIT = 1 << 20
"""Numbers above it stand for none, as `model_max_length` of a tokenizer that knows no model."""

OFFSET = re.compile("roberta|camembert|mpnet")
"""Types of networks whose first place is not 0."""

E5 = re.compile(r"(^|[-_/])e5([-_]|$)")
E5_PROMPT = "query: "
"""What the authors of e5 put before texts that are compared with each other."""


@dataclass(frozen=True)
class Tokens:
    """The tokens of n texts, padded to t.

    Attributes:
        ids: (n, t).
        mask: (n, t), 1 where a token is of the text and 0 where it pads.
        types: (n, t), all 0 for one text.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    types: NDArray[np.int64]


class Tokenizer:
    """The tokenizer of a model.

    Attributes:
        most: tokens of a text at most; what is more is cut off.
        whole: whether all texts are padded to `most`, as for models that take no mask.
        prompt: what is put before every text.

    Args:
        files: of the model.
        length: tokens that the graph takes, where it takes a fixed number; 0 for any.
        masked: whether the graph takes a mask.

    Raises:
        EncoderError: the model has no tokenizer.json, or one that cannot be read.
        ExtraError: tokenizers is not installed.
    """

    def __init__(self, files: ModelFiles, length: int, masked: bool) -> None:
        path = files.small("tokenizer.json")
        if path is None:
            raise EncoderError(
                f"onnx:{files.place}: has no tokenizer.json; save it there by the model's tokenizer, "
                "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
            )
        library = require("tokenizers", "onnx", f"onnx:{files.place}")
        try:
            self._tokenizer = library.Tokenizer.from_file(str(path))
        except Exception as error:
            reason = " ".join(str(error).split())
            raise EncoderError(f"{path}: not a tokenizer ({reason}); download it again") from error
        settings = files.json("tokenizer_config.json")
        names = settings.get("model_input_names")
        self.whole = length > 0 or not masked or (isinstance(names, list) and "attention_mask" not in names)
        self.most = length or _most(files, settings, self._tokenizer.truncation)
        self.prompt = _prompt(files)
        self._unmasked = self.whole and isinstance(names, list) and "attention_mask" not in names
        self._left = settings.get("padding_side") == "left"
        pad = files.json("config.json").get("pad_token_id")
        self._pad = self._number_of("pad_token", files, settings, pad if isinstance(pad, int) else 0)
        self._unknown = self._number_of("unk_token", files, settings, -1)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.most, direction=_side(settings))

    def _number_of(self, token: str, files: ModelFiles, settings: dict[str, Any], otherwise: int) -> int:
        for told in (settings, files.json("special_tokens_map.json")):
            written = told.get(token)
            written = written.get("content") if isinstance(written, dict) else written
            number = self._tokenizer.token_to_id(written) if isinstance(written, str) else None
            if number is not None:
                return int(number)
        return otherwise

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """The encoding of each text, not padded."""
        return list(self._tokenizer.encode_batch([self.prompt + text for text in texts]))

    def knows(self, encoding: Any) -> bool:
        """Whether a text has a token of its own that is in the vocabulary."""
        found = zip(encoding.ids, encoding.special_tokens_mask, encoding.offsets, strict=True)
        return any(
            not special and number != self._unknown and end > len(self.prompt) for number, special, (_, end) in found
        )

    def padded(self, encodings: Sequence[Any]) -> Tokens:
        """Encodings as arrays, as long as the longest; or `most`, where the model takes no less."""
        length = self.most if self.whole else max(len(encoding.ids) for encoding in encodings)
        shape = len(encodings), length
        ids, mask, types = np.full(shape, self._pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            count = len(encoding.ids)
            at = slice(length - count, length) if self._left else slice(count)
            ids[row, at], types[row, at], mask[row, at] = encoding.ids, encoding.type_ids, 1
        return Tokens(ids, np.ones_like(mask) if self._unmasked else mask, types)


def _most(files: ModelFiles, settings: dict[str, Any], truncation: dict[str, Any] | None) -> int:
    """What sentence-transformers is told, else the tokenizer, else what the network has places for."""
    config = files.json("config.json")
    inner = config.get("text_config")
    told = (
        files.json("sentence_bert_config.json").get("max_seq_length"),
        settings.get("model_max_length"),
        (truncation or {}).get("max_length"),
        _places(inner if isinstance(inner, dict) else config),
    )
    return next((int(n) for n in told if isinstance(n, int | float) and 2 < n <= NO_LIMIT), USUAL_TOKENS)


def _places(config: dict[str, Any]) -> Any:
    """Tokens that a network has places for; those like RoBERTa begin to count behind the number of the padding."""
    places, kind, pad = (config.get(name) for name in ("max_position_embeddings", "model_type", "pad_token_id"))
    if isinstance(places, int) and isinstance(kind, str) and OFFSET.search(kind):
        return places - 1 - (pad if isinstance(pad, int) else 1)
    return places


def _side(settings: dict[str, Any]) -> str:
    return "left" if settings.get("truncation_side") == "left" else "right"


def _prompt(files: ModelFiles) -> str:
    """The prompt that config_sentence_transformers.json has as its default, else that of e5, else none."""
    told = files.json("config_sentence_transformers.json")
    name, prompts = told.get("default_prompt_name"), told.get("prompts")
    if isinstance(name, str):
        prompt = prompts.get(name) if isinstance(prompts, dict) else None
        if not isinstance(prompt, str):
            path = files.settings["config_sentence_transformers.json"]
            raise EncoderError(f"{path}: default_prompt_name is {name!r}, and prompts has none of that name")
        return prompt
    names = files.called.lower(), str(files.json("config.json").get("_name_or_path", "")).lower()
    return E5_PROMPT if any(E5.search(n) and "instruct" not in n for n in names) else ""
