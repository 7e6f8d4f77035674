"""HUSE as a scikit-learn estimator: arrays of features in, embeddings and classes out, no store needed."""

from __future__ import annotations

import warnings
from dataclasses import fields, replace
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d

from huse.features.encoder_spec import EncoderSpec, imported_spec
from huse.features.errors import FitError
from huse.features.files.place import place
from huse.features.labels import clean_label
from huse.features.modality import Modality, Pair
from huse.features.options import kept_values
from huse.features.rows import Rows
from huse.features.settings import settings_text
from huse.features.strings import clean_value
from huse.train.artifact.model_folder import TrainedModel
from huse.train.classes.semantic_graph import graph_from_taxonomy, require_distances
from huse.train.config import FitConfig, preset
from huse.train.data.batches import NO_LABEL, TrainingRows
from huse.train.data.task import FitData
from huse.train.fit import fit_towers
from huse.train.network.forward import Outputs, class_probabilities, features_of
from huse.train.network.precision import resolved

Features = Any
"""(image features, text features), or one array with the image features in its first `image_dim` columns."""

HYPERPARAMETERS = tuple(
    f.name for f in fields(FitConfig) if f.metadata and f.name not in ("seed", "memory", "memory_budget")
)
"""The fields of `FitConfig` that are parameters of the estimator under their own names."""


