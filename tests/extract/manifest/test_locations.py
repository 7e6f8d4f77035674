"""Where images are looked for, and what is said when they lie elsewhere."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huse.extract.images.decoding import ImageError
from huse.extract.manifest.locations import image_location, nearest_image
from huse.extract.manifest.rows import read_manifest


@pytest.mark.parametrize(
    ("there", "written", "hint"),
    [
        ("a/b.png", "a\\b.png", r"a/b\.png is there: write / for \\"),
        ("a b.png", "a%20b.png", r"a b\.png is there: decode %20"),
        ("a/b c.png", "a\\b%20c.png", r"a/b c\.png is there: decode %20"),
        (unicodedata.normalize("NFC", "caf\u00e9.png"), unicodedata.normalize("NFD", "caf\u00e9.png"), r"form NFC"),
        (unicodedata.normalize("NFD", "caf\u00e9.png"), unicodedata.normalize("NFC", "caf\u00e9.png"), r"form NFD"),
        ("Images/A.PNG", "images/a.png", r"Images/A\.PNG is there: case"),
        ("a.PNG", "a.png", r"a\.PNG is there"),
        ("a.jpeg", "a.jpg", r"its suffix is \.jpeg"),
        ("7.jpg", "7", r"add \.jpg"),
        ("a.png ", "a.png", r"a\.png  is there: case"),
        ("a.png", "/a.png", r"leave out the / at its start"),
        ("a.png", "images/a.png", r"a\.png is there; leave out the folders"),
        ("b.png", "a.png", r"paths start from the manifest's folder$"),
        ("a.png", "/b.png", r""),
        ("a.png", "C:\\images\\b.png", r"a path of another machine"),
        ("a.png", "\\\\server\\images\\b.png", r"a path of another machine"),
        ("a.png", "file:///C:/images/b.png", r"a path of another machine"),
        ("a b.png", "file:a%20c.png", r"paths start from"),
        ("a.png", "b/c/d.png", r"paths start from"),
        ("a.png", 400 * "x", r""),
        ("a.png", "a\0.png", r""),
    ],
)
def test_an_image_that_is_not_there_is_told_with_what_is(there: str, written: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "in" / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "in" / there).write_bytes(b"x")
    found = nearest_image(written, tmp_path / "in")
    assert re.search(hint, found), found
    assert bool(found) == bool(hint)
    if hint and "\0" not in written:
        path = tmp_path / "in" / "m.jsonl"
        path.write_text(json.dumps({"image": written}))
        manifest = read_manifest(path)
        with pytest.raises(ImageError, match=hint):
            manifest.image_bytes(manifest.rows()[0])


odd = st.text(st.one_of(st.sampled_from("~/\\\\.%2x0:a "), st.characters()), max_size=20)


@given(
    start=st.sampled_from(["", "~", "~/", "/", "file://", "file:", "C:\\\\", "https://", "\\\\x", "../"]), written=odd
)
def test_no_text_is_too_odd_to_look_for(start: str, written: str) -> None:
    folder = Path(__file__).parent
    assert isinstance(nearest_image(start + written, folder), str)
    if not any("\ud800" <= character <= "\udfff" for character in written):
        assert isinstance(image_location(start + written, folder), str)


def test_a_home_and_a_working_directory_may_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert nearest_image("/a.png", tmp_path) == ""
    assert image_location("~nobody/a.png", tmp_path) == f"{tmp_path}/~nobody/a.png"


def test_images_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("work/images/a.png", "data/images/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path / "work")
    folder = tmp_path / "data" / "images"
    assert nearest_image("images/a.png", folder) == "paths start from the manifest's folder"
    above = "but it is there from the folder above the manifest's; paths start from the manifest's folder"
    assert nearest_image("images/b.png", folder) == above
    (folder / "c.png").symlink_to(tmp_path / "gone.png")
    assert "a link to" in nearest_image("c.png", folder)


def test_locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "a b.png").write_bytes(b"x")
    (tmp_path / "100%25.png").write_bytes(b"x")
    assert [image_location(written, tmp_path) for written in (
        f"file:{tmp_path}/a%20b.png", f"file://{tmp_path}/a%20b.png", f"file://localhost{tmp_path}/a b.png", f"FILE://{tmp_path}/100%25.png",
        "~/a.png", "a/../b.png", "https://example.com/a%20b.png", "s3://bucket/a.png", "a.png",
    )] == [
        f"{tmp_path}/a b.png", f"{tmp_path}/a b.png", f"{tmp_path}/a b.png", f"{tmp_path}/100%25.png",
        f"{tmp_path}/home/a.png", f"{tmp_path}/a/../b.png", "https://example.com/a%20b.png", "s3://bucket/a.png",
        f"{tmp_path}/a.png",
    ]  # fmt: skip
    assert nearest_image("https://example.com/a.png", tmp_path) == ""
