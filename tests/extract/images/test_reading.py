from __future__ import annotations

import os
import sys
from pathlib import Path

import fsspec
import pytest

from huse.extract.images.decoding import ImageError
from huse.extract.images.reading import read_image


def test_urls_are_read_through_fsspec() -> None:
    with fsspec.open("memory://images/a.png", "wb") as file:
        file.write(b"an image")
    assert read_image("memory://images/a.png") == b"an image"
    with pytest.raises(ImageError, match=r"memory://images/absent\.png"):
        read_image("memory://images/absent.png")
    with pytest.raises(ImageError, match="ValueError: Protocol not known: nonsense"):
        read_image("nonsense://a.png")


def test_a_path_that_holds_what_parts_urls_is_that_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "ab:").mkdir()
    (tmp_path / "ab:" / "c.png").write_bytes(b"an image")
    assert read_image(f"{tmp_path}/ab://c.png") == b"an image"


def test_reasons_are_told_once_and_in_utf_8(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"^no such object: memory://images/absent\.png$"):
        read_image("memory://images/absent.png")
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / os.fsdecode(b"caf\xe9.png"))
    assert str(caught.value).encode().endswith(b"caf\\udce9.png")


def test_a_url_without_the_package_that_reads_it_costs_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImageError, match=r"an image by URL needs fsspec: pip install 'huse\[remote\]': memory://a"):
        read_image("memory://a.png")


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        read_image(tmp_path / "absent.png")
    (tmp_path / "zero.png").write_bytes(b"")
    with pytest.raises(ImageError, match="empty file"):
        read_image(tmp_path / "zero.png")
    with pytest.raises(ImageError, match="directory"):
        read_image(tmp_path)
