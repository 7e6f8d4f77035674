from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import open_browser

import huse
from huse.embed.serve.searcher import Searcher
from huse.embed.serve.serve import run_server


@pytest.fixture(scope="session")
def served_embeddings(few_embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embeddings of the 42 emoji, which indexes are written into."""
    return shutil.copytree(few_embeddings, tmp_path_factory.mktemp("serve") / "embeddings")


@pytest.fixture(scope="session")
def searcher(few_emoji: Path, few_model: Path, served_embeddings: Path) -> Searcher:
    """A model of the 42 emoji and their embeddings."""
    return Searcher(huse.load(few_model), served_embeddings, few_emoji.parent)


@pytest.fixture(scope="session")
def address(searcher: Searcher) -> str:
    """The server in a thread of this process, which goes away with it."""
    said: list[str] = []
    told = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        told.set()

    threading.Thread(target=run_server, args=(searcher, "127.0.0.1", 0, 10**6, say), daemon=True).start()
    assert told.wait(30)
    found = re.search(r"http://\S+", said[0])
    assert found
    return found.group(0)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all tests: it takes seconds to start."""
    driver = open_browser(tmp_path_factory.mktemp("chromium"), downloads)
    yield driver
    driver.quit()
