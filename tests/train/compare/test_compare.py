from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from huse.features.errors import FitError, StoreError
from huse.features.modality import Modality
from huse.features.store import Store
from huse.train.compare.compare import compare, summarize
from huse.train.compare.methods import METHODS, base_config, possible_methods
from huse.train.compare.tables import HEADLINES
from huse.train.config import preset

FAST = {"epochs": 3, "hidden_units": 16, "batch_size": 32, "learning_rate": 0.01, "refit": False}


def test_every_method_gets_its_row_in_every_table(small_store: Store, tmp_path: Path) -> None:
    methods = ("posterior", "separate", "triplet", "huse")
    results = compare(small_store.path, tmp_path / "out", methods, seeds=1, trials=1, changes=FAST)
    assert list(results) == list(methods)
    tables = (tmp_path / "out" / "tables.md").read_text()
    for title in ("Table 1: retrieval", "Table 2: hierarchical precision", "Table 3: accuracy"):
        assert title in tables
    assert json.loads((tmp_path / "out" / "tables.json").read_text()) == results
    with (tmp_path / "out" / "tables.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == set(methods)
    mean = results["huse"]["metrics"]["mean"]
    assert {"retrieval.image_to_text.map", "accuracy.fused"} <= set(mean)
    assert not any("hp_at" in name for name in mean), "of three classes below one, all would be right"
    assert "retrieval.image_to_text.map" not in results["separate"]["metrics"]["mean"], "it has no common space"
    assert "accuracy.fused" not in results["triplet"]["metrics"]["mean"], "it has no classifier"
    assert (tmp_path / "out" / "bars.png").stat().st_size > 1000


def test_methods_share_everything_but_their_losses(small_store: Store) -> None:
    configs = {m: base_config(m, small_store, {}).to_dict() for m in METHODS}
    own = {"objective", "blend", "delta", "margin", "dimension", "beta", "gamma", "temperature", "logits"}
    shared = [{k: v for k, v in config.items() if k not in own} for config in configs.values()]
    assert all(config == shared[0] for config in shared)
    assert configs["huse-paper"]["margin"] == "paper"
    assert configs["huse"] == preset("default").to_dict()


def test_test_rows_play_no_part_in_tuning(small_store: Store, tmp_path: Path) -> None:
    results = []
    for name in ("a", "b"):
        run = compare(small_store.path, tmp_path / name, ("huse",), seeds=1, trials=2, changes=FAST)
        results.append((run["huse"]["config"], run["huse"]["val_score"]))
        for number in small_store.shard_numbers():
            rows = small_store.read(number)
            rows.image.vectors[rows.split == "test"] *= -3
            small_store.write(number, rows)
    assert results[0] == results[1]


def test_huse_is_held_against_every_other_method(small_store: Store, tmp_path: Path) -> None:
    results = compare(small_store.path, tmp_path / "out", ("cca", "huse", "posterior"), seeds=2, trials=1, changes=FAST)
    against, means = results["huse"]["against"], {m: r["metrics"]["mean"] for m, r in results.items()}
    assert list(against) == ["cca", "posterior"]
    assert set(against["posterior"]) == {path for path in HEADLINES if path in means["huse"]}
    assert "accuracy.fused" not in against["cca"], "it has no classifier"
    for other, figures in against.items():
        for path, found in figures.items():
            assert found["mean"] == pytest.approx(means["huse"][path] - means[other][path], abs=1e-9)
            assert found["low"] <= found["mean"] <= found["high"]
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert "huse against the best of the others" in tables
    assert all(r["seconds"] > 0 and r["parameters"] > 0 for r in results.values())


@pytest.mark.parametrize("modality", ["image", "text"])
def test_stores_of_one_modality_without_class_vectors_are_compared(
    small_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], modality: str
) -> None:
    store = Store.create(tmp_path / "one", replace(small_store.info, **{modality: None}))
    rows = small_store.load()
    store.write_all([replace(rows, **{modality: Modality.empty(60, 0)})])
    results = compare(store.path, tmp_path / "out", None, seeds=1, trials=1, changes={**FAST, "epochs": 1})
    assert list(results) == [
        "posterior",
        "linear",
        "separate",
        "triplet",
        "supcon",
        "sdml",
        "huse-paper",
        "huse",
    ]
    said = capsys.readouterr().err
    assert "left out: devise (needs vectors of the class names)" in said
    assert "semantic graph: taxonomy of the label paths" in said
    with pytest.raises(FitError, match="objective cme needs images and texts"):
        compare(store.path, tmp_path / "out", ("cme",))


def test_methods_of_pairs_are_left_out_where_no_row_has_both(
    small_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = small_store.load()
    rows.text.present[rows.split != "test"] = False
    small_store.write_all([rows])
    left = set(possible_methods(small_store, None))
    assert {"huse", "supcon", "sdml", "posterior"} <= left
    assert not left & {"cca", "infonce", "sigmoid", "dscmr", "cme", "adamine"}
    assert "cca (needs 2 training rows of image and text)" in capsys.readouterr().err
    with pytest.raises(FitError, match="objective cca needs 2 training rows of image and text"):
        possible_methods(small_store, ("cca",))


def test_stores_with_nothing_to_tune_or_measure_on_are_refused(small_store: Store, tmp_path: Path) -> None:
    rows = small_store.load()
    few = Store.create(tmp_path / "few", small_store.info)
    few.write_all([rows.take(np.array([0, 1, 2, 4]))])
    with pytest.raises(FitError, match="no rows to tune on"):
        compare(few.path, tmp_path / "out", ("huse",))
    with pytest.raises(FitError, match="no rows to tune on"):
        compare(small_store.path, tmp_path / "out", ("huse",), changes={"val_fraction": 0.0})
    untested = Store.create(tmp_path / "untested", small_store.info)
    untested.write_all([rows.take(rows.split != "test")])
    with pytest.raises(StoreError, match="no row of split test"):
        compare(untested.path, tmp_path / "out", ("huse",))
    with pytest.raises(FitError, match=r"taxonomy .*absent\.csv"):
        compare(small_store.path, tmp_path / "out", ("huse",), taxonomy=tmp_path / "absent.csv")
    assert not (tmp_path / "out").exists()


def test_unknown_methods_are_named(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(FitError, match="no objective '', 'clip'; there is posterior"):
        compare(small_store.path, tmp_path, ("clip", ""))


def test_methods_that_are_named_twice_run_once(small_store: Store) -> None:
    assert possible_methods(small_store, ("huse", "cca", "huse")) == ("huse", "cca")


def test_summary_is_mean_and_spread() -> None:
    runs = [{"a": {"b": 1.0, "c": None}}, {"a": {"b": 3.0, "c": 2.0}}]
    assert summarize(runs) == {"mean": {"a.b": 2.0}, "std": {"a.b": 1.0}}
