from __future__ import annotations

from pathlib import Path

import pytest

from huse.embed.embed import embed_source
from huse.train.config import FitConfig
from huse.train.fit import fit_model


@pytest.fixture(scope="session")
def few_model(few_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the 42 emoji. Read only."""
    model = tmp_path_factory.mktemp("few") / "model"
    fit_model(few_store, model, FitConfig(dimension=64, hidden_units=128, epochs=20, patience=0))
    return model


@pytest.fixture(scope="session")
def few_embeddings(few_store: Path, few_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embeddings of the 42 emoji. Read only."""
    out = tmp_path_factory.mktemp("few") / "embeddings"
    embed_source(few_model, few_store, out)
    return out
