"""What can be done without TensorFlow does not wait for it to be loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMANDS = {
    "extract m.csv s --text-encoder tfdif:5": "did you mean tfidf:5",
    "extract images.csv s --text-encoder tfdif:5": "did you mean tfidf:5",
    "extract m.csv s --part 9/4": "is not I/N",
    "extract m.csv s --retry-failed --content": "leave one out",
    "extract absent.csv s": "absent.csv",
    "fit s m --preset nonsense": "'nonsense' is not one of",
    "embed m s o --workers x": "is neither N nor MIN:MAX",
    "search m e": "give --text or --image",
    "plot m o.png --graph --history": "give --graph or --history",
    "extract m.csv s --text-encoder tfidf:5 --class-encoder none": "2 rows in s: 2 encoded",
}

CHECK = """
import sys
from click.testing import CliRunner
from huse.cli import main
for command in sys.argv[1:]:
    result = CliRunner().invoke(main, command.split())
    print(command, "tensorflow" in sys.modules, " ".join(result.output.split()), sep="|")
"""


def test_tensorflow_is_loaded_when_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("text\nred air\nblue air\n")
    (tmp_path / "images.csv").write_text("image,text\na.png,a\n")
    python = [sys.executable, "-c", CHECK, *COMMANDS]
    done = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=True)
    for line, (command, told) in zip(done.stdout.splitlines(), COMMANDS.items(), strict=True):
        assert line.startswith(f"{command}|False|")
        assert told in line
