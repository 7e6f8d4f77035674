"""The cluster file is one that Ray takes, and the command in it is one of huse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml
from click import Context

from huse.cli import main

FILE = Path(__file__).parent.parent.parent / "examples" / "ray-cluster.yaml"


def test_ray_takes_the_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load(FILE.read_text(encoding="utf-8")))
    validate_config(config)
    assert config["head_node_type"] in config["available_node_types"]
    assert "'huse[ray]'" in config["setup_commands"][-1]


def test_the_command_in_it_parses() -> None:
    (words,) = re.findall(r"'huse (extract .*)'", FILE.read_text(encoding="utf-8"))
    name, *arguments = shlex.split(words)
    command = main.get_command(Context(main), name)
    assert command is not None
    options = command.make_context(name, arguments).params
    assert (options["engine"], options["ray_address"], options["workers"]) == ("ray", "auto", (1, 8))
