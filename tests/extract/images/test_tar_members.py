"""Images that lie in a tar are read from there."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tars import write_tar

from huse.extract.images import tar_members
from huse.extract.images.decoding import ImageError
from huse.extract.images.reading import read_image
from huse.extract.looking import look_at_all, look_at_place
from huse.extract.readers import Readers
from huse.features.looks import UNKNOWN

FILES = {"a.jpg": b"first", "b/ü c.png": b"second", "b/" + 120 * "n" + ".png": b"third" * 300}


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members_are_read_where_they_lie(kind: int, tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a b.tar", {f"./{name}": content for name, content in FILES.items()}, kind=kind)
    for name, content in FILES.items():
        assert read_image(f"{tar}/{name}") == content
    fsspec.filesystem("memory").pipe_file("/tars/x.tar", tar.read_bytes())
    for name, content in FILES.items():
        assert read_image(f"memory://tars/x.tar/{name}") == content


def test_of_members_of_one_name_the_last_is_read(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", {"a.jpg": b"old", "b.jpg": b"other"})
    with tarfile.open(tar, "a") as appended:
        member = tarfile.TarInfo("a.jpg")
        member.size = 3
        appended.addfile(member, io.BytesIO(b"new"))
    assert read_image(f"{tar}/a.jpg") == b"new"


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=150)


@given(files=st.dictionaries(names.filter(lambda name: set(name) != {"."}), st.binary(max_size=1500), max_size=6))
def test_any_names_and_contents(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    tar = write_tar(tmp_path_factory.mktemp("tars") / "x.tar", files)
    with tar.open("rb") as file:
        found = {member.name: (member.offset, member.size, member.read()) for member in tar_members.members(file)}
    assert {name: data for name, (_, _, data) in found.items()} == files
    whole = tar.read_bytes()
    for offset, size, data in found.values():
        assert whole[offset : offset + size] == data


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", FILES)
    with pytest.raises(ImageError, match=r"^no such file in the tar: .*x\.tar/c\.jpg$"):
        read_image(f"{tar}/c.jpg")
    with pytest.raises(ImageError, match=r"^no such file in the tar"):
        read_image(write_tar(tmp_path / "empty.tar", {}) / "a.jpg")
    with pytest.raises(ImageError, match="No such file or directory"):
        read_image(f"{tmp_path}/absent.tar/c.jpg")
    (tmp_path / "y.tar").write_bytes(tar.read_bytes()[:900])
    with pytest.raises(ImageError, match=r"^the tar is damaged, or none \(.*y\.tar/a\.jpg$"):
        read_image(f"{tmp_path}/y.tar/a.jpg")
    (tmp_path / "z.txt").write_bytes(b"")
    with pytest.raises(ImageError, match="Not a directory"):
        read_image(f"{tmp_path}/z.txt/a.jpg")
    with pytest.raises(ImageError, match=r"no such object: memory://none/x\.tar/a\.jpg"):
        read_image("memory://none/x.tar/a.jpg")


def test_names_that_no_file_can_have_lead_into_no_tar() -> None:
    assert tar_members.tar_of(f"/{300 * 'x'}.tar/a.jpg") is None


def test_folders_that_are_called_like_tars(tmp_path: Path) -> None:
    inner = write_tar(tmp_path / "my.tar" / "x.TAR", FILES)
    (tmp_path / "my.tar" / "a.jpg").write_bytes(b"file")
    assert read_image(f"{inner}/a.jpg") == b"first"
    assert read_image(tmp_path / "my.tar" / "a.jpg") == b"file"
    fsspec.filesystem("memory").pipe_file("/folders/x.tar/a.jpg", b"object")
    assert read_image("memory://folders/x.tar/a.jpg") == b"object"


def test_a_tar_that_changed_is_looked_through_anew_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tar, read = write_tar(tmp_path / "x.tar", FILES), []
    members = tar_members.members
    monkeypatch.setattr(tar_members, "members", lambda file: read.append(file) or members(file))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read_image, 20 * [f"{tar}/a.jpg"])) == 20 * [b"first"]
    assert len(read) == 1
    write_tar(tar, {"b.jpg": b"new", "a.jpg": b"other"})
    assert read_image(f"{tar}/a.jpg") == b"other"


def test_a_member_looks_as_its_tar_does(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", FILES)
    location = f"{tar}/a.jpg"
    assert look_at_place(Path(location)) == UNKNOWN, "the tar was just written"
    os.utime(tar, ns=(10**18, 10**18))
    assert look_at_place(Path(location)) == look_at_place(tar) == (tar.stat().st_size, 10**18)
    with Readers(1) as readers:
        looks = look_at_all([location, f"{tmp_path}/y.tar/a"], readers).tolist()
    assert looks == [list(look_at_place(tar)), list(UNKNOWN)]


def test_links_and_sparse_files_are_no_members(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"{kind!r}.png")
            member.type, member.linkname = kind, "/etc/hostname"
            tar.addfile(member, io.BytesIO())
    with (tmp_path / "x.tar").open("rb") as file:
        assert list(tar_members.members(file)) == []
