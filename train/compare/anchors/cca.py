"""Canonical correlation analysis of images and texts (Hotelling 1936), which takes no labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSSVD
from sklearn.decomposition import PCA

from huse.features.errors import FitError
from huse.features.modality import MODALITIES, Pair, Side
from huse.features.unit_rows import unit_rows
from huse.train.compare.anchors.scaling import Scaling
from huse.train.compare.anchors.trained import Trained
from huse.train.data.batches import TrainingRows
from huse.train.network.forward import Output


def fit_cca(data: TrainingRows, classes: int, components: float) -> Trained:
    """Finds the directions of both modalities that correlate most.

    Each modality is brought to its first principal components, of variance 1 each, which is the regularization; the
    singular vectors of what these have in common are then the canonical directions.

    Args:
        data: training rows, some with both modalities.
        classes: K, for logits that say nothing.
        components: of each modality; fewer where its dimension or the rows do not allow them.

    Returns:
        A function from rows to outputs like a network's: embeddings are unit vectors along the canonical variates.

    Raises:
        FitError: fewer than two rows have both modalities.
    """
    both = data.present.image & data.present.text
    if both.sum() < 2:
        raise FitError(f"cca needs 2 rows of image and text to train on, has {both.sum()}; leave it out (--objectives)")
    scalings = Pair.by_name(lambda modality: Scaling.of(data, modality))
    features = {m: scalings.of(m)(data.modalities)[both] for m in MODALITIES}
    kept = max(1, min(int(components), int(both.sum()) - 1, *(array.shape[1] for array in features.values())))
    spheres = {m: PCA(kept, whiten=True, svd_solver="full").fit(features[m]) for m in MODALITIES}
    common = PLSSVD(kept, scale=False).fit(*(spheres[m].transform(features[m]) for m in MODALITIES))
    turns = {"image": common.x_weights_, "text": common.y_weights_}

    def output(sides: Pair[Side], modality: str) -> Output:
        variates: NDArray[np.floating] = spheres[modality].transform(scalings.of(modality)(sides)) @ turns[modality]
        return Output(unit_rows(variates), np.zeros((len(variates), classes), np.float32))

    return Trained(
        lambda rows: Pair.by_name(lambda modality: output(rows.modalities, modality)),
        sum(kept * array.shape[1] for array in features.values()),
    )
