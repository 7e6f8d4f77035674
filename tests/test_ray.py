"""What is extracted and embedded on a Ray cluster is what the local engine makes, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from samples import random_store, read_csv, write_csv

from huse.embed.changes.changes import Changes
from huse.embed.embed import EmbedSummary, embed_source
from huse.embed.model import Model
from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.extract import extract_features
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import ClusterError, ExtractionError
from huse.features.rows import Rows
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.config import FitConfig
from huse.train.fit import fit_model

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
ROWS, SHARD = 600, 50
PATIENCE = 600
"""Seconds after which what has not begun is ended."""
CONFIG = ExtractConfig(shard_size=SHARD, batch_size=10, class_encoder="none")
ON_RAY = replace(CONFIG, engine="ray", max_retries=1)


class Color:
    """An image's vector is its mean color; dies or hangs, once or always, at an image with a white dot."""

    spec = EncoderSpec("color", "image", 3, "mean", "0")
    input_size = (8, 8)

    def __init__(self, mark: Path, dies: str = "", seconds: float = 0.0) -> None:
        self.mark, self.dies, self.seconds = mark, dies, seconds

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(self.seconds)
        if self.dies and (pixels == 255).any() and (self.dies == "always" or not self.mark.exists()):
            self.mark.touch()
            time.sleep(1000 if self.dies == "hangs" else 0)
            os.kill(os.getpid(), signal.SIGKILL)
        return pixels.mean(axis=(1, 2)).astype(np.float32) + 1


class Length:
    """A text's vector is its length and its first letter."""

    spec = EncoderSpec("length", "text", 2, "none", "0")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(t), ord(t[0])] for t in texts], np.float32).reshape(-1, 2)


def extract(manifest: Path, store: Path, config: ExtractConfig = ON_RAY, **color: Any) -> ExtractSummary:
    image = Color(manifest.parent / f"{store.name}-died", **color)
    return extract_features(manifest, store, config, image_encoder=image, text_encoder=Length())


