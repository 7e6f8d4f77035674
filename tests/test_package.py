"""The package as a whole: what it exports, what it ships, and what its pages say."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import huse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_public_name_is_there_and_documented() -> None:
    for name in huse.__all__:
        assert getattr(huse, name).__doc__
    with pytest.raises(AttributeError, match="No huse attribute nothing"):
        huse.nothing  # noqa: B018
    assert set(huse.__all__) == set(dir(huse))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_every_command_and_the_python_of_the_readme_run(few_emoji: Path, tmp_path: Path) -> None:
    for row_file in ("products.csv", "more.csv"):
        (tmp_path / row_file).write_bytes(few_emoji.read_bytes())
    (tmp_path / "images").symlink_to(few_emoji.parent / "images")
    (tmp_path / "image.png").write_bytes(next((few_emoji.parent / "images").glob("1f4*.png")).read_bytes())
    commands = [line for block in blocks("bash") for line in block.splitlines() if line and not line.startswith("#")]
    assert commands[:2] == ["make demo", "make test"]
    for command in commands[2:]:
        words = shlex.split(command, comments=True)
        assert words[0] == "huse"
        words[0] = str(Path(sys.executable).parent / "huse")
        run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{command}: {run.stderr}"
    (block,) = blocks("python")
    run = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_the_readme_names_every_command() -> None:
    from huse.cli import main

    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        for child in command.list_commands(context) if isinstance(command, click.Group) else [""]:
            assert f"`huse {f'{name} {child}'.strip()}" in README


def test_make_targets_are_the_commands_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$(BIN)/huse demo" in makefile
    assert "$(BIN)/python -m pytest" in makefile


def test_the_citation_is_of_this_version() -> None:
    assert f"\nversion: {huse.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_no_file_uses_british_spelling_of_these_words() -> None:
    words = re.compile(r"\b(colou?r(?<=colour)|normalis|standardis|centr(?:e|ed)\b|behaviour|licence|neighbour)", re.I)
    files = [*ROOT.glob("*.md"), *ROOT.glob("*/*.py"), *ROOT.glob("*/*/*.py"), *ROOT.glob("docs/*.md")]
    for path in files:
        if "build" in path.parts or ".venv" in path.parts or path == Path(__file__):
            continue
        found = words.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path}: {found and found.group(0)}"
