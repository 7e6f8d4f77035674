"""A model and its encoders: made once, checked before anything runs, handed on to stage 1; tiny ones stand in."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Never

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from package import install
from PIL import Image
from samples import IMAGE_SPEC, TEXT_SPEC, random_store, without_images, write_csv
from shared import Shared

from huse.embed.embed import embed_source
from huse.embed.model import Model
from huse.extract.config import ExtractConfig
from huse.extract.encoders import text_encoder
from huse.extract.encoders.replicas import CPU_BATCH
from huse.features.encoder_spec import EncoderSpec, imported_spec
from huse.features.errors import FingerprintError, HuseError, ManifestError, ModelError, QueryError, StoreError
from huse.features.inspection import verify_store
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel, load_model
from huse.train.config import FitConfig
from huse.train.fit import fit_model

TINY = FitConfig(dimension=4, hidden_units=8, epochs=1, patience=0, refit=False)


@dataclass
class Tiny:
    """Stands for the encoder of a spec: one number a row, as often as the spec is long."""

    spec: EncoderSpec
    input_size: tuple[int, int] = (8, 8)
    seen: int = 0

    def encode(self, items: Sequence[str] | NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen += len(items)
        numbers = [len(item) if isinstance(item, str) else float(np.mean(item)) for item in items]
        return np.array(numbers, np.float32)[:, None] * np.ones(self.spec.dimension, np.float32)


@dataclass
class Made:
    """Encoders that models are handed."""

    image: Tiny = field(default_factory=lambda: Tiny(IMAGE_SPEC))
    text: Tiny = field(default_factory=lambda: Tiny(TEXT_SPEC))

    def model(self, trained: TrainedModel, **options: Any) -> Model:
        return Model(trained, image_encoder=self.image, text_encoder=self.text, **options)


@pytest.fixture(scope="module")
def models(shared: Shared) -> tuple[TrainedModel, TrainedModel]:
    """Two models of one random store, with different weights."""

    def fit(folder: Path) -> None:
        store = random_store(folder / "store")
        fit_model(store.path, folder / "a", TINY)
        fit_model(store.path, folder / "b", replace(TINY, seed=1))

    folder = shared("tiny", fit)
    return load_model(folder / "a"), load_model(folder / "b")


@pytest.fixture
def made() -> Made:
    return Made()


def manifest(folder: Path, n: int = 5) -> Path:
    rows = []
    for i in range(n):
        Image.new("RGB", (9, 7), (i + 1, i + 1, i + 1)).save(folder / f"{i}.png")
        rows.append({"key": f"k{i}", "image": f"{i}.png", "text": "x" * (i + 1), "label": "things/class 0"})
    return write_csv(folder / "m.csv", rows)


def test_the_wrong_encoder_is_refused_before_any_work(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    made.text.spec = EncoderSpec("other", "text", 4, "none", "0")
    with pytest.raises(FingerprintError, match=r"trained on vectors of text-test .*other.*--text-encoder"):
        embed_source(made.model(models[0]), manifest(tmp_path), tmp_path / "out")
    assert made.text.seen == made.image.seen == 0
    assert not (tmp_path / "out").exists()
    made.text.spec = TEXT_SPEC
    assert embed_source(made.model(models[0]), tmp_path / "m.csv", tmp_path / "out").embedded == 5


def test_nothing_is_made_for_a_manifest_that_cannot_be(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    write_csv(tmp_path / "m.csv", [{"key": "a", "text": "x"}, {"key": "a", "text": "y"}])
    with pytest.raises(ManifestError, match="'a' stands on line 2 already"):
        embed_source(made.model(models[0]), tmp_path / "m.csv", tmp_path / "out")
    with pytest.raises(StoreError, match="is a file"):
        embed_source(made.model(models[0]), manifest(tmp_path), tmp_path / "m.csv" / "out")
    assert not (tmp_path / "out").exists()


def test_stage_1_runs_with_the_models_own_encoders(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    model = made.model(models[0])
    config = ExtractConfig(image_weights=Path("w.h5"), precision="bfloat16", salient_tokens=1)
    embed_source(model, manifest(tmp_path), tmp_path / "out", config)
    assert (made.image.seen, made.text.seen) == (CPU_BATCH, 5)
    assert (model.encoder("image"), model.encoder("text")) == (made.image, made.text)
    assert Store.open(tmp_path / "out" / "features").read_classes() is None, "nobody trains on these"


def test_the_models_name_and_weights_tell_of_another_model(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    one, other = (made.model(trained) for trained in models)
    path = manifest(tmp_path)
    embed_source(one, path, tmp_path / "out")
    before = Store.open(tmp_path / "out").load()
    seen = made.image.seen, made.text.seen
    with pytest.raises(
        FingerprintError, match=r"another model's, .* add overwrite=True \(--overwrite\) to embed all rows anew"
    ):
        embed_source(other, path, tmp_path / "out")
    summary = embed_source(other, path, tmp_path / "out", overwrite=True)
    assert summary.extract is not None
    assert (summary.rows, summary.embedded, summary.extract.encoded) == (5, 5, 0)
    assert (made.image.seen, made.text.seen) == seen, "what was extracted is kept"
    after = Store.open(tmp_path / "out")
    assert after.info.image == models[1].embedding_spec("image")
    assert not np.array_equal(after.load().image.vectors, before.image.vectors)
    assert verify_store(Store.open(tmp_path / "out" / "features")) == {}
    again = embed_source(other, path, tmp_path / "out", overwrite=True)
    assert (again.rows, again.embedded) == (5, 5)
    assert embed_source(other, path, tmp_path / "out").embedded == 0


def test_what_is_replaced_stays_until_the_new_is_whole(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    path = manifest(tmp_path)
    embed_source(made.model(models[0]), path, tmp_path / "out", ExtractConfig(shard_size=2))
    before = Store.open(tmp_path / "out").load()
    calls = []

    def interrupted(features: object) -> Never:
        calls.append(features)
        raise KeyboardInterrupt

    stopped = replace(models[1])
    stopped.forward = interrupted  # a value of its own, computed when first asked for
    with pytest.raises(KeyboardInterrupt):
        embed_source(made.model(stopped), path, tmp_path / "out", ExtractConfig(shard_size=2), overwrite=True)
    assert calls
    after = Store.open(tmp_path / "out").load()
    assert after.holds_the_same_as(before)
    assert verify_store(Store.open(tmp_path / "out" / "features")) == {}
    assert not list(tmp_path.glob(".out*.tmp"))


def test_nothing_foreign_is_replaced(models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path) -> None:
    path = manifest(tmp_path)
    embed_source(made.model(models[0]), path, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"holds 'notes\.txt' too"):
        embed_source(made.model(models[1]), path, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    features = tmp_path / "out" / "features"
    with pytest.raises(QueryError, match="is the source"):
        embed_source(made.model(models[0]), features, features, overwrite=True)
    with pytest.raises(StoreError, match="holds features"):
        embed_source(made.model(models[0]), path, features, overwrite=True)
    with pytest.raises(StoreError, match="exists and is not a huse store"):
        embed_source(made.model(models[0]), path, tmp_path, overwrite=True)


def test_images_gone_for_a_night_stay_embedded(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    path = manifest(tmp_path)
    embed_source(made.model(models[0]), path, tmp_path / "out")
    before = Store.open(tmp_path / "out").load()
    (tmp_path / "2.png").unlink()
    summary = embed_source(made.model(models[0]), path, tmp_path / "out")
    assert summary.extract is not None
    assert (summary.embedded, summary.extract.not_reread) == (0, 1)
    after = Store.open(tmp_path / "out").load()
    np.testing.assert_array_equal(after.image.vectors, before.image.vectors)
    assert [failure.key for failure in after.failures] == ["k2"]


def test_a_column_that_the_model_does_not_know_is_left_out(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    store = random_store(tmp_path / "store")
    texts = Store.create(tmp_path / "texts", replace(store.info, image=None))
    rows = store.load()
    texts.write_all([without_images(rows)])
    fit_model(texts.path, tmp_path / "m", TINY, "taxonomy")
    model = made.model(load_model(tmp_path / "m"))
    path = manifest(tmp_path)
    with pytest.warns(UserWarning, match="no image tower; column image is left out"):
        summary = embed_source(model, path, tmp_path / "out")
    assert (summary.embedded, made.image.seen) == (5, 0)
    write_csv(path, [{"key": "a", "image": "0.png"}])
    with pytest.raises(ModelError, match="has no text, and the model knows nothing else"):
        embed_source(model, path, tmp_path / "none")
    assert not (tmp_path / "none").exists()


COUNTED = """
import time
import numpy as np
from huse.features.encoder_spec import EncoderSpec

