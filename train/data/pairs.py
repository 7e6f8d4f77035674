"""Whether the training rows have the image-text pairs that an objective is made of."""

from __future__ import annotations

from huse.features.errors import FitError
from huse.train.data.batches import Numbers, TrainingData
from huse.train.data.catalog import Catalog


def require_pairs(rows: Numbers, data: TrainingData, catalog: Catalog | None, where: str, objective: str) -> None:
    """Refuses an objective made of image-text pairs where there are too few to tell apart.

    Args:
        rows: numbers of the rows to train on.
        data: these rows, among others.
        catalog: what is known of all rows of the store; None where they lie in no store.
        where: the store, for the message.
        objective: its name.

    Raises:
        FitError: there is no pair, or one.
    """
    present = data.take(rows).present if catalog is None else catalog.present.map(lambda has: has[rows])
    pairs = int((present.image & present.text).sum())
    if pairs < 2:
        raise FitError(
            f"{where}: {pairs} image-text pairs among the training rows, of which objective {objective} is made and "
            "needs 2; take another objective (--objective)"
        )