def files(folder: Path) -> dict[str, bytes]:
    """All of a store but for how its images looked, which hangs on the moment, and what the next run sweeps away."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(("looks-", "."))}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 images; one in the middle has a white dot, one is missing."""
    folder = tmp_path_factory.mktemp("images")
    rows = []
    for i in range(ROWS):
        image = Image.new("RGB", (8, 8), (i % 250, i // 250, 100))
        if i == 330:
            image.putpixel((0, 0), (255, 255, 255))
        if i != 77:
            image.save(folder / f"{i}.png")
        rows.append({"key": f"k{i}", "image": f"{i}.png", "text": f"text {i}", "label": f"c/{i % 3}"})
    return write_csv(folder / "m.csv", rows)


@pytest.fixture(scope="module")
def expected(manifest: Path) -> dict[str, bytes]:
    """The store of the local engine."""
    extract(manifest, manifest.parent / "local", CONFIG)
    return files(manifest.parent / "local")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one processor each on this machine."""
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    started = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    started.add_node(**NODE)
    started.wait_for_nodes()
    ray.init(address=started.address, log_to_driver=False, logging_level="CRITICAL")
    yield started
    ray.shutdown()
    started.shutdown()


NODE = {"num_cpus": 1, "object_store_memory": 10**8}


def test_the_store_is_that_of_the_local_engine(cluster: Any, manifest: Path, expected: Any, tmp_path: Path) -> None:
    summary = extract(manifest, tmp_path / "store")
    assert files(tmp_path / "store") == expected
    assert (summary.rows, summary.failed, summary.shards_written) == (ROWS, 1, ROWS // SHARD)
    assert extract(manifest, tmp_path / "store").shards_written == 0


def test_a_worker_that_dies_costs_nothing_but_time(cluster: Any, manifest: Path, expected: Any, tmp_path: Path) -> None:
    summary = extract(manifest, tmp_path / "store", dies="once")
    assert (manifest.parent / "store-died").exists()
    assert files(tmp_path / "store") == expected
    assert summary.rows == ROWS


def test_a_worker_that_hangs_holds_up_nobody(cluster: Any, manifest: Path, expected: Any, tmp_path: Path) -> None:
    extract(manifest, tmp_path / "hung", dies="hangs")
    assert (manifest.parent / "hung-died").exists()
    assert files(tmp_path / "hung") == expected


def test_a_shard_that_ends_its_workers_is_named_and_the_others_are_there(
    cluster: Any, manifest: Path, expected: Any, tmp_path: Path
) -> None:
    with pytest.raises(ClusterError, match=r"shard 6 could not be filled in 2 tries .*died.*same command again"):
        extract(manifest, tmp_path / "store", dies="always")
    assert files(tmp_path / "store") == {name: data for name, data in expected.items() if name != "shard-00006.h5"}
    assert extract(manifest, tmp_path / "store").shards_written == 1
    assert files(tmp_path / "store") == expected


def test_a_node_that_goes_costs_nothing_but_time(cluster: Any, manifest: Path, expected: Any, tmp_path: Path) -> None:
    going = cluster.list_all_nodes()[-1]
    removing = when_begun(tmp_path / "store", lambda: cluster.remove_node(going, allow_graceful=False))
    try:
        extract(manifest, tmp_path / "store", seconds=0.05)
        removing.join()
        assert files(tmp_path / "store") == expected
    finally:
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()


def test_a_driver_that_is_killed_is_started_again(cluster: Any, manifest: Path, expected: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    kill_driver(cluster.address, store, manifest)
    extract(manifest, store)
    assert files(store) == expected


def kill_driver(address: str, out: Path, *inputs: Path) -> None:
    """Begins what this file does as a program, and ends it in the middle."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, __file__, address, out, *inputs]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}) as driver:
        when_begun(out, driver.kill).join()
    assert driver.returncode == -signal.SIGKILL
    assert 0 < len(list(out.glob("shard-*"))) < ROWS // SHARD


def when_begun(store: Path, act: Callable[[], Any]) -> Thread:
    """Does something once three shards are written."""

    def wait() -> None:
        until = time.monotonic() + PATIENCE
        while len(list(store.glob("shard-*"))) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        act()

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_the_first_bad_row_stops_a_run_that_asks_for_it(cluster: Any, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(ExtractionError, match=r"k77: .*on_error") as caught:
        extract(manifest, tmp_path / "store", replace(ON_RAY, on_error="fail"))
    assert caught.value.summary.failed == 1


@dataclass
class Slow(TrainedModel):
    """A model that takes its time, and dies once."""

    mark: Path | None = None
    passes: int = 0

    @property
    def forward(self) -> Any:
        run = super().forward

        def slow(inputs: Any) -> Any:
            time.sleep(0.05)
            self.passes += 1
            if self.mark is not None and self.passes == 3 and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return run(inputs)

        return slow


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_store(tmp_path_factory.mktemp("features") / "store", 12 * ROWS, ROWS).path


@pytest.fixture(scope="module")
def model(features: Path) -> Path:
    config = FitConfig(epochs=1, dimension=16, hidden_units=16, refit=False)
    fit_model(features, features.parent / "model", config)
    return features.parent / "model"


def embed(model: Path, features: Path, out: Path, mark: Path | None = None, **options: Any) -> EmbedSummary:
    trained = load_model(model)
    slow = Slow(**{entry.name: getattr(trained, entry.name) for entry in fields(trained)}, mark=mark)
    return embed_source(Model(slow), features, out, replace(ON_RAY, **options))


def test_embeddings_are_those_of_the_local_engine(cluster: Any, model: Path, features: Path, tmp_path: Path) -> None:
    embed_source(model, features, tmp_path / "local", CONFIG)
    expected = files(tmp_path / "local")
    kill_driver(cluster.address, tmp_path / "killed", model, features)
    embed(model, features, tmp_path / "killed", tmp_path / "mark", workers=1)
    assert (tmp_path / "mark").exists()  # a worker died too
    assert files(tmp_path / "killed") == expected
    going = cluster.list_all_nodes()[-1]
    removing = when_begun(tmp_path / "removed", lambda: cluster.remove_node(going, allow_graceful=False))
    try:
        summary = embed(model, features, tmp_path / "removed")
        removing.join()
        assert files(tmp_path / "removed") == expected
        assert summary.rows == 12 * ROWS
    finally:
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()


def test_encoders_of_a_model_are_made_by_name_where_the_shards_are(
    cluster: Any, few_emoji: Path, few_store: Path, few_model: Path, few_embeddings: Path, tmp_path: Path
) -> None:
    ten = write_csv(few_emoji.parent / "ten.csv", read_csv(few_emoji)[:10])
    config = ExtractConfig(shard_size=10, batch_size=8, engine="ray")
    summary = embed_source(few_model, ten, tmp_path / "out", config, changes=tmp_path / "changes.parquet")
    assert summary.changes == Changes(10, 0)
    assert_alike(Store.open(tmp_path / "out" / "features").load(), Store.open(few_store).read(0))
    assert_alike(Store.open(tmp_path / "out").load(), Store.open(few_embeddings).read(0))


def assert_alike(ours: Rows, theirs: Rows) -> None:
    """Rows alike to the digits that other numbers of threads and images at a time leave."""
    for name, column in ours.columns().items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(column, theirs.columns()[name], rtol=2e-3, atol=1e-3, err_msg=name)
        else:
            assert (column == theirs.columns()[name]).all(), name


if __name__ == "__main__":  # a driver that is killed
    address_, out_, *inputs = sys.argv[1:]
    if len(inputs) == 1:
        extract(Path(inputs[0]), Path(out_), replace(ON_RAY, ray_address=address_), seconds=0.05)
    else:
        model_, features_ = map(Path, inputs)
        embed(model_, features_, Path(out_), ray_address=address_, workers=1)