class Counted:
    made, batches = 0, []

    def __init__(self, argument):
        type(self).made += 1
        self.spec = EncoderSpec("counted", "text", 4, "none", "1")

    def encode(self, texts):
        self.batches.append(len(texts))
        if len(self.batches) == 1:
            time.sleep(0.05)
        return np.ones((len(texts), 4), np.float32)
"""


def install_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of the encoder ``counted``, which a package brings; it knows how many were made, and their batches."""
    install(folder, "counted", "counted_encoder:Counted", COUNTED, monkeypatch)
    return import_module("counted_encoder").Counted


def test_many_threads_make_an_encoder_once(
    models: tuple[TrainedModel, TrainedModel], made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    counted = install_counted(tmp_path, monkeypatch)
    trained = replace(models[0], text=EncoderSpec("counted", "text", 4, "none", "1"))
    model = Model(trained, text_encoder="counted", image_encoder=made.image)
    together = threading.Barrier(8)
    results: list[NDArray[np.float32]] = []

    def ask() -> None:
        together.wait()
        results.append(model.embed_texts(["a word"]))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.made == 1
    assert counted.batches[0] == 1, "a network is built at the first use, which is one thread's alone"
    assert all(np.array_equal(result, results[0]) for result in results)
    assert model.warm() == []
    assert made.image.seen == 1


def writing_graph(folder: Path, mark: Path, static: bool = True) -> Path:
    """A SavedModel of four numbers a text, which writes a file when it runs."""

    def run(texts: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.io.write_file(str(mark), "ran")]):
            length = tf.cast(tf.strings.length(texts), tf.float32)[:, None] * tf.ones((1, 4))
        return length if static else tf.reshape(length, tf.concat([tf.shape(texts), tf.fill([1], -1)], 0))

    module = tf.Module()
    module.__call__ = tf.function(run, input_signature=[tf.TensorSpec((None,), tf.string)])
    tf.saved_model.save(module, str(folder))
    mark.unlink(missing_ok=True)
    return folder


