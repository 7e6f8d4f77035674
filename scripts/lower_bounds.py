"""Prints the lowest versions that setup.cfg allows, as constraints for pip.

    python scripts/lower_bounds.py >constraints.txt

What those ask for in turn is as new as it comes.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from packaging.requirements import Requirement

SETUP = Path(__file__).parent.parent / "setup.cfg"


def lowest(requirement: str) -> str | None:
    """``name==version`` of a requirement with a lower bound, else None."""
    parsed = Requirement(requirement)
    versions = [bound.version for bound in parsed.specifier if bound.operator == ">="]
    return f"{parsed.name}=={versions[0]}" if versions else None


def main() -> None:
    """Prints one line a package that huse or one of its extras asks for."""
    config = configparser.ConfigParser()
    config.read(SETUP)
    asked = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    lines = {lowest(line) for text in asked for line in text.splitlines() if line}
    print("\n".join(sorted(line for line in lines if line)))


if __name__ == "__main__":
    main()
