from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas
import pytest
from numpy.typing import NDArray
from samples import random_rows
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import huse
from huse.features.errors import FitError
from huse.features.modality import Pair
from huse.train.artifact.model_folder import load_model
from huse.train.estimator import HUSE, HYPERPARAMETERS
from huse.train.evaluation.metrics import retrieval_metrics

SMALL = {"dimension": 16, "hidden_units": 32, "learning_rate": 0.01, "epochs": 10, "batch_size": 32, "refit": False}


def arrays(n: int = 90) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], NDArray[np.object_]]:
    rows = random_rows(n)
    return (rows.image.vectors, rows.text.vectors), rows.label


@pytest.fixture(scope="module")
def model() -> HUSE:
    """Fitted on `arrays`, on the held out ones again too."""
    return HUSE(**{**SMALL, "refit": True}).fit(*arrays())


@pytest.mark.xdist_group("estimator")
def test_fits_transforms_predicts_and_scores(model: HUSE) -> None:
    x, y = arrays()
    image, text = model.transform(x)
    assert image.shape == text.shape == (90, 16)
    np.testing.assert_allclose(np.linalg.norm(image, axis=1), 1, atol=1e-5)
    probabilities = model.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (model.predict(x) == model.classes_[probabilities.argmax(axis=1)]).all()
    assert model.score(x, y) == pytest.approx(np.mean(model.predict(x) == y))
    assert model.score(x, y) > 0.8
    assert huse.HUSE is HUSE
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(x), probabilities)


def test_clones_pipelines_and_cross_validates() -> None:
    x, y = arrays()
    one = np.concatenate(x, axis=1)
    model = HUSE(image_dim=6, random_state=3, **SMALL)
    assert clone(model).get_params() == model.get_params()
    assert cross_val_score(make_pipeline(StandardScaler(), model), one, y, cv=3).mean() > 0.7
    fitted = model.fit(one, y)
    assert fitted.transform(one).shape == (90, 32)
    pair = HUSE(random_state=3, **SMALL).fit(x, y)
    np.testing.assert_allclose(fitted.predict_proba(one), pair.predict_proba(x), atol=1e-4)


def test_labels_of_any_type_and_many_classes_keep_their_order() -> None:
    x, _ = arrays()
    y = np.arange(90) % 3 * 7 - 5  # -5, 2, 9: not sorted as strings
    model = HUSE(**SMALL).fit(x, y)
    assert model.classes_.tolist() == [-5, 2, 9]
    assert model.score(x, y) > 0.8


@pytest.mark.xdist_group("estimator")
def test_saves_the_model_folder(model: HUSE, tmp_path: Path) -> None:
    x, y = arrays()
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.classes == sorted(set(y))
    np.testing.assert_array_equal(
        again.forward(Pair(image=x[0], text=x[1])).given()["image"].embedding, model.transform(x)[0]
    )


@pytest.mark.xdist_group("estimator")
def test_bad_arrays_are_named(model: HUSE) -> None:
    x, y = arrays()
    with pytest.raises(ValueError, match="image_dim"):
        HUSE().fit(x[0], y)
    with pytest.raises(ValueError, match="3 arrays"):
        HUSE().fit((*x, x[0]), y)
    with pytest.raises(ValueError, match="NaN"):
        HUSE().fit((x[0] * np.nan, x[1]), y)
    with pytest.raises(ValueError, match="inconsistent"):
        HUSE().fit((x[0][:5], x[1]), y)
    with pytest.raises(ValueError, match="4 image and 6 text columns, the model was fitted on 6 and 4"):
        model.predict((x[1], x[0]))


