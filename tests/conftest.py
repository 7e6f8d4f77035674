"""Fixtures that most tests share: real images, real features of a few, a small random store."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as of what a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
from samples import random_store, read_csv, write_csv

from huse.demo.emoji import unpack_emoji
from huse.embed.embed import embed_source
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.features.store import Store
from huse.train.config import FitConfig
from huse.train.fit import fit_model

FEW_CLASSES = ("flags/country flag", "animals & nature/animal mammal", "food & drink/food fruit")
ROWS_A_CLASS = 14


SHELL = ("COLUMNS", "LINES", "FORCE_COLOR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
"""What a user's shell may set: it changes what is printed, and whom the tests reach."""


@pytest.fixture(scope="session", autouse=True)
def bare_shell() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in SHELL:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def emoji(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of the bundled emoji, unpacked."""
    return unpack_emoji(tmp_path_factory.mktemp("emoji"))


@pytest.fixture(scope="session")
def few_emoji(emoji: Path) -> Path:
    """A manifest of 42 emoji of three classes, beside the big one; two in seven are test rows."""
    rows = []
    for label in FEW_CLASSES:
        members = [row for row in read_csv(emoji) if row["label"] == label][:ROWS_A_CLASS]
        rows += [{**row, "split": "test" if i % 7 < 2 else "train"} for i, row in enumerate(members)]
    return write_csv(emoji.parent / "few.csv", rows)


@pytest.fixture(scope="session")
def few_store(few_emoji: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real features of `few_emoji`, in shards of ten rows. Read only."""
    store = tmp_path_factory.mktemp("few") / "store"
    extract_features(few_emoji, store, ExtractConfig(shard_size=10, batch_size=8))
    return store


@pytest.fixture(scope="session")
def few_model(few_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the 42 emoji. Read only."""
    model = tmp_path_factory.mktemp("few") / "model"
    fit_model(few_store, model, FitConfig(dimension=64, hidden_units=128, epochs=20, patience=0))
    return model


@pytest.fixture(scope="session")
def few_embeddings(few_store: Path, few_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embeddings of the 42 emoji. Read only."""
    out = tmp_path_factory.mktemp("few") / "embeddings"
    embed_source(few_model, few_store, out)
    return out


@pytest.fixture
def small_store(tmp_path: Path) -> Store:
    return random_store(tmp_path / "store")
