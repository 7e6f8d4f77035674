from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from huse.features.files.atomic import remove_leftovers, replacing, replacing_folder, sweep, temporary_beside

KILLED = """
import os, signal, sys
from pathlib import Path
from huse.features.files.atomic import *
path = Path(sys.argv[1])
with {context} as temporary:
    {fill}
    os.kill(os.getpid(), signal.SIGKILL)
"""
FILE = ("replacing(path)", "temporary.write_text('half')")
FOLDER = ("replacing_folder(path, overwrite=True)", "(temporary / 'a').write_text('half')")


def killed(path: Path, context: str, fill: str) -> None:
    code = KILLED.format(context=context, fill=fill)
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL


def fill(folder: Path, text: str) -> None:
    (folder / "a").write_text(text)
    (folder / "deep").mkdir()
    (folder / "deep" / "b").write_text(text)


@pytest.mark.parametrize(("context", "content"), [FILE, FOLDER])
def test_the_next_writer_removes_what_a_dead_process_left(tmp_path: Path, context: str, content: str) -> None:
    path = tmp_path / "out[1]"
    killed(path, context, content)
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1
    living = temporary_beside(path)
    living.write_text("of a living process")
    other = temporary_beside(tmp_path / "other")
    other.write_text("of another name")
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert {p.name for p in tmp_path.iterdir()} == {"out[1]", living.name, other.name}


def test_names_of_any_length_and_other_machines(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    killed(path, *FILE)
    foreign = tmp_path / ".v.npy.elsewhere-1-2-0123abcd.tmp"
    foreign.write_text("")
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [foreign.name]
    os.utime(foreign, (0, 0))
    remove_leftovers(tmp_path / "w.npy")
    assert foreign.exists()
    remove_leftovers(tmp_path / "v.npy")
    assert not foreign.exists()


def test_a_number_taken_by_another_process_holds_nothing(tmp_path: Path) -> None:
    left = temporary_beside(tmp_path / "x")
    host, pid, began, rest = left.name.removeprefix(".x.").rsplit("-", 3)
    dead = left.with_name(f".x.{host}-{pid}-{int(began) + 1}-{rest}")
    dead.write_text("")
    sweep(tmp_path)
    assert not dead.exists()


def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library that cannot exchange two paths, as old ones."""
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: SimpleNamespace())


@pytest.mark.parametrize("able", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path: Path, able: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not able:
        without_exchange(monkeypatch)
    path = tmp_path / "model"
    with replacing_folder(path) as folder:
        fill(folder, "one")
        assert not path.exists()
    with pytest.raises(FileExistsError, match=r"is there already; name .*model"), replacing_folder(path):
        pass
    with replacing_folder(path, overwrite=True) as folder:
        fill(folder, "two")
        assert (path / "a").read_text() == "one"
    assert (path / "deep" / "b").read_text() == "two"
    with pytest.raises(RuntimeError), replacing_folder(path, overwrite=True) as folder:
        raise RuntimeError
    assert (path / "a").read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "traces"])
def test_nothing_or_an_empty_folder_is_replaced_plainly(tmp_path: Path, there: str) -> None:
    path = tmp_path / "new" / "out"
    if there != "nothing":
        path.mkdir(parents=True)
    if there == "traces":
        (path / ".features.lock").write_text("")
    with replacing_folder(path) as folder:
        fill(folder, "whole")
    assert (path / "deep" / "b").read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["out"]


def test_there_is_no_moment_without_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with replacing_folder(path) as folder:
        fill(folder, "0")
    gone, done = [], threading.Event()

    def look() -> None:
        while not done.is_set():
            if not path.exists():
                gone.append(1)

    watcher = threading.Thread(target=look)
    watcher.start()
    for i in range(50):
        with replacing_folder(path, overwrite=True) as folder:
            fill(folder, str(i))
    done.set()
    watcher.join()
    if sys.platform == "linux":
        assert not gone


def test_a_folder_that_was_renamed_aside_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_exchange(monkeypatch)
    path = tmp_path / "model"
    with replacing_folder(path) as folder:
        fill(folder, "old")
    real: Callable[[Path, Path], Path] = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(errno.EIO, "Input/output error", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match=r"model'$"), replacing_folder(path, overwrite=True) as folder:
        fill(folder, "new")
    monkeypatch.undo()
    assert (path / "a").read_text() == "old"
    host, pid, began, rest = temporary_beside(path, "old").name.removeprefix(".model.").rsplit("-", 3)
    path.rename(tmp_path / f".model.{host}-{pid}-{int(began) + 1}-{rest}")  # killed between the two renames
    remove_leftovers(tmp_path / "model")
    assert (path / "a").read_text() == "old"


def test_links_and_the_working_directory_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    with replacing_folder(tmp_path / "link") as folder:
        fill(folder, "one")
    assert (tmp_path / "link").is_symlink()
    assert (real / "deep" / "b").read_text() == "one"
    monkeypatch.chdir(real)
    (real / "stale").write_text("")
    inode = real.stat().st_ino
    with replacing_folder(Path("."), overwrite=True) as folder:
        fill(folder, "two")
    assert real.stat().st_ino == inode
    assert (real / "deep" / "b").read_text() == "two"
    assert {p.name for p in real.iterdir()} == {"a", "deep"}


def test_what_is_kept_is_never_away_where_a_folder_is_filled_file_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("kept", "old"):
        (tmp_path / name).mkdir()
    (tmp_path / "kept" / "file").write_text("kept")
    inode = (tmp_path / "kept").stat().st_ino
    monkeypatch.chdir(tmp_path)
    with replacing_folder(Path("."), overwrite=True, keep=("kept",)) as folder:
        fill(folder, "new")
        (folder / "kept").mkdir()
    assert (tmp_path / "kept").stat().st_ino == inode
    assert (tmp_path / "kept" / "file").read_text() == "kept"
    assert {p.name for p in tmp_path.iterdir()} == {"a", "deep", "kept"}


def test_a_file_is_no_folder_and_errors_name_the_final_path(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    with (
        pytest.raises(NotADirectoryError, match=r"is a file; name a folder: .*f"),
        replacing_folder(tmp_path / "f", overwrite=True),
    ):
        pass
    with pytest.raises(OSError, match=r"No space left on device: '.*g'"), replacing(tmp_path / "g"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_an_error_within_a_folder_names_the_final_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, replacing_folder(tmp_path / "out") as folder:
        (folder / "absent" / "f").write_text("")
    assert error.value.filename == str(tmp_path / "out" / "absent" / "f")
