"""The network that huse began with, a joint classifier, beside `huse fit` on the same rows.

    python -m benchmarks.notebook MANIFEST [--epochs 60] [--work FOLDER] [--json]

VGG16 at 64 x 64, flattened, through five layers of 512; tokens through an embedding, a convolution and two layers; both
joined into one softmax over the classes. As printed the layers are softmax layers and the rate that of the paper; then
with relu layers at the rate that is best on held out rows. All are measured once by the accuracy of test rows.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from numpy.typing import NDArray

from huse.extract.extract import extract_features
from huse.features.store import Store
from huse.train.data.hold_out import hold_out
from huse.train.evaluate import evaluate_model
from huse.train.fit import fit_model

IMAGE_ENCODER = "vgg16@64:flatten"
WORDS, LENGTH, WIDTH, DROPOUT = 10_000, 32, 512, 0.15
PRINTED_RATE = 1.6192e-5
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
BATCH = 128


@dataclass(frozen=True, eq=False)
class Joint:
    """Rows that have an image, a text and a label.

    Attributes:
        image: (n, 2048) features.
        tokens: (n, `LENGTH`) word numbers.
        labels: (n,) class numbers.
    """

    image: NDArray[np.float32]
    tokens: NDArray[np.int64]
    labels: NDArray[np.int64]

    def take(self, which: NDArray[np.bool_]) -> Joint:
        """Some of the rows."""
        return Joint(self.image[which], self.tokens[which], self.labels[which])

    @property
    def inputs(self) -> dict[str, Any]:
        """What the network takes."""
        return {"image": self.image, "tokens": self.tokens}


def read(manifest: Path, store: Path) -> tuple[Joint, Joint, int]:
    """Training rows, test rows, and the number of classes."""
    extract_features(manifest, store, image_encoder=IMAGE_ENCODER, class_encoder="none")
    rows = Store.open(store).load()
    rows = rows.take(rows.image.present & (rows.label != ""))
    texts = rows.caption
    training = rows.split != "test"
    vectorize = keras.layers.TextVectorization(WORDS, output_sequence_length=LENGTH)
    vectorize.adapt(texts[training].tolist())
    tokens = np.asarray(vectorize(texts.tolist()))
    classes, labels = np.unique(rows.label.astype(str), return_inverse=True)
    joint = Joint(rows.image.vectors.astype(np.float32), tokens, labels)
    return joint.take(training), joint.take(rows.split == "test"), len(classes)


def build(activation: str, classes: int, rate: float, dimension: int, seed: int) -> keras.Model:
    """The network, compiled with RMSprop as the paper has it."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image, tokens = keras.Input((dimension,), name="image"), keras.Input((LENGTH,), dtype="int64", name="tokens")
    x = image
    for _ in range(5):
        x = layers.Dropout(DROPOUT)(layers.Dense(WIDTH, activation)(x))
    y = layers.GlobalMaxPooling1D()(layers.Conv1D(128, 5, activation="relu")(layers.Embedding(WORDS, 128)(tokens)))
    for _ in range(2):
        y = layers.Dropout(DROPOUT)(layers.Dense(WIDTH, activation)(y))
    joined = layers.Dense(classes, "softmax")(layers.Concatenate()([x, y]))
    model = keras.Model({"image": image, "tokens": tokens}, joined)
    optimizer = keras.optimizers.RMSprop(rate, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def accuracy(activation: str, rate: float, train: Joint, measured: Joint, classes: int, epochs: int) -> float:
    """The accuracy on some rows of a network that was trained on others."""
    model = build(activation, classes, rate, train.image.shape[1], seed=0)
    model.fit(train.inputs, train.labels, batch_size=BATCH, epochs=epochs, verbose=0)
    return float(np.mean(model.predict(measured.inputs, verbose=0).argmax(axis=1) == measured.labels))


def tuned_rate(train: Joint, classes: int, epochs: int) -> float:
    """The rate that is best for relu layers on a held out sixth of the training rows."""
    held = hold_out(train.labels.astype(np.int32), 1 / 6, 0)
    scores = {rate: accuracy("relu", rate, train.take(~held), train.take(held), classes, epochs) for rate in RATES}
    return max(scores, key=lambda rate: scores[rate])


def huse(manifest: Path, work: Path) -> float:
    """The fused test accuracy of the default features and preset."""
    extract_features(manifest, work / "features")
    fit_model(work / "features", work / "model", overwrite=True)
    figure: float = evaluate_model(work / "model", work / "features")["accuracy"]["fused"]
    return figure


def measure(manifest: Path, work: Path, epochs: int) -> dict[str, float]:
    """Test accuracy of each contestant, and the rate that was chosen."""
    train, test, classes = read(manifest, work / "flatten")
    rate = tuned_rate(train, classes, epochs)
    return {
        "as printed": accuracy("softmax", PRINTED_RATE, train, test, classes, epochs),
        "relu layers, tuned rate": accuracy("relu", rate, train, test, classes, epochs),
        "huse": huse(manifest, work),
        "rate": rate,
    }


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path, exists=True))
@click.option("--epochs", default=60, show_default=True, help="Of the joint classifiers.")
@click.option("--work", type=click.Path(path_type=Path), help="Keeps stores and model here, so that a rerun is fast.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def main(manifest: Path, epochs: int, work: Path | None, as_json: bool) -> None:
    """Accuracy of both modalities together on the test rows of MANIFEST."""
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(manifest, work or Path(folder), epochs)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, value in figures.items():
        click.echo(f"{name:<26}{value:.3g}")


if __name__ == "__main__":
    main()
