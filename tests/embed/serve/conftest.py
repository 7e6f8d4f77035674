from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import huse
from huse.embed.serve.searcher import Searcher


@pytest.fixture(scope="session")
def served_embeddings(few_embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of the 42 emoji, which indexes are written into."""
    return shutil.copytree(few_embeddings, tmp_path_factory.mktemp("serve") / "embeddings")


@pytest.fixture(scope="session")
def searcher(few_emoji: Path, few_model: Path, served_embeddings: Path) -> Searcher:
    """A model of the 42 emoji and their embeddings."""
    return Searcher(huse.load(few_model), served_embeddings, few_emoji.parent)
