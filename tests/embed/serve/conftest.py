from __future__ import annotations

from pathlib import Path

import pytest

import huse
from huse.embed.embed import embed_source
from huse.embed.serve.searcher import Searcher
from huse.train.config import FitConfig
from huse.train.fit import fit_model


@pytest.fixture(scope="session")
def served_embeddings(few_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of the 42 emoji, beside their `model`."""
    folder = tmp_path_factory.mktemp("serve")
    fit_model(few_store, folder / "model", FitConfig(dimension=64, hidden_units=128, epochs=20, patience=0))
    embed_source(folder / "model", few_store, folder / "embeddings")
    return folder / "embeddings"


@pytest.fixture(scope="session")
def searcher(few_emoji: Path, served_embeddings: Path) -> Searcher:
    """A model of the 42 emoji and their embeddings."""
    return Searcher(huse.load(served_embeddings.parent / "model"), served_embeddings, few_emoji.parent)
