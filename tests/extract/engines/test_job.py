"""What travels to a worker is enough to fill a shard as the local engine does."""

from __future__ import annotations

import pickle
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from faults.scenarios import Color
from PIL import Image

from huse.extract.config import ExtractConfig
from huse.extract.encoders.arithmetic import Arithmetic
from huse.extract.engines.job import FillJob, Shard
from huse.extract.extract import extract_features
from huse.extract.manifest.plan import digest_of_plan, plan_shards
from huse.extract.manifest.rows import read_manifest
from huse.extract.run_encoders import Choice
from huse.features.companions import read_encoder_state
from huse.features.errors import FingerprintError
from huse.features.store import Store

CONFIG = ExtractConfig(shard_size=6, batch_size=4, text_encoder="tfidf:5", class_encoder="none")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """20 rows; images lie in the table, which no worker sees."""
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    images = []
    for i in range(20):
        buffer = BytesIO()
        Image.new("RGB", (9, 7), (i, 2 * i, 100)).save(buffer, "PNG")
        images.append(buffer.getvalue() if i % 5 else None)
    texts = [f"word{i % 4} thing{i % 3}" for i in range(20)]
    columns = {"key": [f"k{i}" for i in range(20)], "image": images, "text": texts}
    parquet.write_table(pyarrow.table(columns), tmp_path / "m.parquet")
    return tmp_path / "m.parquet"


def test_a_shard_that_travels_is_filled_as_by_the_local_engine(manifest: Path, tmp_path: Path) -> None:
    local = extract_features(manifest, tmp_path / "local", CONFIG, image_encoder=Color())
    rows, state = read_manifest(manifest), read_encoder_state(tmp_path / "local")
    there = Store.open(tmp_path / "local")
    store = Store.create(tmp_path / "store", there.info, rows.content)
    job = FillJob.of(store.path, rows, CONFIG, Choice(image=Color()), state, Arithmetic("float32", False))
    fill, total = pickle.loads(pickle.dumps(job)).begin(1), 0
    plan = plan_shards(rows.digests, {}, 6)
    digest = digest_of_plan(plan)
    for number, positions in plan.items():
        total += fill(pickle.loads(pickle.dumps(Shard.of(rows, number, positions, digest)))).encoded
        assert store.shard_path(number).read_bytes() == there.shard_path(number).read_bytes()
    assert total == local.encoded == 20


def test_a_worker_with_other_encoders_than_the_store_is_refused(manifest: Path, tmp_path: Path) -> None:
    extract_features(manifest, tmp_path / "store", CONFIG, image_encoder=Color())
    other = Color()
    other.spec = replace(other.spec, weights="1")
    state, agreed = read_encoder_state(tmp_path / "store"), Arithmetic("float32", False)
    job = FillJob.of(tmp_path / "store", read_manifest(manifest), CONFIG, Choice(image=other), state, agreed)
    with pytest.raises(FingerprintError, match=r"image: the store and node .*same huse.*on all nodes"):
        job.begin(1)


def test_paths_travel_whole(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(manifest.parent)
    config, here = replace(CONFIG, image_weights=Path("weights.h5")), manifest.parent.resolve()
    choice, agreed = Choice(image="hub:a+vgg16", text="salient:9:hub:b"), Arithmetic("float32", False)
    rows = read_manifest(manifest.name)
    job = FillJob.of(here, rows, choice.named(config), choice, None, agreed)
    assert job.config.image_weights == here / "weights.h5"
    assert job.manifest["folder"] == here
    assert (job.config.image_encoder, job.config.text_encoder) == (f"hub:{here}/a+vgg16", f"salient:9:hub:{here}/b")
    assert job.choice == Choice()
    bert = Color()
    bert.spec = replace(bert.spec, name="bert")
    choice = Choice(image=bert)
    assert FillJob.of(here, rows, choice.named(config), choice, None, agreed).choice == choice


def test_rows_of_a_manifest_are_where_they_were(manifest: Path) -> None:
    rows = read_manifest(manifest)
    shard = Shard.of(rows, 3, np.array([7, 2]), "")
    assert [row.key for row in shard.rows] == ["k7", "k2"]
    assert sorted(shard.images.values()) == sorted(rows.image_bytes(row) for row in rows.rows([7, 2]))
