"""Encoders that are handed in: what they need to have, what they may have, and who closes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from samples import write_csv

from huse.extract.config import ExtractConfig
from huse.extract.encoders.concatenation import ImageConcatenation, TextConcatenation
from huse.extract.encoders.protocol import block_of, without_words
from huse.extract.encoders.salient import SalientEncoder
from huse.extract.encoders.tfidf import TfidfEncoder
from huse.extract.extract import extract_features
from huse.extract.manifest.rows import read_manifest
from huse.extract.run_encoders import Choice, Encoders, choose_encoders
from huse.features.companions import read_encoder_state
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import EncoderError, FingerprintError
from huse.features.store import Store

CONFIG = ExtractConfig(dtype="float32", class_encoder="none")


class Shade:
    """Ten lines of a notebook: images and their mean shade."""

    spec = EncoderSpec("shade", "image", 1, "mean", "1")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2, 3))[:, None].astype(np.float32)


class Length:
    """A text's length."""

    spec = EncoderSpec("length", "text", 1, "none", "1")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text)] for text in texts], np.float32)


class Whole(Length):
    """One that has all that a text encoder may have."""

    without_words = "say more"
    closed = 0

    def close(self) -> None:
        self.closed += 1


def manifest(folder: Path, n: int = 3) -> Path:
    rows = []
    for i in range(n):
        Image.new("RGB", (9, 7), (i + 1, i + 1, i + 1)).save(folder / f"{i}.png")
        rows.append({"key": f"k{i}", "image": f"{i}.png", "text": f"word{i} common", "label": "c/dd"})
    return write_csv(folder / "m.csv", rows)


