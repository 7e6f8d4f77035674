"""Fixtures that most tests share: real images, real features of a few, a small random store."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # as commands do: other processes are on the GPU too
os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait by spinning, on the processors of other workers
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as of what a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
from samples import random_store, read_csv, write_csv
from shared import Shared, filled

from huse.demo.emoji import MANIFEST, unpack_emoji
from huse.extract.config import ExtractConfig
from huse.extract.extract import extract_features
from huse.features.store import Store
from huse.train.config import FitConfig

settings.register_profile("huse", deadline=None)  # no test is about time
settings.load_profile("huse")
gc.set_threshold(50_000, 10, 10)  # of the many objects of TensorFlow's graphs few are garbage

FEW_CLASSES = ("flags/country flag", "animals & nature/animal mammal", "food & drink/food fruit")
ROWS_A_CLASS = 14


SHELL = ("COLUMNS", "LINES", "FORCE_COLOR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
"""What a user's shell may set: it changes what is printed, and whom the tests reach."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: some tests wait for sockets, clusters and processes."""
    return len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow tests come first, so that no worker ends with one while the others wait."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def bare_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name in SHELL:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shared:
    """A folder by its name, filled once for all workers. Read only."""
    base = tmp_path_factory.getbasetemp()
    return partial(filled, base if worker_id == "master" else base.parent)


@pytest.fixture(scope="session")
def emoji(shared: Shared) -> Path:
    """The manifest of the bundled emoji, unpacked."""
    return shared("emoji", unpack_emoji) / MANIFEST


@pytest.fixture(scope="session")
def few_emoji(emoji: Path, shared: Shared) -> Path:
    """A manifest of 42 emoji of three classes, beside the big one; two in seven are test rows."""

    few = emoji.parent / "few.csv"

    def pick(_: Path) -> None:
        rows = []
        for label in FEW_CLASSES:
            members = [row for row in read_csv(emoji) if row["label"] == label][:ROWS_A_CLASS]
            rows += [{**row, "split": "test" if i % 7 < 2 else "train"} for i, row in enumerate(members)]
        write_csv(few, rows)

    shared("few", pick)
    return few


@pytest.fixture(scope="session")
def few_store(few_emoji: Path, shared: Shared) -> Path:
    """Real features of `few_emoji`, in shards of ten rows. Read only.

    Of images at 96 pixels: emoji have 72, and at 224 they take five times as long.
    """
    config = ExtractConfig(image_encoder="vgg16@96:blocks", shard_size=10, batch_size=8)
    return shared("few-store", lambda store: extract_features(few_emoji, store, config))


@pytest.fixture(scope="session")
def few_model(few_store: Path, shared: Shared) -> Path:
    """A model of the 42 emoji. Read only."""
    from huse.train.fit import fit_model  # loads TensorFlow, which the process that only hands out tests can spare

    config = FitConfig(dimension=64, hidden_units=128, epochs=20, patience=0)
    return shared("few-model", lambda model: fit_model(few_store, model, config))


@pytest.fixture(scope="session")
def few_embeddings(few_store: Path, few_model: Path, shared: Shared) -> Path:
    """The embeddings of the 42 emoji. Read only."""
    from huse.embed.embed import embed_source

    return shared("few-embeddings", lambda out: embed_source(few_model, few_store, out))


@pytest.fixture
def small_store(tmp_path: Path) -> Store:
    return random_store(tmp_path / "store")