@pytest.mark.slow
def test_small_noisy_features_made_elsewhere_do_as_well_as_two_logistic_regressions() -> None:
    """The classic cross-modal benchmark's shape: 2,173 training rows, 128-d images, 10-d texts, ten classes.

    With smaller towers than the default ones, in less than half the training that the default patience takes, and
    without the held out rows, so that it asks more of every epoch.
    """
    n, train = 2866, 2173
    shared, y = make_classification(
        n, 138, n_informative=30, n_redundant=30, n_classes=10, n_clusters_per_class=1, flip_y=0.1, class_sep=2.0,
        shuffle=False, random_state=0,
    )  # fmt: skip
    order = np.r_[30:40, 0:30, 40:138]  # texts are ten redundant columns, images the rest, most of them noise
    image, text = np.abs(shared[:, order[10:]]), shared[:, order[:10]]
    image /= image.sum(axis=1, keepdims=True)  # like a histogram of visual words

    def cross_map(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.mean([retrieval_metrics(q, g, y[train:], y[train:])["map"] for q, g in ((a, b), (b, a))]))

    posteriors = []
    for features in (np.sqrt(image), text):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
        model.fit(features[:train], y[:train])
        centered = model.predict_proba(features[train:]) - model.predict_proba(features[:train]).mean(axis=0)
        posteriors.append(centered / np.linalg.norm(centered, axis=1, keepdims=True))
    baseline = cross_map(*posteriors)
    small = {"dimension": 128, "hidden_units": 256, "patience": 10, "refit": False}
    towers = HUSE(**small, random_state=1).fit((image[:train], text[:train]), y[:train])
    ours = cross_map(*towers.transform((image[train:], text[train:])))
    assert baseline > 0.15, "the task can be learned"
    assert ours > baseline - 0.01, (ours, baseline)


@pytest.mark.parametrize("nothing", [None, float("nan"), pandas.NA, ""])
def test_rows_without_a_label_are_fitted_as_pairs(nothing: object) -> None:
    x, y = arrays()
    partly = y.astype(object)
    partly[::2] = nothing
    model = HUSE(**SMALL).fit(x, partly)
    assert model.classes_.tolist() == sorted(set(y))
    assert model.score(x, y) > 0.8
    assert "pairs" in model.trained_.history[0]


def test_without_labels_it_only_transforms() -> None:
    x, y = arrays()
    model = HUSE(**SMALL).fit(x)
    assert len(model.classes_) == 0
    assert model.transform(x)[0].shape == (90, 16)
    for predict in (model.predict, model.predict_proba, lambda x: model.score(x, y)):
        with pytest.raises(ValueError, match="fitted without labels"):
            predict(x)
    one = np.full(90, None)
    one[3] = "a"
    with pytest.warns(UserWarning, match="y has one class"):
        assert len(HUSE(**SMALL).fit(x, one).classes_) == 0
    with pytest.raises(FitError, match="1 class; 2 classes are needed"):
        HUSE(**SMALL).fit(x, np.full(90, "a"))


def test_every_hyperparameter_is_a_parameter() -> None:
    model = HUSE(zeta=0.4, epochs=3)
    assert {*HYPERPARAMETERS, "preset", "image_dim", "semantic_graph", "random_state"} == set(model.get_params())
    assert clone(model).set_params(margin="paper").get_params() == {**model.get_params(), "margin": "paper"}
    with pytest.raises(TypeError, match="no parameter epoch; it has objective"):
        HUSE(epoch=3)


def test_rows_without_a_label_are_left_out_where_there_are_no_pairs() -> None:
    (image, _), y = arrays()
    some = np.array(y, object)
    some[::3] = None
    with pytest.warns(UserWarning, match="one modality"):
        model = HUSE(image_dim=6, **SMALL).fit(image, some)
    assert (model.predict(image) == y).mean() > 0.5
    with pytest.raises(FitError, match="nothing to learn from"):
        HUSE(image_dim=6, **SMALL).fit(image)


def test_a_column_of_labels_is_taken_with_a_warning() -> None:
    x, y = arrays()
    with pytest.warns(DataConversionWarning):
        model = HUSE(**SMALL).fit(x, np.array(y)[:, None])
    assert model.classes_.tolist() == sorted(set(y))