class HUSE(ClassifierMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Image and text features of the same items in one space, with a classifier.

    Every hyperparameter of `FitConfig` is a parameter, but for those of the store's features; one that is None keeps
    the value of the preset.

    Example:
        >>> model = HUSE(epochs=30).fit((image_features, text_features), labels)
        >>> image_embeddings, text_embeddings = model.transform((image_features, text_features))

    Args:
        preset: ``default`` or ``paper``.
        image_dim: number of leading image columns when X is one array, as pipelines and searches need it.
        semantic_graph: (K, K) distances of the sorted classes; by default those of the label paths.
        random_state: integer seed.
        **hyperparameters: values of `FitConfig` by name, such as ``epochs``.

    Raises:
        TypeError: there is no such parameter.

    Attributes:
        classes_: sorted labels; none where it was fitted on pairs alone.
        trained_: the `TrainedModel`.
        n_features_in_: image and text columns together.
    """

    def __init__(
        self,
        *,
        preset: str = "default",
        image_dim: int | None = None,
        semantic_graph: NDArray[np.floating] | None = None,
        random_state: int = 0,
        **hyperparameters: Any,
    ) -> None:
        unknown = sorted(set(hyperparameters) - set(HYPERPARAMETERS))
        if unknown:
            raise TypeError(f"HUSE has no parameter {', '.join(unknown)}; it has {', '.join(HYPERPARAMETERS)}")
        self.preset = preset
        self.image_dim = image_dim
        self.semantic_graph = semantic_graph
        self.random_state = random_state
        self.__dict__.update(dict.fromkeys(HYPERPARAMETERS) | hyperparameters)

    def fit(self, X: Features, y: Any = None) -> HUSE:  # noqa: N803 - scikit-learn's names
        """Trains the towers.

        Args:
            X: features of n rows.
            y: (n,) labels; strings may be paths such as ``apparel/shirts``. None, NaN, NA and an empty string are no
                label: such rows are trained on as pairs of an image and a text. None trains on pairs alone.

        Raises:
            ValueError: shapes disagree, or values are not finite.
            FitError: fewer than two classes and no pairs, or hyperparameters out of range.
        """
        image, text = self._arrays(X)
        check_consistent_length(image, y)
        self.classes_, numbers = _classes_of(y, len(image))
        self.n_features_in_ = image.shape[1] + text.shape[1]
        self._image_columns = image.shape[1]
        # zero-padded numbers sort as the labels do, so that logits are in the order of classes_
        names = [f"{i:09d}" for i in range(len(self.classes_))]
        rows = _rows(image, text)
        rows.label[:] = [names[i] if i != NO_LABEL else "" for i in numbers]
        config = self._config()
        if self.semantic_graph is None:
            graph = graph_from_taxonomy(_names(self.classes_))
        else:
            graph = require_distances(np.asarray(self.semantic_graph), len(names), "semantic_graph")
        task = FitData(
            where="y",
            classes=names,
            graph=graph,
            class_vectors=np.zeros((len(names), 0), np.float32),
            data=TrainingRows.of(rows, names),
            given=_trained_on(numbers, pairs=bool(image.shape[1] and text.shape[1])),
            given_val=np.arange(0),
            names=np.arange(0),
        ).split(config)
        best = fit_towers(task, config)
        specs = Pair.by_name(lambda m: _spec(m, rows.modalities.of(m).dimension))
        self.trained_ = TrainedModel(
            network=best.network,
            config=config,
            image=specs.image,
            text=specs.text,
            classes=_names(self.classes_),
            graph=task.graph,
            fusion_weight=best.fusion_weight,
            metrics=best.metrics,
            history=best.history,
            settings=self._settings(config),
        )
        return self

    def transform(self, X: Features) -> Any:  # noqa: N803
        """Unit embeddings: a pair of (n, D) arrays, or one (n, 2 D) array when X is one array."""
        outputs, _ = self._outputs(X)
        embeddings = tuple(output.embedding for output in outputs.given().values())
        return embeddings if isinstance(X, tuple) else np.concatenate(embeddings, axis=1)

    def predict_proba(self, X: Features) -> NDArray[np.float32]:  # noqa: N803
        """(n, K) probabilities, fused over both modalities, in the order of `classes_`.

        Raises:
            ValueError: it was fitted without labels, or its objective trains no classifier.
        """
        check_is_fitted(self)
        if not len(self.classes_):
            raise ValueError("this HUSE was fitted without labels; it has no classes to predict, only transform")
        if not self.trained_.classifies:
            raise ValueError(f"objective {self.objective} trains no classifier; there is only transform")
        outputs, rows = self._outputs(X)
        return class_probabilities(outputs, rows.present, self.trained_.fusion_weight)["fused"]

    def predict(self, X: Features) -> NDArray[Any]:  # noqa: N803
        """(n,) most probable labels."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Writes the model folder that `huse` commands read.

        Raises:
            FitError: the folder exists and is not to be overwritten.
        """
        check_is_fitted(self)
        self.trained_.save(place(folder), overwrite)

    def _config(self) -> FitConfig:
        given = {name: value for name, value in vars(self).items() if name in HYPERPARAMETERS and value is not None}
        return resolved(preset(self.preset, seed=self.random_state, **given))

    def _settings(self, config: FitConfig) -> str:
        if self.semantic_graph is not None:
            note = "semantic_graph (--semantic-graph) was handed in: it is the semantic_graph.npy beside this."
            return settings_text("fit", kept_values(config), note)
        graph = "taxonomy" if len(self.classes_) else "auto"
        return settings_text("fit", {**kept_values(config), "semantic_graph": graph})

    def _arrays(self, X: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # noqa: N803
        if isinstance(X, tuple):
            if len(X) != 2:
                raise ValueError(f"X has {len(X)} arrays; give (image features, text features)")
            image, text = (check_array(part, dtype=np.float32, ensure_min_features=0) for part in X)
            check_consistent_length(image, text)
            return image, text
        if self.image_dim is None:
            raise ValueError("X is one array; say how many leading columns are image features with image_dim")
        both = check_array(X, dtype=np.float32)
        return both[:, : self.image_dim], both[:, self.image_dim :]

    def _outputs(self, X: Features) -> tuple[Outputs, Rows]:  # noqa: N803
        check_is_fitted(self)
        image, text = self._arrays(X)
        if image.shape[1] != self._image_columns or image.shape[1] + text.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {image.shape[1]} image and {text.shape[1]} text columns, the model was fitted on "
                f"{self._image_columns} and {self.n_features_in_ - self._image_columns}"
            )
        rows = _rows(image, text)
        return self.trained_.forward(features_of(rows, self.trained_.network)), rows


def _classes_of(y: Any, n: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The sorted classes of n labels, and each row's number among them; none when these are too few to tell apart."""
    labels = np.full(n, None) if y is None else column_or_1d(np.asarray(y, object), warn=True)
    known = np.array([clean_value(label) != "" for label in labels], bool)
    numbers = np.full(n, NO_LABEL)
    classes, numbers[known] = np.unique(
        np.asarray(y).ravel() if known.all() else labels[known].tolist(), return_inverse=True
    )
    if len(classes) >= 2 or known.all():
        return classes, numbers
    if known.any():
        warnings.warn("y has one class, too few to learn classes from; fitted on pairs alone", stacklevel=3)
    return classes[:0], np.full(n, NO_LABEL)


def _trained_on(numbers: NDArray[np.intp], pairs: bool) -> NDArray[np.intp]:
    """The rows to learn from, given each one's class number and whether rows without one are pairs."""
    labeled = np.flatnonzero(numbers != NO_LABEL)
    if pairs:
        return np.arange(len(numbers))
    if not len(labeled):
        raise FitError("y: labels of fewer than two classes, and X has one modality: nothing to learn from")
    if len(labeled) < len(numbers):
        warnings.warn("X has one modality: rows without a label are no pairs, and left out", stacklevel=3)
    return labeled


def _with_hyperparameters(own: Signature) -> Signature:
    """The signature that scikit-learn reads the names of parameters from, each hyperparameter in it."""
    named = [p for p in own.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    added = [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in HYPERPARAMETERS]
    return own.replace(parameters=[*named, *added])


HUSE.__init__.__signature__ = _with_hyperparameters(signature(HUSE.__init__))  # type: ignore[attr-defined]


def _names(classes: NDArray[Any]) -> list[str]:
    """The labels as a store has them, such as 101 for 101.0; as they are where two would be the same."""
    names = [clean_label(label) for label in classes.tolist()]
    return names if len(set(names)) == len(names) and all(names) else [str(label) for label in classes]


def _rows(image: NDArray[np.float32], text: NDArray[np.float32]) -> Rows:
    rows = Rows.empty(len(image), 0, 0)
    rows.key[:] = [str(i) for i in range(len(image))]
    both = Pair(image=image, text=text).map(_all_present)
    return replace(rows, image=both.image, text=both.text)


def _all_present(vectors: NDArray[np.float32]) -> Modality:
    """Vectors that all rows have; none has them where they are of length 0."""
    return Modality.of_vectors(vectors, np.full(len(vectors), vectors.shape[1] > 0))


def _spec(modality: str, dimension: int) -> EncoderSpec | None:
    return imported_spec(modality, dimension) if dimension else None
