"""Every block of code in the README and the pages: commands and Python run in order, page by page, on small data.

A block that cannot run here says why in a comment above it, `<!-- not run: why -->`; its commands must parse all the
same.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import sys
import tomllib
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import onnx_models
import pytest
from click.testing import CliRunner
from recorded import recorded_store
from samples import read_csv, write_csv
from shared import Shared

from huse.cli import main

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<why>[^\n]+) -->\s*)?^ *```(?P<language>\w*)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
LANGUAGES = {"bash", "python", "csv", "json", "toml"}
HUB_MODEL = "hf://Xenova/clip-vit-base-patch32"
"""A model of the hub; a small one of its layout stands for it."""

PANDA = "1f43c"
"""Key of the row that docs/how-it-works.md follows."""


@dataclass(frozen=True)
class Block:
    """A fenced block; `why` says why it is not run."""

    language: str
    code: str
    why: str

    def commands(self) -> list[list[str]]:
        """The words of every command, comments left out, variables of the shell as 1."""
        lines = (shlex.split(re.sub(r"\$\w+", "1", line), comments=True) for line in self.code.splitlines())
        return [words for words in lines if words]


def blocks(page: Path) -> list[Block]:
    found = FENCE.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["language"], match["code"], match["why"] or "") for match in found]


BLOCKS = {page.name: blocks(page) for page in PAGES}
ALL = [block for page in BLOCKS.values() for block in page]
RUN = [name for name, page in BLOCKS.items() if any(b.language in ("bash", "python") and not b.why for b in page)]


@pytest.fixture(scope="session")
def template(few_emoji: Path, shared: Shared) -> Path:
    """What the pages take for granted: tables, images, and the features of these, which `huse extract` keeps."""
    return shared("pages", lambda folder: lay_out(few_emoji, folder))


def lay_out(few_emoji: Path, folder: Path) -> None:
    panda = [row for row in read_csv(few_emoji.parent / "emoji.csv") if row["key"] == PANDA]
    # fewer images than VGG16 is compiled for, which takes longer than encoding them
    rows = [row for row in read_csv(few_emoji)[::3] if row["key"] != PANDA] + panda
    (folder / "huse-demo").mkdir(parents=True)
    for table in ("products.csv", "huse-demo/emoji.csv"):
        write_csv(folder / table, rows)
    write_csv(folder / "more.csv", rows[::4])
    for images in ("images", "huse-demo/images"):
        (folder / images).symlink_to(few_emoji.parent / "images")
    shutil.copy(few_emoji.parent / panda[0]["image"], folder / "image.png")
    onnx_models.clip(folder / "hub-model")
    recorded_store(few_emoji.parent / "emoji.csv", [row["key"] for row in rows], folder / "features")
    run(["huse", "extract", str(folder / "products.csv"), str(folder / "features")])
    shutil.copytree(folder / "features", folder / "huse-demo" / "features")


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN)
def test_a_page_runs_from_top_to_bottom(
    page: str, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(template, tmp_path / "here", symlinks=True))
    names: dict[str, Any] = {"__name__": "page"}
    for block in BLOCKS[page]:
        if block.why:
            continue
        if block.language == "python":
            exec(compile(block.code, page, "exec"), names)
        elif block.language == "bash":
            for words in block.commands():
                run(words)


def run(words: list[str]) -> None:
    """Runs `huse` in this process; of `make`, the target must be there, since the gate calls it."""
    if words[0] == "make":
        assert f"\n{words[1]}: " in (ROOT / "Makefile").read_text(encoding="utf-8")
        return
    assert words[0] == "huse", words
    words = [word.replace(HUB_MODEL, "hub-model") for word in words]
    result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, f"{shlex.join(words)}: {result.output}"


@pytest.mark.parametrize("block", [block for block in ALL if block.why], ids=lambda block: block.code.split("\n")[0])
def test_what_is_not_run_parses(block: Block) -> None:
    if block.language == "python":
        compile(block.code, block.why, "exec")
        missing = set(re.findall(r"^import (\w+)", block.code, re.MULTILINE)) - set(sys.stdlib_module_names)
        assert any(f"it needs {name}" in block.why for name in missing), "only for what huse does not install"
        return
    assert block.language == "bash", "only commands, and what needs other packages, may be left unrun"
    for words in block.commands():
        if words[0] == "pip":
            require_extras(words)
        elif words[0] == "sbatch":
            assert any((ROOT / word).is_file() for word in words), words
        else:
            parse(words)


def require_extras(words: list[str]) -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert words[1] == "install"
    for extra in re.findall(r"\w+", words[2]):
        assert extra in setup["options.extras_require"]


def parse(words: list[str]) -> None:
    """Whether click knows the command, its options and their values; files need not be there."""
    assert words[0] == "huse", words
    context, rest = click.Context(main), words[1:]
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = click.Context(command, parent=context, info_name=name)
    given, surplus, _ = context.command.make_parser(context).parse_args(rest)
    assert not surplus
    for parameter in context.command.get_params(context):
        value = given.get(str(parameter.name))
        if isinstance(value, (str, list, tuple)) and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)
        assert isinstance(value, str) or not parameter.required, f"{words}: {parameter.name} is missing"


def test_other_blocks_are_what_they_say() -> None:
    assert {block.language for block in ALL} <= LANGUAGES
    for block in ALL:
        if block.language == "toml":
            assert tomllib.loads(block.code)
        elif block.language == "json":
            assert json.loads(block.code)
        elif block.language == "csv":
            header, *rows = csv.reader(io.StringIO(block.code))
            assert all(len(row) == len(header) for row in rows)


def test_the_readme_and_the_pages_of_use_run() -> None:
    assert {"README.md", "own-catalog.md", "how-it-works.md", "formats.md", "encoders.md"} <= set(RUN)