def test_ten_lines_of_class_are_an_encoder(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    given: dict[str, Any] = {"image_encoder": Shade(), "text_encoder": Length(), "class_encoder": Length()}
    extract_features(path, tmp_path / "s", CONFIG, **given)
    store = Store.open(tmp_path / "s")
    assert (store.info.image, store.info.text) == (Shade.spec, Length.spec)
    rows = store.load()
    assert (rows.image.vectors.tolist(), rows.text.vectors.tolist()) == ([[1], [2], [3]], [[12]] * 3)
    classes = store.read_classes()
    assert classes is not None
    assert (classes.encoder, classes.vectors.tolist()) == (str(Length.spec), [[2]])
    assert extract_features(path, tmp_path / "s", CONFIG, **given).reused == 3


def test_class_names_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    rows, named, other = [{"key": "a", "text": "red", "label": "c"}], Length(), Length()
    other.spec = replace(Length.spec, weights="2")
    path = write_csv(tmp_path / "m.csv", rows)

    def files(classes: Any) -> list[str]:
        extract_features(path, tmp_path / "s", CONFIG, text_encoder=named, class_encoder=classes)
        return sorted(file.name for file in (tmp_path / "s").glob("class*"))

    assert files(other) == ["class_texts.h5", "classes.h5"]
    assert files(named) == ["classes.h5"]
    assert files("none") == []
    assert files(other) == ["class_texts.h5", "classes.h5"]
    write_csv(path, [{**rows[0], "label": ""}])
    assert files(other) == []


def test_the_class_of_the_documentation_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import huse.*?)```", text, re.S)
    manifest(tmp_path)
    code = code.replace('"products.csv", "colors"', f"{str(tmp_path / 'm.csv')!r}, {str(tmp_path / 's')!r}")
    exec(compile(code, "encoders.md", "exec"), {})
    assert Store.open(tmp_path / "s").load().image.vectors.tolist() == [[1, 1, 1], [2, 2, 2], [3, 3, 3]]


def test_another_object_than_the_stores_is_refused(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    extract_features(path, tmp_path / "s", CONFIG, image_encoder=Shade(), text_encoder=Length())
    other = Length()
    other.spec = replace(Length.spec, weights="2")
    with pytest.raises(FingerprintError, match="length"):
        extract_features(path, tmp_path / "s", CONFIG, image_encoder=Shade(), text_encoder=other)


def test_an_encoder_that_learns_does_so_once(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    tfidf = TfidfEncoder("9")
    extract_features(path, tmp_path / "s", CONFIG, image_encoder=Shade(), text_encoder=tfidf)
    assert read_encoder_state(tmp_path / "s") == tfidf.state()
    state = tfidf.state()
    extract_features(manifest(tmp_path, 5), tmp_path / "s", CONFIG, image_encoder=Shade(), text_encoder=tfidf)
    assert tfidf.state() is state
    with pytest.raises(EncoderError, match="learns its words"):
        extract_features(path, tmp_path / "t", CONFIG, image_encoder=Shade(), class_encoder=TfidfEncoder("9"))


def test_a_new_encoder_learns_again_from_a_manifest_that_stays(tmp_path: Path) -> None:
    rows = write_csv(tmp_path / "m.csv", [{"text": "red fox", "split": "train"}, {"text": "gray fox", "split": ""}])
    for reused in (0, 2):
        summary = extract_features(rows, tmp_path / "s", CONFIG, text_encoder=TfidfEncoder("9"))
        assert summary.reused == reused


def test_a_name_may_be_given_in_place_of_the_configs(tmp_path: Path) -> None:
    rows = read_manifest(write_csv(tmp_path / "m.csv", [{"text": "red fox", "label": "fox"}]))
    encoders = choose_encoders(rows, ExtractConfig(text_encoder="none such"), Choice(text="tfidf:3", classes="tfidf:3"))
    assert encoders.text is not None
    assert encoders.text.spec.name == "tfidf:3"
    assert encoders.classes is encoders.text
    assert encoders.made == (encoders.text,)
    assert Choice(text="tfidf:3", classes=Length()).named(CONFIG) == replace(
        CONFIG, text_encoder="tfidf:3", class_encoder="length"
    )


def test_salient_tokens_hold_for_what_is_handed_in(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    config = replace(CONFIG, salient_tokens=1)
    extract_features(path, tmp_path / "s", config, image_encoder=Shade(), text_encoder=Length())
    info, rows = Store.open(tmp_path / "s").info, Store.open(tmp_path / "s").load()
    assert info.text is not None
    assert (info.text.name, rows.text.vectors.tolist()) == ("salient:1:length", [[5]] * 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image_encoder": Shade}, "is no image encoder, which has spec, input_size and encode, nor the name of one"),
        ({"image_encoder": 5}, "5 is no image encoder"),
        ({"image_encoder": Length()}, "is no image encoder"),
        ({"text_encoder": Shade()}, "encoder 'shade' is for image, not text"),
        ({"text_encoder": ""}, "no text encoder is named"),
        ({"class_encoder": 5}, "5 is no text encoder"),
        ({"config": replace(CONFIG, precision="float32")}, "leave out image_weights and precision"),
        ({"config": replace(CONFIG, image_weights=Path("w.h5"))}, "leave out image_weights and precision"),
    ],
    ids=range(8),
)
def test_what_is_no_encoder_is_refused(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"config": CONFIG, "image_encoder": Shade(), "text_encoder": Length(), **given}
    with pytest.raises(EncoderError, match=message):
        extract_features(manifest(tmp_path), tmp_path / "s", **values)
    assert not (tmp_path / "s").exists()


def test_what_an_encoder_may_have_reaches_through_those_around_it() -> None:
    class Blocks(Shade):
        def __init__(self, block: int) -> None:
            self.block = block

    inner = Whole()
    joined, salient = TextConcatenation([inner, Length()]), SalientEncoder("3", inner)
    assert without_words(joined) == without_words(salient) == "say more"
    assert without_words(Length()).startswith("no known word: length knows none")
    joined.close()
    salient.close()
    assert inner.closed == 2
    assert block_of(Shade()) == 1
    assert block_of(ImageConcatenation([Blocks(4), Blocks(6), Shade()])) == 12
    assert [Encoders(Blocks(16)).batch_size(wanted) for wanted in (1, 16, 33)] == [16, 16, 48]


def test_whoever_made_an_encoder_closes_it(tmp_path: Path) -> None:
    made, handed_in = Whole(), Whole()
    Encoders(text=handed_in, classes=made, made=(made,)).close()
    assert (made.closed, handed_in.closed) == (1, 0)
    rows = write_csv(tmp_path / "m.csv", [{"text": "red fox"}])
    extract_features(rows, tmp_path / "s", CONFIG, text_encoder=handed_in)
    assert handed_in.closed == 0
