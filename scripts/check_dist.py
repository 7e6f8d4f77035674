"""Checks the wheels that `make dist` has built.

    python scripts/check_dist.py WHEEL WHEEL_OF_SDIST

They are the same, byte for byte inside, and hold every tracked file of the packages that setup.cfg names, their data,
the licenses, and nothing else: no test, no benchmark, no file that a build before has left.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parent.parent


def contents(wheel: Path) -> dict[str, bytes]:
    """Every file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def package_files() -> set[str]:
    """Names in the wheel of the tracked files that lie in a package."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    folders = {name.replace(".", "/") for name in config["options"]["packages"].split()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    inside = {f"huse/{name}" for name in tracked if str(PurePosixPath("huse", name).parent) in folders}
    return {name for name in inside if "/" in name.removeprefix("huse/") or name.endswith((".py", ".pyi", ".typed"))}


def faults(wheel: Path, of_sdist: Path) -> list[str]:
    """What is wrong, a line each."""
    files, again = contents(wheel), contents(of_sdist)
    described = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    packaged = {name for name in files if not name.startswith(described)}
    expected = package_files()
    licenses = {f"{described}/licenses/{name}" for name in ("LICENSE", "NOTICE")}
    return [
        *(f"{name}: not in the wheel" for name in sorted((expected | licenses) - files.keys())),
        *(f"{name}: in the wheel, and in no package" for name in sorted(packaged - expected)),
        *(f"{name}: not the same in the sdist's wheel" for name in files | again if files.get(name) != again.get(name)),
    ]


def main(wheel: Path, of_sdist: Path) -> int:
    """Prints what is wrong, or what is there."""
    found = faults(wheel, of_sdist)
    print("\n".join(found) or f"{wheel.name}: {len(contents(wheel))} files, {wheel.stat().st_size / 1e6:.1f} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
