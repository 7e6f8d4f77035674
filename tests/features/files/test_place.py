from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from huse.features.errors import ExtraError, HuseError, PlaceError
from huse.features.files.folders import require_apart, require_place
from huse.features.files.place import folder_above, is_remote, is_url, local, place, real_path


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("a/b", Path("a/b")),
        ("/a b/c%20d", Path("/a b/c%20d")),
        (Path("a"), Path("a")),
        ("file:///a/b%20c", Path("/a/b c")),
        ("file:/a", Path("/a")),
        ("FILE:///a", Path("/a")),
        ("file://localhost/a", Path("/a")),
        ("./file:x", Path("file:x")),
        ("~", Path("~")),
        ("a:b/c", Path("a:b/c")),
    ],
)
def test_what_is_no_url_is_a_path(given: str | Path, path: Path) -> None:
    assert place(given) == path
    assert type(place(given)) is type(Path())


def test_what_is_above_a_folder_whatever_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("e/x")
    monkeypatch.chdir(tmp_path / "e")
    assert folder_above(Path()) == folder_above(Path("x/..")) == tmp_path
    assert folder_above(Path("x")) == Path()
    assert folder_above(tmp_path / "link") == tmp_path
    assert folder_above(tmp_path / "link" / "..") == tmp_path
    assert str(folder_above(place("memory://a/b"))) == "memory://a"


def test_a_url_begins_as_one() -> None:
    assert all(map(is_url, ("s3://b/x", "simplecache::s3://b/x", "zip://x::s3://b/y.zip", "file:///x")))
    assert not any(map(is_url, ("/data/s3://b", "./s3://b", "a b://c", "C://x", "s3:/b", "x,https://y", "")))


def test_urls_have_the_parts_of_paths() -> None:
    url = place("memory://place/a b/c#1?.parquet")
    assert is_remote(url)
    assert (str(url), url.name, url.suffix) == ("memory://place/a b/c#1?.parquet", "c#1?.parquet", ".parquet")
    assert str(url.parent / "d.h5") == "memory://place/a b/d.h5"
    assert place("memory://place/x/") == place("memory://place/x") == place("MEMORY://place/x")
    assert real_path("memory://place/x") == place(place("memory://place/x"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Path("s3://bucket/x"), r"s3:/bucket/x: has lost a slash"),
        ("s3:/bucket/x", r"s3:/bucket/x: has lost a slash"),
        ("simplecache::s3://bucket/x", r"goes through another file system"),
        ("file:x", r"file:x: is no path from the root on; write file:///PATH, or the path alone"),
        ("FILE://host/x", r"FILE://host/x: is no path from the root on"),
        ("file://", r"file://: is no path from the root on"),
        ("C:\\x", r"C:\\x: is a path of Windows; name one of this machine"),
        (Path("c:/x"), r"c:/x: is a path of Windows"),
        ("\\\\server\\x", r"server\\x: is a path of Windows"),
        ("nosuch://bucket/x", r"nosuch://bucket/x: is no URL"),
        ("abfss://c@a.dfs.core.windows.net/x", r"is no URL \(AZURE_STORAGE_ACCOUNT_NAME names the account"),
        ("s3://", r"s3://: is no URL \(nothing is named"),
    ],
)
def test_what_would_be_taken_for_a_folder_of_its_name_is_refused(given: str | Path, told: str) -> None:
    with pytest.raises(PlaceError, match=told):
        place(given)
    with pytest.raises(PlaceError, match=told):
        require_place(given, HuseError)


class Locked(MemoryFileSystem):
    """A store that wants credentials before anything else."""

    protocol = "az"

    def __init__(self, **options: Any) -> None:
        raise ValueError("Must provide an account_name with credentials!!")


def test_credentials_that_are_asked_for_at_once_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(import_module("fsspec.registry")._registry, "az", Locked)
    with pytest.raises(PlaceError, match=r"^az://c/x: cannot be reached \(Must .*\); give credentials in the"):
        place("az://c/x")


def test_a_path_of_this_machine_may_be_asked_for() -> None:
    assert local("a", HuseError, "this") == Path("a")
    with pytest.raises(HuseError, match=r"memory://a: this takes paths of this machine"):
        local("memory://a", HuseError, "this")


def test_urls_are_told_apart_from_what_is_read() -> None:
    for out in ("memory://apart/in", "memory://apart/in/x"):
        place("memory://apart/in/object").fs.pipe_file("/apart/in/object", b"1")
        with pytest.raises(HuseError, match=r"which is read|is what is read"):
            require_apart(place(out), HuseError, "memory://apart/in")
    require_apart(place("memory://apart/out"), HuseError, "memory://apart/in", "/apart/out", "apart/out")


def test_a_folder_has_what_is_right_below_it_whatever_objects_are_called() -> None:
    folder = place("memory://listed/folder")
    for name in ("a.h5", "sub/b", "sub/c", "..", ".", "ü #?%20"):
        folder.fs.pipe_file(f"/listed/folder/{name}", b"x")
    assert sorted(entry.name for entry in folder.iterdir()) == ["a.h5", "sub", "ü #?%20"]
    assert [entry.name for entry in folder.glob("*.h5")] == ["a.h5"]
    assert (folder.is_dir(), (folder / "sub").is_dir(), (folder / "a.h5").is_file()) == (True, True, True)
    assert list((folder / "absent").iterdir()) == []
    assert not (folder / "absent").exists()


def test_a_missing_package_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "huse.features.files.remote", raising=False)
        patch.setitem(sys.modules, "upath", None)
        with pytest.raises(ExtraError, match=r"URLs need upath: pip install 'huse\[remote\]'"):
            place("memory://a")
    with pytest.raises(ExtraError, match=r"gs://a: needs a package that is not installed; pip install gcsfs"):
        place("gs://a")


def test_paths_load_no_package_for_urls() -> None:
    code = "import sys, huse.features.store as s; s.Store; print({'upath', 'fsspec'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
