"""What a run asks a cluster before it begins; the cluster itself is in tests/extract/test_ray.py."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from huse import __version__
from huse.extract.config import ExtractConfig
from huse.extract.engines.cluster import Room, _look, _unseen, connected
from huse.features.errors import ClusterError, ExtraError

CPUS = {"a": {"CPU": 4.0}, "b": {"CPU": 8.0, "memory": 1.0}, "head": {"memory": 1.0}}
GPUS = {"a": {"CPU": 16.0, "GPU": 4.0}, "b": {"CPU": 16.0, "GPU": 2.0}, "c": {"CPU": 64.0}}


@pytest.mark.parametrize(
    ("options", "resources", "expected"),
    [
        ({}, CPUS, Room(4, 0.0, {"a": 1, "b": 2})),
        ({"cpus_per_worker": 1}, CPUS, Room(1, 0.0, {"a": 4, "b": 8})),
        ({"cpus_per_worker": 5}, CPUS, Room(5, 0.0, {"b": 1})),
        ({}, GPUS, Room(4, 1.0, {"a": 4, "b": 2})),
        ({"gpus_per_worker": 0.5}, GPUS, Room(2, 0.5, {"a": 8, "b": 4})),
        ({"gpus_per_worker": 2}, GPUS, Room(8, 2.0, {"a": 2, "b": 1})),
        ({"gpus_per_worker": 0}, GPUS, Room(16, 0.0, {"a": 1, "b": 1, "c": 4})),
    ],
)
def test_workers_take_nodes_and_gpus_whole_unless_told(options: dict, resources: dict, expected: Room) -> None:
    assert Room.of(ExtractConfig(engine="ray", **options), resources) == expected


@pytest.mark.parametrize("options", [{"cpus_per_worker": 9}, {"gpus_per_worker": 1}])
def test_a_cluster_without_room_for_one_worker_is_refused(options: dict) -> None:
    with pytest.raises(ClusterError, match=r"no node of the cluster has .*lower cpus_per_worker"):
        Room.of(ExtractConfig(engine="ray", **options), CPUS)


def test_a_node_tells_what_it_does_not_see(tmp_path: Path) -> None:
    probe, image = tmp_path / "probe", tmp_path / "a.png"
    assert "does not see what is written there; name a folder" in _unseen(probe, "token", [], 0)
    probe.write_text("another disk's")
    assert f"{tmp_path}: node" in _unseen(probe, "token", [], 0)
    probe.write_text("token")
    assert not _unseen(probe, "token", [], 0)
    assert f"{image}: node" in _unseen(probe, "token", [image], 0)
    image.touch()
    assert not _unseen(probe, "token", [image], 0)


def test_a_node_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get_gpu_ids=list))
    (tmp_path / "probe").write_text("token")
    assert not _look(__version__, tmp_path / "probe", "token", [], 0)[1]
    assert "has huse" in _look("0.0", tmp_path / "probe", "token", [], 0)[1]


def test_without_ray_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(ExtraError, match=r"engine='ray' \(--engine ray\) needs ray: pip install 'huse\[ray\]'"),
        connected(ExtractConfig(engine="ray")),
    ):
        pass


@pytest.mark.parametrize("address", ["rubbish", ":1", "ray://127.0.0.1:10001", "a:b", "127.0.0.1:" + "9" * 9])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match="ray_address"), connected(ExtractConfig(engine="ray", ray_address=address)):
        pass


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match="no Ray cluster answers there"),
            connected(ExtractConfig(engine="ray", ray_address=address)),
        ):
            pass