def test_the_graph_of_a_strangers_model_never_runs(models: tuple[TrainedModel, TrainedModel], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    folder = writing_graph(tmp_path / "graph", mark)
    spec = text_encoder(f"hub:{folder}").spec
    assert spec.dimension == 4
    assert not mark.exists(), "the spec is read from the graph, which does not run"
    stranger = replace(models[0], image=None, text=spec)
    for name in (
        spec.known_as,
        "hub:https://example.com/evil/1",
        "onnx:hf://evil/model",
        f"salient:3:{spec.known_as}",
        f"use+{spec.known_as}",
    ):
        named = Model(replace(stranger, text=replace(spec, source=name)))
        with pytest.raises(ModelError, match="which comes from outside huse; if you trust it, name it too"):
            named.embed_texts(["a"])
        assert [str(error).split(", which")[0] for error in named.warm()] == [
            f"the model names the text encoder {name}"
        ]
        path = write_csv(tmp_path / "m.csv", [{"text": "a"}])
        with pytest.raises(ModelError, match="--text-encoder"):
            embed_source(named, path, tmp_path / "out")
    assert not mark.exists()
    assert not (tmp_path / "out").exists()
    trusting = Model(stranger, text_encoder=spec.known_as)
    assert trusting.embed_texts(["a"]).shape == (1, 4)
    assert mark.exists()


@pytest.mark.parametrize("static", [True, False])
def test_a_graph_that_is_named_but_another_never_runs(
    models: tuple[TrainedModel, TrainedModel], tmp_path: Path, static: bool
) -> None:
    mark = tmp_path / "ran"
    folder = writing_graph(tmp_path / "graph", mark, static)
    trained = replace(models[0], text=EncoderSpec("hub", "text", 4, "none", "0", source="hub:elsewhere"))
    with pytest.raises(HuseError, match=r"the files of hub:.* are not those of hub"):
        Model(trained, text_encoder=f"hub:{folder}").embed_texts(["a"])
    assert not mark.exists()


def test_features_of_other_encoders_are_named_with_the_way_out(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    path = manifest(tmp_path)
    embed_source(made.model(models[0]), path, tmp_path / "out")
    made.text.spec = EncoderSpec("other", "text", 4, "none", "0")
    other = made.model(replace(models[1], text=made.text.spec))
    with pytest.raises(FingerprintError, match=r"its text features are of text-test .*remove that folder"):
        embed_source(other, path, tmp_path / "out", overwrite=True)
    assert made.text.seen == 5
    assert verify_store(Store.open(tmp_path / "out")) == {}


EMBED = """
import sys
from huse.embed.embed import embed_source
model, store, out = sys.argv[1:]
for overwrite in (False, True):
    print(embed_source(model, store, f"{out} {overwrite}", overwrite=overwrite).embedded)
"""


@pytest.mark.slow
def test_two_runs_of_one_output_end_whole(tmp_path: Path) -> None:
    """Two processes that write the same embeddings at once, and then others that each makes anew."""
    store = random_store(tmp_path / "store", 300, 5)
    fit_model(store.path, tmp_path / "m", TINY)
    embed_source(tmp_path / "m", store.path, tmp_path / "alone")
    command = [sys.executable, "-c", EMBED, tmp_path / "m", store.path, tmp_path / "out"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    embedded = ([int(line) for line in printed.split()] for printed, _ in told)
    for overwrite, numbers in zip((False, True), zip(*embedded, strict=True), strict=True):
        out = Store.open(tmp_path / f"out {overwrite}")
        assert verify_store(out) == {}
        assert out.load().holds_the_same_as(Store.open(tmp_path / "alone").load())
        assert sorted(numbers) == ([300, 300] if overwrite else [0, 300])


def test_empty_shards_and_one_row(models: tuple[TrainedModel, TrainedModel], tmp_path: Path) -> None:
    small = random_store(tmp_path / "small", 1)
    assert embed_source(Model(models[0]), small.path, tmp_path / "one").embedded == 1
    source = Store.create(tmp_path / "source", small.info)
    rows = small.load()
    for index in (0, 1, 2):
        source.write(index, rows if index == 1 else rows.take([]))
    source.write_plan(3)
    for expected in (1, 0):
        summary = embed_source(Model(models[0]), source.path, tmp_path / "out")
        assert (summary.rows, summary.embedded) == (1, expected)
    assert [len(part) for part in Store.open(tmp_path / "out")] == [0, 1, 0]
    source.write(1, rows.take([]))
    assert embed_source(Model(models[0]), source.path, tmp_path / "out").rows == 0
    assert verify_store(Store.open(tmp_path / "out")) == {}


def test_embeddings_of_one_modality_are_searched_in_it(made: Made, tmp_path: Path) -> None:
    store = random_store(tmp_path / "store")
    texts = Store.create(tmp_path / "texts", replace(store.info, image=None))
    rows = store.load()
    texts.write_all([without_images(rows)])
    fit_model(texts.path, tmp_path / "m", TINY, "taxonomy")
    embed_source(tmp_path / "m", texts.path, tmp_path / "out")
    hits = made.model(load_model(tmp_path / "m")).search(tmp_path / "out", text="some words", k=2)
    assert len(hits) == 2


def test_rows_that_all_are_others(models: tuple[TrainedModel, TrainedModel], tmp_path: Path) -> None:
    source = random_store(tmp_path / "source", 5)
    embed_source(Model(models[0]), source.path, tmp_path / "out")
    rows = source.read(0)
    rows.key[:] = [f"other {key}" for key in rows.key]
    source.write(0, rows)
    assert embed_source(Model(models[0]), source.path, tmp_path / "out").embedded == 5


@pytest.mark.parametrize("out", [".", "/"])
def test_an_output_without_a_name_is_refused(
    models: tuple[TrainedModel, TrainedModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    source = random_store(tmp_path / "source", 5)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="exists and is not a huse store"):
        embed_source(Model(models[0]), source.path, out)


def test_what_made_imported_features_is_asked_for_and_taken_at_its_word(
    models: tuple[TrainedModel, TrainedModel], made: Made, tmp_path: Path
) -> None:
    trained = replace(models[0], text=imported_spec("text", TEXT_SPEC.dimension))
    with pytest.raises(ModelError, match=r"trained on imported text features.* text_encoder \(--text-encoder\)"):
        Model(trained).embed_texts(["a word"])
    model = made.model(trained)
    assert model.embed_texts(["a word"]).shape == (1, TINY.dimension)
    for call, given, message in (
        (model.embed_texts, "a word", "texts is one, 'a word'; give a list of texts"),
        (model.embed_texts, ["a word", None], "texts has None at 1; give str"),
        (model.embed_images, tmp_path / "a.png", "images is one, '.*'; give a list of images"),
        (model.embed_images, [3], "images has 3 at 0; give str or Path or bytes"),
    ):
        with pytest.raises(QueryError, match=message):
            call(given)  # type: ignore[operator]
    made.text.spec = EncoderSpec("other", "text", TEXT_SPEC.dimension + 1, "none", "0")
    with pytest.raises(FingerprintError, match=r"name the right ones by text_encoder \(--text-encoder\)"):
        made.model(trained).embed_texts(["a word"])
    with pytest.raises(ModelError, match="huse store import, and embed that store"):
        embed_source(made.model(trained), manifest(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
