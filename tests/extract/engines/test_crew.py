"""What workers are given, and what is said while they are waited for; what they do is tried on real clusters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from huse.extract.config import ExtractConfig
from huse.extract.engines.cluster import Room
from huse.extract.engines.crew import Crew, _environment


class _Full:
    """Stands for Ray on a cluster where one worker begins, and there is never room for another."""

    def __init__(self) -> None:
        self.begun, self.waits = 0, 0

    def remote(self, _: type) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._worker))

    def _worker(self, *_: object) -> Any:
        self.begun += 1
        reference = f"begin {self.begun}"
        return SimpleNamespace(begin=SimpleNamespace(remote=lambda _: reference))

    def wait(self, references: list[str], **_: object) -> tuple[list[str], list[str]]:
        self.waits += 1
        if self.waits > 2:
            raise KeyboardInterrupt
        return (references[:1], references[1:]) if self.waits == 1 else ([], references)

    def get(self, _: str) -> None:
        pass

    def kill(self, _: object) -> None:
        pass


def test_waiting_for_more_workers_than_there_is_room_for_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    room, config = Room(2, 0, {"node": 1}), ExtractConfig(engine="ray", workers=(3, 9))
    crew = Crew(_Full(), room, config, None, {0: 5, 1: 5, 2: 5})
    with pytest.raises(KeyboardInterrupt):
        list(crew.__enter__().work(lambda number: number))
    said = capsys.readouterr().err
    assert "waiting for 2 of 3 workers, of 2 processors each" in said
    assert "lower MIN of workers (--workers)" in said


def test_tensorflow_takes_what_a_worker_has_and_no_more() -> None:
    assert _environment(3, 0)["CUDA_VISIBLE_DEVICES"] == ""
    assert _environment(3, 0)["TF_NUM_INTRAOP_THREADS"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in _environment(1, 1)
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in _environment(1, 2)
    assert _environment(1, 0.25)["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
