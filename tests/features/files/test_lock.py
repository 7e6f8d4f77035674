from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from huse.features.files.lock import locked

HOLD = """
import sys, time
from huse.features.files.lock import locked
with locked(sys.argv[1], sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""
WAIT = """
import sys
from huse.features.files.lock import locked
with locked(sys.argv[1]):
    print("got it")
"""


def holder(path: Path, part: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(path), part]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_waits_for_the_other_and_says_so_once(tmp_path: Path) -> None:
    first = holder(tmp_path / "store")
    command = [sys.executable, "-c", WAIT, str(tmp_path / "store")]
    second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    message = second.stderr.readline()
    assert message.startswith(f"{tmp_path}/store: waiting for process {first.pid} on ")
    assert second.poll() is None
    first.communicate("")
    out, rest = second.communicate(timeout=30)
    assert (out, rest, second.returncode) == ("got it\n", "", 0)
    assert list(tmp_path.iterdir()) == []


def test_a_dead_process_holds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = holder(tmp_path / "store")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert [p.name for p in tmp_path.iterdir()] == [".store.lock"]
    with locked(tmp_path / "store"):
        pass
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_parts_do_not_wait_and_a_process_may_ask_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = holder(tmp_path / "store", "1-4")
    with locked(tmp_path / "store", "2-4"), locked(tmp_path / "store", "2-4"), locked(tmp_path / "store"):
        assert len(list(tmp_path.iterdir())) == 3
    process.communicate("")
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_only_one_holds_at_a_time(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from huse.features.files.lock import locked
count = Path(sys.argv[1]) / "count"
for _ in range(20):
    with locked(count):
        number = int(count.read_text())
        count.write_text(str(number + 1))
"""
    (tmp_path / "count").write_text("0")
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(3)
    ]
    for process in processes:
        process.communicate(timeout=60)
    assert (tmp_path / "count").read_text() == "60"
    assert [p.name for p in tmp_path.iterdir()] == ["count"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no file system here that makes no files")
def test_a_place_that_makes_no_files_is_not_waited_for() -> None:
    with pytest.raises(OSError, match="/proc/"), locked("/proc/out.store"):
        pass


def test_a_name_as_long_as_any_is_locked(tmp_path: Path) -> None:
    with locked(tmp_path / ("n" * 255)):
        pass


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="a folder of Linux that not even root can write")
def test_an_error_names_what_is_to_be_written_and_not_the_hidden_file() -> None:
    with pytest.raises(OSError, match=r"'/proc/sys/store'$"), locked("/proc/sys/store"):
        pass
