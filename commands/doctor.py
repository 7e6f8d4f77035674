"""`huse doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from huse.commands.options import ModelPlace, json_option
from huse.commands.quiet import uses_tensorflow
from huse.commands.tables import doctor_text, show


@click.command("doctor")
@click.argument("path", required=False, metavar="[STORE | MODEL | EMBEDDINGS]", type=ModelPlace())
@json_option
@uses_tensorflow
def command(path: Path | None, as_json: bool) -> None:
    """Tell what this machine has and what a run would use; check the files of a store, a model or embeddings."""
    from huse.doctor.artefact import examine
    from huse.doctor.environment import examine_environment

    examined = examine(path) if path else None
    environment = examine_environment(Path.cwd())
    findings = [*environment.findings, *(examined.findings if examined else [])]
    values: dict[str, Any] = {"environment": environment.values, "findings": [asdict(f) for f in findings]}
    if examined:
        values |= {"path": str(examined.path), "kind": examined.kind, "contents": examined.contents}
    show(doctor_text(values), values, as_json)
    if findings:
        raise click.exceptions.Exit(1)
