"""The first dimensions of embeddings as embeddings of their own."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import ModelError
from huse.features.unit_rows import unit_rows
from huse.train.artifact.model_folder import TrainedModel


def unit_prefix(vectors: NDArray[np.floating], dimension: int) -> NDArray[np.floating]:
    """(n, D) vectors to the unit vectors (n, N) along their first N dimensions; as they are where D is N.

    Args:
        vectors: (n, D); those of zeros stay zeros.
        dimension: N, at most D.
    """
    if vectors.shape[1] == dimension:
        return vectors
    return unit_rows(vectors[:, :dimension].astype(np.float32))


def kept_dimension(trained: TrainedModel, wanted: int | None) -> int:
    """How many dimensions of a model's embeddings are kept; warns where it was not trained for so few.

    Args:
        trained: the model.
        wanted: how many; None for all.

    Raises:
        ModelError: the model has fewer.
    """
    all_of_them, nested = trained.config.dimension, trained.config.nested
    if wanted is None or wanted == all_of_them:
        return all_of_them
    if wanted > all_of_them:
        raise ModelError(f"dimension (--dimension) is {wanted}, the model's embeddings have {all_of_them}")
    if wanted not in nested:
        lengths = ", ".join(map(str, nested)) or "none"
        warnings.warn(
            f"the model was not trained to be cut to {wanted} dimensions (nested: {lengths}), so they find less than "
            f"they could; fit one with nested=({wanted},) (--nested)",
            stacklevel=2,
        )
    return wanted


def of_one_model(ours: EncoderSpec | None, theirs: EncoderSpec | None) -> bool:
    """Whether two specs are of embeddings by one model, however many of its dimensions each keeps; or both None."""
    return ours == theirs or (
        ours is not None and theirs is not None and replace(ours, dimension=theirs.dimension) == theirs
    )
