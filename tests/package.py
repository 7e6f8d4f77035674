"""A package that brings an encoder, as those that users install do."""

from __future__ import annotations

import os
import sys
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


def install(folder: Path, family: str, target: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brings an encoder to this process by a package, as installing it does.

    Args:
        folder: where the package is put.
        family: the encoder's name.
        target: ``module:Class``.
        code: of the module.
        monkeypatch: takes it away again.
    """
    module = target.partition(":")[0]
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[huse.encoders]\n{family} = {target}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, module, raising=False)


def install_encoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brings `mean-color:SECONDS`, which takes its time for each batch, to this process and those that it starts."""
    install(folder, "mean-color", "my_encoders:MeanColor", MEAN_COLOR, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))
