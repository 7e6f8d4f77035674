"""One table in every form that tables come in: equal rows, equal vectors, equal digests."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest
from numpy.typing import NDArray
from PIL import Image
from tars import write_tar

from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.extract.manifest.rows import Columns
from huse.features.encoder_spec import EncoderSpec
from huse.features.store import Store

CONFIG = ExtractConfig(shard_size=4, batch_size=3, workers=2, dtype="float32", class_encoder="none")
COLUMNS = Columns(label_separator=" > ")

ROWS = [
    {"key": f"k{i}", "text": text, "label": label, "split": split}
    for i, (text, label, split) in enumerate(
        [
            ("a red ball", "Toys > Balls", "train"),
            ("ein Tür-Schild  ü", "Home > TV/Video", "train"),
            ("", "Toys > Balls", "test"),
            ("nan", "", "val"),
            ("12.0", "Toys", ""),
            ('with, comma and "quotes"', "Home > A < B", ""),
        ]
    )
]


class Mean:
    spec = EncoderSpec("mean", "image", 3, "mean", "0")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2)).astype(np.float32)


class Length:
    spec = EncoderSpec("length", "text", 2, "none", "0")

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        return np.array([[len(text), ord(text[0])] for text in texts], np.float32)


def image(i: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (10 * i, 20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def with_images(form: str) -> dict[str, list[Any]]:
    """The columns, images by path, by bytes, or by both; the row k3 has none."""
    paths = [f"{i}.png" if i != 3 else None for i in range(len(ROWS))]
    data = [image(i) if i != 3 else None for i in range(len(ROWS))]
    both = [{"bytes": bytes_, "path": path} for bytes_, path in zip(data, paths, strict=True)]
    columns: dict[str, list[Any]] = {name: [row[name] or None for row in ROWS] for name in ROWS[0]}
    images: dict[str, list[Any]] = {"path": paths, "bytes": data, "struct": both}
    return {**columns, "image": images[form]}


def as_csv(folder: Path, columns: dict[str, list[Any]]) -> Path:
    with (folder / "m.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerows([list(columns), *zip(*columns.values(), strict=True)])
    return folder / "m.csv"


def as_json_lines(folder: Path, columns: dict[str, list[Any]]) -> Path:
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "m.jsonl"


def as_parquet(folder: Path, columns: dict[str, list[Any]]) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "m.parquet")
    return folder / "m.parquet"


def as_shards(folder: Path, columns: dict[str, list[Any]]) -> Path:
    table = pyarrow.table(columns)
    for i in range(0, len(ROWS), 2):
        pyarrow.parquet.write_table(table.slice(i, 2), folder / f"shard-{i}.parquet")
    return folder / "shard-*.parquet"


def as_class_labels(folder: Path, columns: dict[str, list[Any]]) -> Path:
    """As the hub has it: labels as positions of names."""
    names = sorted({label for label in columns["label"] if label})
    numbers = [names.index(label) if label else -1 for label in columns["label"]]
    features = {"label": {"_type": "ClassLabel", "names": names}, "image": {"_type": "Image"}}
    table = pyarrow.table({**columns, "label": numbers})
    told = {"huggingface": json.dumps({"info": {"features": features}})}
    pyarrow.parquet.write_table(table.replace_schema_metadata(told), folder / "h.parquet")
    return folder / "h.parquet"


def as_tars(folder: Path, columns: dict[str, list[Any]]) -> Path:
    for start in range(0, len(ROWS), 3):
        files: dict[str, bytes] = {}
        for i in range(start, start + 3):
            its = {name: columns[name][i] for name in ("text", "label", "split")}
            files |= {f"k{i}.png": image(i)} if columns["image"][i] else {}
            files |= {f"k{i}.json": json.dumps(its).encode()}
        write_tar(folder / f"shard-{start}.tar", files)
    return folder / "shard-{0,3}.tar"


FORMS: dict[str, tuple[Callable[[Path, dict[str, list[Any]]], Any], tuple[str, ...]]] = {
    "csv": (as_csv, ("path",)),
    "json lines": (as_json_lines, ("path",)),
    "parquet": (as_parquet, ("path", "bytes", "struct")),
    "parquet files": (as_shards, ("path", "bytes", "struct")),
    "class labels": (as_class_labels, ("path", "struct")),
    "tars": (as_tars, ("bytes",)),
    "pandas": (lambda _, columns: pandas.DataFrame(columns), ("path", "bytes", "struct")),
    "polars": (lambda _, columns: polars.DataFrame(columns), ("path", "bytes", "struct")),
    "Arrow": (lambda _, columns: pyarrow.table(columns), ("path", "bytes", "struct")),
    "Arrow stream": (lambda _, columns: pyarrow.table(columns).to_reader(2), ("path", "bytes")),
}
EXPECTED_LABELS = ["Toys/Balls", "Home/TV\u2215Video", "Toys/Balls", "", "Toys", "Home/A < B"]


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, (_, forms) in FORMS.items() for form in forms])
def test_one_table_in_every_form_gives_one_store(
    name: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(len(ROWS)):
        (tmp_path / f"{i}.png").write_bytes(image(i))
    stores = []
    for source in (as_csv(tmp_path, with_images("path")), FORMS[name][0](tmp_path, with_images(form))):
        stores.append(tmp_path / f"store-{len(stores)}")
        summary = extract_features(source, stores[-1], CONFIG, COLUMNS, image_encoder=Mean(), text_encoder=Length())
        assert (summary.rows, summary.failed) == (len(ROWS), 0)
    expected, found = (Store.open(store).load() for store in stores)
    assert list(found.label) == EXPECTED_LABELS
    for column, values in expected.columns().items():
        if column != "uri":  # images within a table have no place of their own
            np.testing.assert_array_equal(found.columns()[column], values, err_msg=column)
    assert [bool(digest.any()) for digest in found.image.digest] == [True, True, True, False, True, True]
    again = FORMS[name][0](tmp_path, with_images(form)) if name == "Arrow stream" else source
    summary = extract_features(again, stores[-1], CONFIG, COLUMNS, image_encoder=Mean(), text_encoder=Length())
    assert (summary.encoded, summary.reused) == (0, len(ROWS))
