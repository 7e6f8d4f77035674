from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import write_csv

from huse.extract.manifest.keys import content_key
from huse.extract.manifest.rows import Columns, read_manifest
from huse.extract.manifest.spool import ManifestRow
from huse.extract.texts import clean_text
from huse.features.errors import ManifestError


def manifest(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "m.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_reads_rows(tmp_path: Path) -> None:
    path = manifest(tmp_path, '\ufeffimage,text,label,split,key\na.png,"two,\nlines",x / y/,train,A\n,only text,,,B\n')
    found = read_manifest(path)
    assert found.rows() == [
        ManifestRow("A", "a.png", "two, lines", "x/y", "train"),
        ManifestRow("B", "", "only text", "", ""),
    ]
    assert found.location(found.rows()[0]) == str(tmp_path / "a.png")
    assert found.labels == ["x/y"]


def test_keys_default_to_image_then_content(tmp_path: Path) -> None:
    rows = read_manifest(manifest(tmp_path, "image,text\na.png,x\n,y\n")).rows()
    assert [row.key for row in rows] == ["a.png", content_key("y")]


def test_other_column_names(tmp_path: Path) -> None:
    path = manifest(tmp_path, "file,title\na.png,x\n")
    rows = read_manifest(path, Columns(image="file", text="title")).rows()
    assert rows == [ManifestRow("a.png", "a.png", "x", "", "")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"is empty"),
        ("image,text\n", r"no rows"),
        ("photo,title\na,b\n", r"m\.csv: no column 'image' or 'text'.*--image-column"),
        ("image,image\na,b\n", r"column 'image' stands twice"),
        ("image,key\na,1\nb,1\n", r"m\.csv:3: key '1' stands on line 2 already"),
        ("image,split\na,holdout\n", r"m\.csv:2: split 'holdout'; use train, val or test"),
        ("image,text\na\n", r"m\.csv:2: 1 values"),
        ("image,text\na,b\0\n", r"NUL"),
        (b"image,text\na,\xff\xfe\n", r"not UTF-8"),
        ('image,text\na,"b"c\n', r"not valid CSV"),
    ],
)
def test_bad_manifests_say_where_and_how_to_mend(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(manifest(tmp_path, content))


def test_missing_file_and_column(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"absent\.csv: cannot be read"):
        read_manifest(tmp_path / "absent.csv")
    with pytest.raises(ManifestError, match=r"no column 'sku' for key \(--key-column\)"):
        read_manifest(manifest(tmp_path, "image\na\n"), Columns(key="sku"))


@given(st.text(st.characters()))
def test_clean_text_is_what_its_words_say(text: str) -> None:
    plain = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)
    plain = "".join(" " if unicodedata.category(c) == "Cc" else c for c in unicodedata.normalize("NFC", plain))
    assert clean_text(text) == " ".join(plain.split())
    assert clean_text(clean_text(text)) == clean_text(text)


def test_clean_text() -> None:
    assert clean_text("  a\t\n b\u00a0c\x07d ") == "a b c d"
    assert clean_text("e\u0301") == "é"
    assert clean_text("\x00 \n") == ""


def test_the_content_of_a_manifest_tells_it_from_others_with_the_same_keys(tmp_path: Path) -> None:
    rows = [{"key": str(i), "text": f"text {i}", "label": "a", "split": "train"} for i in range(3)]
    contents = {read_manifest(write_csv(tmp_path / "m.csv", rows)).content}
    assert read_manifest(write_csv(tmp_path / "n.csv", rows)).content in contents
    for name, value in (("text", "other"), ("label", "b"), ("split", "test"), ("key", "9")):
        contents.add(read_manifest(write_csv(tmp_path / "m.csv", [*rows[:2], {**rows[2], name: value}])).content)
    assert len(contents) == 5
