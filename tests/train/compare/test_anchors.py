"""The methods without towers, against the textbook."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huse.features.errors import FitError
from huse.features.modality import Modality
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.compare.anchors.cca import fit_cca
from huse.train.compare.anchors.linear import fit_linear
from huse.train.compare.anchors.registry import ANCHORS
from huse.train.compare.anchors.scaling import Scaling
from huse.train.data.batches import TrainingRows


@pytest.fixture
def rows(small_store: Store) -> Rows:
    return small_store.load(("train",))


def training(rows: Rows) -> TrainingRows:
    return TrainingRows.of(rows, sorted(set(rows.label)))


@pytest.mark.parametrize("name", sorted(ANCHORS))
def test_each_learns_what_is_there_to_learn(name: str, rows: Rows) -> None:
    anchor, data = ANCHORS[name], training(rows)
    trained = anchor.fit(data, 3, anchor.values[0])
    outputs = trained(rows)
    image, text = outputs.image, outputs.text
    assert image is not None
    assert text is not None
    for output in (image, text):
        np.testing.assert_allclose(np.linalg.norm(output.embedding, axis=1), 1, atol=1e-5)
        assert output.logits.shape == (len(rows), 3)
        if anchor.traits.classifier:
            assert (output.logits.argmax(axis=1) == data.labels).mean() > 0.6
    cosine = image.embedding @ text.embedding.T
    same = data.labels[:, None] == data.labels
    assert cosine[same].mean() > cosine[~same].mean() + 0.1
    assert trained.parameters > 0


@pytest.mark.parametrize("name", sorted(ANCHORS))
def test_one_modality_is_enough_where_pairs_are_not_asked_for(name: str, rows: Rows) -> None:
    if ANCHORS[name].traits.across_modalities:
        return
    alone = replace(rows, text=Modality.empty(len(rows), 0))
    outputs = ANCHORS[name].fit(training(alone), 3, ANCHORS[name].values[0])(alone)
    assert outputs.text is None
    assert outputs.image is not None


@pytest.mark.parametrize("pairs", [0, 1])
def test_cca_of_too_few_pairs_is_refused(pairs: int, rows: Rows) -> None:
    rows.text.present[pairs:] = False
    with pytest.raises(FitError, match=rf"has {pairs}; leave it out \(--objectives\)"):
        fit_cca(training(rows), 3, 8)


def test_linear_is_ridge_regression_onto_the_labels(rows: Rows) -> None:
    data = training(rows)
    x = Scaling.of(data, "text")(data.modalities).astype(float)
    target = np.eye(3)[data.labels]
    mean = target.mean(axis=0)
    weights = np.linalg.solve(x.T @ x + 5.0 * np.eye(x.shape[1]), x.T @ (target - mean))
    output = fit_linear(data, 3, 5.0)(rows).text
    assert output is not None
    expected = x @ weights
    np.testing.assert_allclose(output.logits, expected + mean, atol=1e-3)
    np.testing.assert_allclose(output.embedding, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-2)


def test_cca_finds_the_canonical_correlations(rows: Rows) -> None:
    """Of the whitened features, these are the singular values of what they have in common."""
    data = training(rows)
    components = 3
    white = {}
    for modality in ("image", "text"):
        x = Scaling.of(data, modality)(data.modalities).astype(float)
        u = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0][:, :components]
        white[modality] = u
    expected = np.linalg.svd(white["image"].T @ white["text"])[1]
    outputs = fit_cca(data, 3, components)(rows)
    assert outputs.image is not None
    assert outputs.text is not None
    cosine = (outputs.image.embedding * outputs.text.embedding).sum(axis=1)
    variates = {m: white[m] @ turn for m, turn in zip(white, _turns(white), strict=True)}
    unit = {m: v / np.linalg.norm(v, axis=1, keepdims=True) for m, v in variates.items()}
    np.testing.assert_allclose(cosine, (unit["image"] * unit["text"]).sum(axis=1), atol=1e-3)
    correlations = np.diag(variates["image"].T @ variates["text"])
    np.testing.assert_allclose(correlations, expected, atol=1e-6)


def _turns(white: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    u, _, v = np.linalg.svd(white["image"].T @ white["text"])
    return u, v.T


def test_cca_takes_no_more_components_than_there_are(rows: Rows) -> None:
    few = rows.take(np.arange(4))
    outputs = fit_cca(training(few), 3, 256)(few)
    assert outputs.image is not None
    assert np.isfinite(outputs.image.embedding).all()
