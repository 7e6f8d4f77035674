from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from PIL import Image

from huse.extract.images.decoding import ImageError
from huse.extract.manifest.locations import image_location, nearest_image
from huse.extract.manifest.rows import read_manifest
from huse.features.errors import ManifestError
from huse.features.files.place import place

NAMES = ("b.png", "Z/x.jpg", "a/deep/1.png", "a/0.png", "a b/ü.png", ".hidden/h.png", "a/.DS_Store", "@eaDir/t.png")
TABLE = "image,text,label\nimages/1.png,one,a\nmemory://elsewhere/2.png,two,b\n"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"memory://manifests/{request.node.name.partition('[')[0]}"


def put(url: str, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        place(url).fs.pipe_file(f"{place(url).path}/{name}", content)


def png(tmp_path: Path) -> bytes:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    return (tmp_path / "red.png").read_bytes()


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.jsonl", "m.parquet"])
def test_a_table_by_url_gives_the_rows_of_the_file(name: str, url: str, tmp_path: Path) -> None:
    if name.endswith(".parquet"):
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"image": ["images/1.png"], "text": ["one"]}), tmp_path / name)
    else:
        lines = '{"image": "images/1.png", "text": "one"}\n' if name.endswith(".jsonl") else TABLE
        (tmp_path / name).write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    put(url, {name: (tmp_path / name).read_bytes()})
    here, there = read_manifest(tmp_path / name), read_manifest(f"{url}/{name}")
    assert there.rows() == here.rows()
    assert there.content == here.content
    assert there.location(there.rows()[0]) == f"{url}/images/1.png"


def test_images_are_read_from_where_the_table_is_and_from_elsewhere(url: str, tmp_path: Path) -> None:
    put(url, {"m.csv": TABLE.encode(), "images/1.png": png(tmp_path)})
    manifest = read_manifest(f"{url}/m.csv")
    first, second = manifest.rows()
    assert manifest.image_bytes(first) == png(tmp_path)
    with pytest.raises(ImageError, match=r"^no such object: memory://elsewhere/2\.png$"):
        manifest.image_bytes(second)


def test_images_may_come_through_another_file_system(url: str, tmp_path: Path) -> None:
    put(url, {"1.png": png(tmp_path)})
    (tmp_path / "m.csv").write_text(f"image\nsimplecache::{url}/1.png\n")
    manifest = read_manifest(tmp_path / "m.csv")
    assert manifest.image_bytes(manifest.rows()[0]) == png(tmp_path)


def test_locations_start_from_the_folder_of_objects() -> None:
    folder = place("s3://bucket/a b")
    assert image_location("c/d.png", folder) == "s3://bucket/a b/c/d.png"
    assert image_location("c/d.png", place("s3://bucket/m.csv").parent) == "s3://bucket/c/d.png"
    assert image_location("./c/..d.png", folder) == "s3://bucket/a b/c/..d.png"
    assert image_location("../e/./d.png", folder) == "s3://bucket/e/d.png"
    assert image_location("../../d.png", folder) == "s3://bucket/d.png"
    assert image_location("gs://other/d.png", folder) == "gs://other/d.png"
    assert image_location("/d.png", folder) == "/d.png"
    assert image_location("file:///d%20e.png", folder) == "/d e.png"
    assert nearest_image("/absent.png", folder) == nearest_image("absent.png", folder) == ""


@pytest.mark.parametrize("split", [False, True])
def test_a_folder_of_objects_is_read_as_the_folder_on_disk(
    split: bool, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"train/{name}" for name in NAMES] + ["test/a/2.png"] if split else [*NAMES, "train/x.png", "list.csv"]
    for name in names:
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    url = f"{url}-{split}"
    put(url, dict.fromkeys(reversed(names), b"x"))
    here, told_here = read_manifest(tmp_path / "images"), capsys.readouterr().err
    there, told_there = read_manifest(url), capsys.readouterr().err
    assert there.rows() == here.rows()
    assert told_there.replace(url, "") == told_here.replace(str(tmp_path / "images"), "") != ""


def test_what_is_no_manifest_is_told_with_its_url(url: str) -> None:
    put(url, {"m.xlsx": b"PK", "empty/readme.txt": b"x", "store/store.json": b"{}", "bad.csv": b"image\n\xff\n"})
    for name, told in {
        "absent.csv": r"absent\.csv: cannot be read \(no such object\)",
        "m.xlsx": "m.xlsx: unknown format '.xlsx'",
        "empty": "empty: no images and no store.json in this folder, but 1 .txt files",
        "store": "store: is a store, no manifest",
        "bad.csv": "bad.csv:2: not UTF-8",
    }.items():
        with pytest.raises(ManifestError, match=f"^{url}/{told}"):
            read_manifest(f"{url}/{name}")
