"""A package that brings an encoder, as those that users install do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MEAN_COLOR = """
import time
import numpy as np
from huse.features.encoder_spec import EncoderSpec

class MeanColor:
    input_size = (8, 8)
    def __init__(self, argument):
        self.seconds = float(argument or 0)
        self.spec = EncoderSpec("mean-color", "image", 3, "mean of 8 x 8 pixels", "1")
    def encode(self, pixels):
        time.sleep(self.seconds)
        return pixels.mean(axis=(1, 2)).astype(np.float32)
"""


def install_encoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brings `mean-color:SECONDS`, which takes its time for each batch, to this process and those that it starts."""
    (folder / "my_encoders.py").write_text(MEAN_COLOR)
    info = folder / "my_encoders-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-encoders\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[huse.encoders]\nmean-color = my_encoders:MeanColor\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))
