from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from huse.features.lock import lock_path, locked

HOLD = """
import sys
from pathlib import Path
from huse.features.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_second_writer_waits_and_says_so(tmp_path: Path) -> None:
    with locked(tmp_path / "store"):
        second = hold(tmp_path / "store")
        assert second.stderr is not None
        assert "waiting for another process that writes" in second.stderr.readline()
    out, _ = second.communicate("\n")
    assert out == "held\n"


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    first = hold(tmp_path / "store")
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(Timeout):
        FileLock(lock_path(tmp_path / "store")).acquire(timeout=0)
    first.kill()
    first.communicate()
    FileLock(lock_path(tmp_path / "store")).acquire(timeout=0).lock.release()


def test_parts_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "store", "part-1-of-2"), locked(tmp_path / "store", "part-2-of-2"):
        assert not (tmp_path / "store").exists()
