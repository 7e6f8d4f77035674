from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from huse.features import atomic
from huse.features.atomic import replacing, replacing_folder

DIE = """
import os, signal, sys
from pathlib import Path
from huse.features.atomic import replacing, replacing_folder
context = replacing_folder if sys.argv[2] == "folder" else replacing
with context(Path(sys.argv[1])) as temporary:
    (temporary / "f" if temporary.is_dir() else temporary).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def fill(path: Path, text: str, overwrite: bool = False) -> None:
    with replacing_folder(path, overwrite) as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "f").write_text(text)


def die(path: Path) -> None:
    path.write_text("half")
    raise OSError("something is in the way")


def test_a_file_is_replaced_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "f"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    with pytest.raises(OSError, match="in the way"), replacing(path) as temporary:
        die(temporary)
    assert path.read_text() == "whole"
    assert [entry.name for entry in path.parent.iterdir()] == ["f"]


@pytest.mark.parametrize("there", ["nothing", "an empty folder"])
def test_a_folder_appears_at_the_end_alone(tmp_path: Path, there: str) -> None:
    path = tmp_path / "out"
    if there != "nothing":
        path.mkdir()
    fill(path, "whole")
    assert (path / "inside" / "f").read_text() == "whole"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchanged", "put aside"])
def test_a_folder_that_is_there_is_replaced_only_when_told(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    path = tmp_path / "out"
    fill(path, "old")
    with pytest.raises(FileExistsError, match="is there already"):
        fill(path, "new")
    assert (path / "inside" / "f").read_text() == "old"
    fill(path, "new", overwrite=True)
    assert (path / "inside" / "f").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_stays_as_it_was_when_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "out"
    fill(path, "old")
    with pytest.raises(OSError, match="in the way"), replacing_folder(path, overwrite=True) as folder:
        die(folder / "f")
    assert (path / "inside" / "f").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    fill(tmp_path / "out", "whole")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "real" / "inside" / "f").read_text() == "whole"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file"):
        fill(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", DIE, str(path), kind], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    assert not path.exists()
    if kind == "file":
        with replacing(path) as temporary:
            temporary.write_text("whole")
    else:
        fill(path, "whole")
    assert os.listdir(tmp_path) == ["out"]


def test_the_temporary_file_of_a_living_process_stays(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with replacing(path) as mine:
        mine.write_text("one")
        with replacing(path) as other:
            other.write_text("two")
        assert mine.exists()
    assert path.read_text() == "one"


def test_a_folder_put_aside_by_a_dead_process_is_put_back(tmp_path: Path) -> None:
    fill(tmp_path / ".out.old", "old")
    atomic.remove_leftovers(tmp_path / "out")
    assert (tmp_path / "out" / "inside" / "f").read_text() == "old"
