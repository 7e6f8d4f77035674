"""What leaves huse: SavedModels loaded without it, Projector files, cards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import read_csv

import huse
from huse.embed.export.card import export_card
from huse.embed.export.onnx import export_onnx
from huse.embed.export.projector import export_projector
from huse.embed.export.savedmodel import export_savedmodel
from huse.embed.export.tensorflow_decoder import decode
from huse.extract.images.decoding import decode_image
from huse.features.errors import ModelError
from huse.features.modality import Pair
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model
from huse.train.network.forward import class_probabilities

CLIENT = """
import sys
sys.path[:] = [p for p in sys.path if p]  # not this folder
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
features = {name: tf.constant(given[name]) for name in ("image", "text", "has_image", "has_text")}
out = {f"{m}_embedding": getattr(loaded, f"embed_{m}_features")(features[m]) for m in ("image", "text")}
out |= loaded.classify(features)
if sys.argv[4:]:
    out["images"] = loaded.embed_images(tf.constant([open(path, "rb").read() for path in sys.argv[4:]]))
assert "huse" not in sys.modules
plain = {name: value.numpy() for name, value in out.items()}
np.savez(sys.argv[3], **{name: v.astype("U") if v.dtype == object else v for name, v in plain.items()})
"""


def test_a_savedmodel_needs_no_huse_and_gives_the_same(
    few_emoji: Path, few_store: Path, few_model: Path, tmp_path: Path
) -> None:
    model = huse.load(few_model, precision="float32")
    names = export_savedmodel(model, tmp_path / "saved", with_encoders=True)
    assert names == ["embed_image_features", "embed_text_features", "classify", "embed_images"]
    rows = Store.open(few_store).load()
    has_image, has_text = np.arange(42) % 7 != 0, np.arange(42) % 5 != 0
    features = rows.modalities.map(lambda its: its.vectors.astype(np.float32))
    np.savez(tmp_path / "in.npz", **dict(features.items()), has_image=has_image, has_text=has_text)
    names = [str(few_emoji.parent / row["image"]) for row in read_csv(few_emoji)[::9]]
    command = [
        sys.executable,
        "-c",
        CLIENT,
        str(tmp_path / "saved"),
        str(tmp_path / "in.npz"),
        str(tmp_path / "out.npz"),
    ]
    done = subprocess.run([*command, *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    out, outputs = np.load(tmp_path / "out.npz"), model.trained.forward(features)
    for modality, output in outputs.given().items():
        np.testing.assert_allclose(out[f"{modality}_embedding"], output.embedding, atol=1e-5)
    fused = class_probabilities(outputs, Pair(image=has_image, text=has_text), model.trained.fusion_weight)["fused"]
    known = has_image | has_text
    np.testing.assert_allclose(out["probability"][known], fused[known], atol=1e-5)
    assert out["labels"].tolist() == model.classes
    assert out["label"].tolist() == [model.classes[i] for i in out["probability"].argmax(axis=1)]
    np.testing.assert_allclose(out["images"], model.embed_images(names), atol=1e-5)
    with pytest.raises(ModelError, match="is there already"):
        export_savedmodel(model, tmp_path / "saved")


def test_an_onnx_file_gives_the_same(few_store: Path, few_model: Path, tmp_path: Path) -> None:
    import onnxruntime

    trained = load_model(few_model)
    names = export_onnx(trained, tmp_path / "m.onnx")
    assert set(names) == set(trained.network.output)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    rows = Store.open(few_store).load()
    features = rows.modalities.map(lambda its: its.vectors.astype(np.float32))
    found = dict(zip(names, session.run(names, dict(features.items())), strict=True))
    for modality, output in trained.forward(features).given().items():
        np.testing.assert_allclose(found.pop(f"{modality}_embedding"), output.embedding, atol=1e-5, rtol=1e-4)
        np.testing.assert_allclose(found.pop(f"{modality}_logits"), output.logits, atol=1e-5, rtol=1e-4)
    assert not found
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == trained.classes
    with pytest.raises(ModelError, match="is there already"):
        export_onnx(trained, tmp_path / "m.onnx")


@settings(max_examples=15)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(["JPEG", "PNG", "BMP"]), st.integers(0, 2**16))
def test_the_graph_decodes_as_stage_1_does(h: int, w: int, kind: str, seed: int) -> None:
    import io

    rng = np.random.default_rng(seed)
    channels = 4 if kind == "PNG" else 3
    image = Image.fromarray(rng.integers(0, 256, (h, w, channels), np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    ours = decode(tf.constant(buffer.getvalue()), (64, 48)).numpy()
    np.testing.assert_array_equal(ours, decode_image(buffer.getvalue(), (64, 48)))


def test_the_projector_gets_a_tile_a_vector(few_emoji: Path, few_embeddings: Path, tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    assert export_projector(few_embeddings, tmp_path, few_emoji.parent) == 84
    (entry,) = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig()).embeddings
    assert np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t").shape == (84, 64)
    header, *lines = (tmp_path / entry.metadata_path).read_text(encoding="utf-8").splitlines()
    assert (header, len(lines)) == ("key\tclass\tmodality\ttext", 84)
    width, height = entry.sprite.single_image_dim
    with Image.open(tmp_path / entry.sprite.image_path) as sprite:
        assert sprite.width // width * (sprite.height // height) >= 84
        tiles = [sprite.crop((c * 64, r * 64, c * 64 + 64, r * 64 + 64)) for r in range(10) for c in range(10)]
    key = lines[5].split("\t")[0]
    row = next(row for row in read_csv(few_emoji) if row["key"] == key)
    expected = Image.fromarray(decode_image((few_emoji.parent / row["image"]).read_bytes(), (64, 64)))
    difference = np.abs(np.asarray(tiles[5], int) - np.asarray(expected, int)).mean()
    assert difference < 3
    assert (np.asarray(tiles[99]) == 255).all()


def test_a_card_is_one_that_the_hub_reads(few_model: Path, tmp_path: Path) -> None:
    export_card(few_model, tmp_path / "out", 'emoji: a "test"', "apache-2.0")
    card = ModelCard.load(tmp_path / "out" / "README.md", ignore_metadata_errors=False)
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "huse"
    metrics = json.loads((few_model / "metrics.json").read_text())
    shown = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert card.data.model_name == 'emoji: a "test"'
    assert shown["accuracy_fused"] == pytest.approx(metrics["accuracy"]["fused"], abs=1e-4)
    assert shown["image_to_text_map"] == pytest.approx(metrics["retrieval"]["image_to_text"]["map"], abs=1e-4)
    assert "*.keras filter=lfs" in (tmp_path / "out" / ".gitattributes").read_text()
    assert load_model(tmp_path / "out").fingerprint == load_model(few_model).fingerprint
    with pytest.raises(ModelError, match="new or empty"):
        export_card(few_model, tmp_path / "out")
