from __future__ import annotations

from pathlib import Path

import numpy as np

from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.evaluate import evaluate_model
from huse.train.evaluation.report import class_rows, confusions
from huse.train.fit import fit_model

TRUTH = np.array(["a", "a", "b", "b", "b", "c"], dtype=object)
FUSED = np.array(["a", "b", "c", "c", "b", "c"], dtype=object)
IMAGE = np.array(["", "a", "b", "b", "", ""], dtype=object)


def test_confusions_are_counted_most_frequent_first() -> None:
    assert confusions(TRUTH, FUSED) == [("b", "c", 2), ("a", "b", 1)]
    assert confusions(TRUTH, IMAGE) == []


def test_classes_stand_worst_first() -> None:
    rows = class_rows(TRUTH, {"image": IMAGE, "fused": FUSED})
    assert [row["class"] for row in rows] == ["b", "a", "c"]
    assert rows[0] == {"class": "b", "rows": 3, "image": 1.0, "fused": 1 / 3}
    assert rows[2]["image"] is None


def test_the_page_is_whole_and_escapes_names(small_store: Store, tmp_path: Path) -> None:
    for number in small_store.shard_numbers():
        rows = small_store.read(number)
        rows.label[rows.label == "things/class 0"] = "things/<b>bold</b>"
        small_store.write(number, rows)
    fit_model(
        small_store.path, tmp_path / "m", FitConfig(dimension=8, hidden_units=8, epochs=2, refit=False), "taxonomy"
    )
    evaluate_model(tmp_path / "m", small_store.path, report=tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "things/&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>" not in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page
