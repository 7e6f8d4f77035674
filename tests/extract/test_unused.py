"""Options that have nothing to act on are told, whatever the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from samples import write_csv

from huse.cli import main
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features

TEXTS = [
    {"text": word, "label": "ab"[i % 2]} for i, word in enumerate(("red shoe", "blue hat", "red hat", "blue shoe"))
]


def test_options_of_images_are_told_where_there_are_none(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", TEXTS)
    config = ExtractConfig(
        text_encoder="tfidf:2", class_encoder="none", image_encoder="resnet50", image_weights=tmp_path / "w.h5"
    )
    with pytest.warns(UserWarning, match="has no") as told:
        extract_features(path, tmp_path / "store", config)
    lines = [str(warning.message) for warning in told]
    assert lines == [
        f"{path}: has no images: image_encoder (--image-encoder), image_weights (--image-weights) are not used"
    ]


def test_options_of_texts_and_labels_are_told_where_there_are_none(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", [{"image": "0.png"}])
    config = ExtractConfig(image_encoder="no-such", text_encoder="tfidf:2", class_encoder="tfidf:3")
    with pytest.warns(UserWarning, match="has no") as told, pytest.raises(Exception, match="no-such"):
        extract_features(path, tmp_path / "store", config)
    lines = [str(warning.message) for warning in told]
    assert lines == [
        f"{path}: has no texts: text_encoder (--text-encoder) is not used",
        f"{path}: has no labels: class_encoder (--class-encoder) is not used",
    ]


@pytest.mark.filterwarnings("always::UserWarning")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["store", "import", "OUT", "--text", "v.npy", "--image-encoder", "clip"],
            "no --image is given: --image-encoder",
        ),
        (
            ["plot", "MODEL", "OUT.png", "--history", "--split", "val", "--points"],
            "no map is drawn: --split, --thumbnails",
        ),
        (["search", "MODEL", "OUT", "--text", "x", "--max-pixels", "9"], "no --image is given: --max-pixels"),
        (["store", "leaks", "OUT", "--most", "3"], "no --near is given: --most"),
        (["evaluate", "MODEL", "OUT", "--folds", "3"], "no --report is given: --folds"),
        (["evaluate", "MODEL", "OUT", "--report", "R", "--folds", "3"], "no row of split test was trained on: --folds"),
        (
            ["export", "savedmodel", "MODEL", "OUT", "--text-encoder", "use"],
            "no --with-encoders is given: --text-encoder",
        ),
    ],
)
def test_options_of_other_commands_are_told(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.eye(3, dtype=np.float32))
    assert f"Warning: {line}" in CliRunner().invoke(main, arguments).stderr
