"""The group: its help, and errors as one line and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from command_line import huse, invoke

from huse.cli import COMMANDS, HuseGroup, main
from huse.commands.quiet import uses_tensorflow
from huse.features.errors import StoreError
from huse.features.inspection import verify_store
from huse.features.store import Store


def test_help_loads_no_command_and_nothing_heavy() -> None:
    code = """
import sys
from huse.cli import main
try:
    main(["--help"])
except SystemExit:
    commands = {name for name in sys.modules if name.startswith("huse.commands.")} - {"huse.commands.errors"}
    assert not commands | ({"tensorflow", "keras", "sklearn", "h5py", "numpy", "PIL"} & set(sys.modules)), commands
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "huse extract MANIFEST STORE" in done.stdout
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_the_group_lists_the_commands_of_the_folder_with_their_own_help() -> None:
    modules = {path.stem for path in (Path(__file__).parent.parent / "commands").glob("*.py")}
    assert list(COMMANDS) == sorted(modules - {"__init__", "errors", "options", "quiet", "settings_file", "tables"})
    for name, line in COMMANDS.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert command.name == name
        assert command.help is not None
        assert " ".join(command.help.split("\n\n")[0].split()) == line


def test_every_command_and_option_has_help() -> None:
    def walk(command: click.Command, path: list[str]) -> int:
        result = invoke(*path, "--help")
        assert result.exit_code == 0
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.name}"
        if not isinstance(command, click.Group):
            return 1
        context = click.Context(command)
        children = {name: command.get_command(context, name) for name in command.list_commands(context)}
        return sum(walk(child, [*path, name]) for name, child in children.items() if child)

    assert walk(main, []) == 23


def test_errors_of_files_and_disks_are_one_line_naming_the_file(small_store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    store, below = small_store.path, tmp_path / "file" / "below"
    long = tmp_path / ("x" * 300)
    for arguments in (
        ["extract", tmp_path / "m.csv", below],
        ["fit", store, below],
        ["fit", store, store],
        ["fit", store, long],
        ["store", "export", store, below],
        ["store", "export", store, below / "all.npz"],
        ["store", "export", store, tmp_path / "all.csv"],
        ["store", "merge", below, store],
        ["store", "merge", store, store],
        ["store", "split", store, below],
        ["store", "import", below, "--image", tmp_path / "file"],
        ["store", "inspect", tmp_path / "file"],
        ["store", "verify", long],
        ["evaluate", store, store],
        ["embed", store, store, tmp_path / "out"],
        ["search", store, store, "--text", "x"],
        ["doctor", below],
        ["compare", tmp_path / "file", "--out", tmp_path / "c"],
        ["plot", tmp_path / "file", tmp_path / "p.png"],
    ):
        (tmp_path / "m.csv").write_text("text\na\n")
        result = invoke(*arguments)
        assert result.exit_code in (1, 2), (arguments, result.output)
        assert isinstance(result.exception, SystemExit), (arguments, result.exception)
        last = result.stderr.strip().splitlines()[-1]
        assert last.startswith("Error: "), (arguments, result.stderr)
        if result.exit_code == 1:
            assert result.stderr.count("\n") == 1, (arguments, result.stderr)
    assert (tmp_path / "file").read_text() == "mine"
    assert verify_store(small_store) == {}


def failing(error: BaseException) -> HuseGroup:
    """The group of `huse` with a command `fail` that raises an error."""

    def fail() -> None:
        raise error

    return HuseGroup("huse", [click.Command("fail", callback=fail)], callback=main.callback, params=main.params)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/data/s"), "Error: /data/s: No space left on device"),
        (PermissionError(13, "Permission denied", b"/data/s"), "Error: /data/s: Permission denied"),
        (OSError("unable to lock file"), "Error: unable to lock file"),
        (MemoryError(), "Error: out of memory; give smaller batches or shards, or close other programs"),
        (StoreError("two\nlines"), "Error: two lines"),
    ],
)
def test_what_the_system_refuses_is_one_line(error: BaseException, line: str) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert (result.exit_code, result.stderr) == (1, f"{line}\n")
    with pytest.raises(type(error)):
        CliRunner().invoke(failing(error), ["--debug", "fail"], catch_exceptions=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk of Linux")
@pytest.mark.parametrize(("argument", "unbuffered"), [("encoders", ""), ("encoders", "1"), ("--help", "")])
def test_an_output_on_a_full_disk_is_one_line(argument: str, unbuffered: str) -> None:
    command = [sys.executable, "-c", "from huse.cli import main; main()", argument]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")


@pytest.mark.parametrize(("charset", "name"), [("utf-8", "s\udce9"), ("latin-1", "s\u2192")])
def test_letters_that_the_output_lacks_are_escaped(small_store: Store, tmp_path: Path, charset: str, name: str) -> None:
    small_store.path.rename(tmp_path / name)
    runner, arguments = CliRunner(charset=charset), ["store", "inspect", str(tmp_path / name)]
    shown = runner.invoke(main, arguments)
    assert (shown.exit_code, shown.exception) == (0, None)
    assert name.encode("ascii", "backslashreplace").decode() in shown.stdout
    assert json.loads(runner.invoke(main, [*arguments, "--json"]).stdout)["path"] == str(tmp_path / name)


def test_ctrl_c_is_one_line_and_exit_130() -> None:
    result = CliRunner().invoke(failing(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, result.stderr) == (130, "Interrupted; nothing half-written is left\n")


def test_errors_are_one_line_with_exit_1(tmp_path: Path) -> None:
    for arguments, message in (
        (["extract", tmp_path / "absent.csv", tmp_path / "s"], "cannot be read"),
        (["fit", tmp_path / "nothing", tmp_path / "m"], "make a store with huse extract"),
        (["evaluate", tmp_path / "nothing", tmp_path / "s"], "make a model with huse fit"),
        (["store", "inspect", tmp_path], "no store.json"),
    ):
        result = invoke(*arguments)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        assert message in result.stderr
        assert result.stderr.count("\n") == 1
    assert "Traceback" in huse("--debug", "store", "inspect", tmp_path).stderr


def test_commands_that_run_tensorflow_load_it_without_its_notices() -> None:
    muted = uses_tensorflow(lambda: None).__code__
    for name in ("compare", "demo", "doctor", "embed", "evaluate", "extract", "fit", "plot", "search", "serve"):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert getattr(command.callback, "__code__", None) is muted, name


def test_wrong_usage_is_exit_2(tmp_path: Path) -> None:
    for arguments in (["fit"], ["search", "m", "e"], ["nonsense"]):
        assert invoke(*arguments).exit_code == 2
    assert invoke("fit", "s", "m", "--preset", "best").exit_code == 2
