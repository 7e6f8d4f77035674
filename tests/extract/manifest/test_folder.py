"""A folder of images: which files are rows, what their labels and splits are, and what is said of the others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from huse.extract.manifest.folder import image_suffixes
from huse.extract.manifest.rows import read_manifest
from huse.features.errors import ManifestError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def labels_of(folder: Path) -> dict[str, tuple[str, str]]:
    return {row.key: (row.label, row.split) for row in read_manifest(folder).rows()}


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "VALID"), ("training", "testing"), ("test",)])
def test_topmost_folders_named_for_splits_are_splits(names: tuple[str, ...], tmp_path: Path) -> None:
    fill(tmp_path, *(f"{name}/cat/1.png" for name in names), *(f"{name}/dog/young/2.png" for name in names))
    fill(tmp_path, "annotations/notes.json", ".cache/3.png")
    found = labels_of(tmp_path)
    assert {label for label, _ in found.values()} == {"cat", "dog/young"}
    wanted = {"tr": "train", "va": "val", "te": "test"}
    assert {key: split for key, (_, split) in found.items()} == {key: wanted[key[:2].lower()] for key in found}


def test_a_train_among_cars_is_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, "train/1.png", "car/1.png", "valley/1.png")
    assert labels_of(tmp_path) == {
        "car/1.png": ("car", ""),
        "train/1.png": ("train", ""),
        "valley/1.png": ("valley", ""),
    }
    assert "folders train are taken for classes, not splits, since car is none" in capsys.readouterr().err


def test_what_is_no_image_is_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(
        tmp_path,
        "a/1.png",
        "a/._1.png",
        "a/.hidden.png",
        "a/Thumbs.db",
        "a/notes.txt",
        "a/more.txt",
        "README",
        "b/2.JFIF",
    )
    fill(tmp_path, "@eaDir/1.png", "a/@eaDir/x.jpg", "__MACOSX/a/1.png", ".ipynb_checkpoints/1.png", "a/scan.pdf")
    assert labels_of(tmp_path) == {"a/1.png": ("a", ""), "b/2.JFIF": ("b", "")}
    told = capsys.readouterr().err
    assert told == (
        f"{tmp_path}: 2 images, left out 1 .pdf files, 2 .txt files, 1 files without suffix, 3 hidden files, "
        "4 hidden or system folders\n"
    )


def test_a_table_left_out_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path, "1.png", "metadata.csv")
    assert len(read_manifest(tmp_path)) == 1
    assert "metadata.csv as MANIFEST would bring its own columns" in capsys.readouterr().err


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp", "tga", "ppm", "pcx", "ico", "jp2", "sgi"]
)
def test_every_raster_format_of_pillow_counts(suffix: str, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / f"a.{suffix}")
    assert len(read_manifest(tmp_path)) == 1
    assert f".{suffix}" in image_suffixes()
    assert not {".pdf", ".eps", ".ps", ".wmf", ".h5", ".mpg", ".txt"} & image_suffixes()


def test_links_are_followed_without_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fill(tmp_path / "root", "cat/1.png")
    outside = fill(tmp_path / "outside", "2.png", "deep/3.png")
    (root / "dog").symlink_to(outside)
    (root / "same").symlink_to(root / "cat")
    (root / "loop").symlink_to(root)
    (outside / "up").symlink_to(root)
    (outside / "deep" / "around").symlink_to(outside)
    (root / "cat" / "4.png").symlink_to(outside / "2.png")
    (root / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (root / "gone").symlink_to(tmp_path / "nowhere")
    (root / "itself").symlink_to(root / "itself")
    assert {key: label for key, (label, _) in labels_of(root).items()} == {
        "cat/1.png": "cat", "cat/4.png": "cat", "cat/gone.png": "cat", "dog/2.png": "dog", "dog/deep/3.png": "dog/deep",
        "same/1.png": "same", "same/4.png": "same", "same/gone.png": "same",
    }  # fmt: skip
    assert "2 broken links, 3 links back to a folder" in capsys.readouterr().err


def test_a_link_above_the_folder_takes_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fill(tmp_path / "all" / "root", "cat/1.png")
    (root / "up").symlink_to(tmp_path)
    assert list(labels_of(root)) == ["cat/1.png"]
    assert "1 links back to a folder" in capsys.readouterr().err


def test_links_among_many_folders_end(tmp_path: Path) -> None:
    for i in range(12):
        fill(tmp_path, f"{i}/1.png")
    for i in range(12):
        for j in range(12):
            (tmp_path / str(i) / f"to{j}").symlink_to(tmp_path / str(j))
    assert 12 <= len(read_manifest(tmp_path)) < 2000


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1.png", "closed/2.png")
    scandir = os.scandir

    def closed(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)  # type: ignore[return-value]

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(ManifestError, match=r"closed: this folder cannot be read \(Permission denied\)"):
        read_manifest(tmp_path)


def test_names_that_are_not_utf_8_and_names_with_spaces(tmp_path: Path) -> None:
    raw = bytes(tmp_path) + b"/caf\xe9"
    os.mkdir(raw)
    for name in (b"/sm\xf6r.png", b"/ two  spaces.png", b"/line\nbreak.png", b"/cafe\xcc\x81.png"):
        Path(os.fsdecode(raw + name)).write_bytes(name)
    manifest = read_manifest(tmp_path)
    rows = manifest.rows()
    assert [manifest.image_bytes(row) for row in rows] == [
        b"/ two  spaces.png", b"/cafe\xcc\x81.png", b"/line\nbreak.png", b"/sm\xf6r.png",
    ]  # fmt: skip
    assert [row.key for row in rows] == [
        r"caf\xe9/ two spaces.png", "caf\\xe9/caf\u00e9.png", r"caf\xe9/line break.png", r"caf\xe9/sm\xf6r.png",
    ]  # fmt: skip
    assert {row.label for row in rows} == {r"caf\xe9"}


def test_names_that_differ_in_spaces_or_form_only_are_numbered(tmp_path: Path) -> None:
    for name in ("a b.png", "a  b.png", "caf\u00e9/1.png", "cafe\u0301/1.png"):
        fill(tmp_path, name)
    manifest = read_manifest(tmp_path)
    rows = manifest.rows()
    assert sorted(row.key for row in rows) == ["a b.png", "a b.png#2", "caf\u00e9/1.png", "caf\u00e9/1.png#2"]
    assert manifest.labels == ["caf\u00e9"]
    assert len({manifest.location(row) for row in rows}) == 4


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), r"no images and no store\.json in this folder; add some"),
        (("notes.txt", ".DS_Store"), r"no images .*, but 1 \.txt files, 1 hidden files; add some"),
        (("part-0.csv",), r"no images in this folder, but the table part-0\.csv; name that file"),
        (("a.parquet", "b.tar"), r"holds \.parquet and \.tar files; name those of one kind, as .*\*\.parquet"),
        (("store.json",), r"a store, no manifest"),
        (("model.keras", "a.png"), r"a model, no manifest"),
    ],
)
def test_folders_of_other_things_are_refused(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(fill(tmp_path, *names))
