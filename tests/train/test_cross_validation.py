"""Labels of training rows are judged by towers that were fitted without them: wrong ones are found again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from samples import IMAGE_SPEC, TEXT_SPEC, random_rows

from huse.features.errors import FitError
from huse.features.info import FEATURES, StoreInfo
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.config import FitConfig
from huse.train.cross_validation import cross_validated
from huse.train.evaluate import evaluate_model
from huse.train.evaluation.report import DOUBTS_FILE, PAGE_FILE
from huse.train.fit import fit_model

pytestmark = pytest.mark.xdist_group("cross-validation")

CONFIG = FitConfig(
    dimension=16, hidden_units=32, learning_rate=0.02, epochs=20, batch_size=64, val_fraction=0, refit=False
)
FLIPPED = np.flatnonzero(np.arange(150) % 5 != 4)[::11]  # of the training rows


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, TrainedModel]:
    """120 training rows of three classes, every eleventh with the label of another, one alone in its class; a model."""
    folder = tmp_path_factory.mktemp("flipped")
    rows = random_rows(150)
    rows.label[FLIPPED] = [f"things/class {(i + 1) % 3}" for i in FLIPPED]
    rows.label[1] = "things/lonely"
    store = Store.create(folder / "s", StoreInfo(FEATURES, IMAGE_SPEC, TEXT_SPEC, 40, "float32"))
    store.write_all([rows])
    fit_model(store.path, folder / "m", CONFIG)
    return store, load_model(folder / "m")


def test_wrong_labels_of_training_rows_stand_first(flipped: tuple[Store, TrainedModel], tmp_path: Path) -> None:
    store, trained = flipped
    shown: list[str] = []

    def thumbnail(uri: str) -> str:
        shown.append(uri)
        return "data:image/jpeg;base64,AAAA"

    evaluate_model(trained, store.path, "train", report=tmp_path / "r", folds=2, thumbnail=thumbnail)
    with (tmp_path / "r" / DOUBTS_FILE).open(encoding="utf-8") as file:
        doubted = list(csv.DictReader(file))
    first = [row["key"] for row in doubted[: len(FLIPPED)]]
    found = set(first) & {f"row-{i:05d}" for i in FLIPPED}
    assert len(found) >= 0.6 * len(FLIPPED), "by chance it would be 1 in 11"
    assert all(row["suggested"] != row["label"] != "things/lonely" for row in doubted)
    assert shown == [row["uri"] for row in doubted]
    page = (tmp_path / "r" / PAGE_FILE).read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,AAAA"') == len(doubted)
    assert f"Of 119 rows {len(doubted)} probably have a wrong label" in page
    assert "which the model was trained on" not in page


def test_without_folds_rows_that_were_trained_on_are_not_judged(
    flipped: tuple[Store, TrainedModel], tmp_path: Path
) -> None:
    store, trained = flipped
    evaluate_model(trained, store.path, "all", report=tmp_path / "r")
    page = (tmp_path / "r" / PAGE_FILE).read_text(encoding="utf-8")
    assert "Of 30 rows" in page
    assert "120 rows of split train or none, which the model was trained on, are not judged" in page
    assert "<code>folds=5 (--folds)</code>" in page


def test_what_cannot_be_cross_validated_is_refused(flipped: tuple[Store, TrainedModel], tmp_path: Path) -> None:
    store, trained = flipped
    with pytest.raises(FitError, match=r"folds=1 \(--folds\): it must be at least 2"):
        cross_validated(store, trained, 1)
    rows = store.load()
    rows.label[1] = "things/new"
    other = Store.create(tmp_path / "other", store.info)
    other.write_all([rows])
    with pytest.raises(FitError, match="its training rows are of other classes than the model's"):
        cross_validated(other, trained, 2)


def test_a_table_that_is_not_of_huse_stays(flipped: tuple[Store, TrainedModel], tmp_path: Path) -> None:
    store, trained = flipped
    (tmp_path / DOUBTS_FILE).write_text("mine")
    with pytest.raises(FitError, match="is not of huse"):
        evaluate_model(trained, store.path, report=tmp_path)
    assert (tmp_path / DOUBTS_FILE).read_text() == "mine"
