from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from huse.features.errors import FitError
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.data.task import read_fit_data

CONFIG = FitConfig()


def rewrite(store: Store, rows: Rows) -> None:
    for number in store.shard_numbers():
        store.write(number, rows.take(np.arange(number * 25, min(number * 25 + 25, len(rows)))))


def test_rows_of_one_product_are_held_out_together(small_store: Store) -> None:
    rows = small_store.load()
    rows.split[:] = "train"
    rows.text.digest[:] = np.arange(60)[:, None] // 6 + 1
    rewrite(small_store, rows)
    data = read_fit_data(small_store, CONFIG)
    assert data.group is not None
    for seed in range(5):
        task = data.split(replace(CONFIG, val_fraction=0.3, seed=seed))
        assert task.everything is not None
        val = np.setdiff1d(task.everything, task.train)
        assert len(val)
        assert not set(rows.text.digest[val, 0]) & set(rows.text.digest[task.train[task.train < 60], 0])


def test_val_rows_that_share_content_with_training_rows_are_said(small_store: Store) -> None:
    rows = small_store.load()
    rows.split[:2] = "val"
    rows.image.digest[0] = rows.image.digest[10]
    rewrite(small_store, rows)
    with pytest.warns(UserWarning, match="1 of 2 rows of split val share their image or text"):
        read_fit_data(small_store, CONFIG)


def test_classes_of_val_rows_alone_are_known(small_store: Store) -> None:
    rows = small_store.load()
    rows.split[:3], rows.label[:3] = "val", "things/of val"
    rewrite(small_store, rows)
    assert "things/of val" in read_fit_data(small_store, CONFIG).classes


def test_class_names_without_a_known_word_are_no_texts(small_store: Store) -> None:
    stored = small_store.read_classes()
    assert stored is not None
    stored.vectors[1] = 0
    small_store.write_classes(stored)
    data = read_fit_data(small_store, CONFIG)
    assert data.data.labels[48:].tolist() == [0, 2]


@pytest.mark.parametrize("memory", ["resident", "streamed"])
def test_an_objective_of_pairs_is_refused_where_there_are_none(memory: str, small_store: Store) -> None:
    rows = small_store.load()
    rows.text.present[1:] = False
    rewrite(small_store, rows)
    config = replace(CONFIG, objective="infonce", memory=memory)
    with pytest.raises(FitError, match=r": 1 image-text pairs .*\(--objective\)"):
        read_fit_data(small_store, config).split(config)
