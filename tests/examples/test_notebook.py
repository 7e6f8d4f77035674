"""The notebook, run by a kernel of its own on a few classes."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent.parent / "examples" / "huse.ipynb"
FEW = 'CLASSES, ROWS, EPOCHS, FOLDER = 2, 7, 5, "few"'
IMAGES = 6
"""Shown: the data, the history, the map, two searches, the graph."""


@pytest.mark.slow
def test_the_notebook_runs_and_shows_its_images(tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source = FEW
    NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == IMAGES
    assert any("text/markdown" in output.get("data", {}) for output in outputs)
    (extracted,) = [o["text"] for o in outputs if o.output_type == "stream" and "rows encoded" in o["text"]]
    assert extracted.startswith("14 rows encoded, 0 kept")


def test_the_notebook_is_kept_without_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
