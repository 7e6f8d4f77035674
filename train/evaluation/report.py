"""`huse evaluate --report`: one HTML page with a model's metrics, its classes and what it confuses."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.errors import FitError
from huse.features.files.atomic import replacing
from huse.features.files.folders import require_folder_name, require_place
from huse.features.files.outputs import require_output
from huse.train.evaluation.table import metrics_table, shown_value

PAGE_FILE = "index.html"

PAIRS = 30
"""Confused pairs that the page lists."""

CLASSES_IN_PLOT = 40
"""Most frequent classes that the matrix shows."""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="generator" content="made by huse"><title>huse report</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }}
table {{ border-collapse: collapse }} td, th {{ padding: 2px 12px 2px 0; text-align: left }}
td.n, th.n {{ text-align: right }} tr:nth-child(even) {{ background: #f4f5f9 }} img {{ max-width: 100% }}
pre {{ background: #f4f5f9; padding: 1em; overflow-x: auto }}
</style></head><body>
<h1>huse report</h1><pre>{metrics}</pre>
<h2>What is confused with what</h2>
<p>Rows: true class, columns: predicted class (fused), the {shown} most frequent classes, each row summing to 1.</p>
<img alt="confusion matrix" src="data:image/png;base64,{matrix}">
<h3>Most frequent confusions</h3>{pairs}
<h2>Classes, worst first</h2>{classes}
</body></html>
"""


def class_rows(truth: NDArray[np.object_], predicted: dict[str, NDArray[np.object_]]) -> list[dict[str, Any]]:
    """One entry a class, worst first: ``class``, ``rows``, and the recall of each kind of prediction.

    Args:
        truth: (n,) labels.
        predicted: by ``image``, ``text`` and ``fused``, (n,) labels, empty where there is none.
    """
    entries = []
    for label in sorted(set(truth)):
        own = truth == label
        entry: dict[str, Any] = {"class": label, "rows": int(own.sum())}
        for kind, labels in predicted.items():
            known = own & (labels != "")
            entry[kind] = float(np.mean(labels[known] == label)) if known.any() else None
        entries.append(entry)
    return sorted(entries, key=lambda entry: (entry["fused"] if entry["fused"] is not None else 2.0, -entry["rows"]))


def confusions(truth: NDArray[np.object_], predicted: NDArray[np.object_]) -> list[tuple[str, str, int]]:
    """(true class, predicted class, number of rows) of wrong predictions, most frequent first."""
    counts = Counter((t, p) for t, p in zip(truth, predicted, strict=True) if p and t != p)
    return [(t, p, n) for (t, p), n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def require_report(folder: Path, *inputs: str | Path) -> None:
    """Refuses a folder whose page would be written over something that is not of huse, or beside what is read.

    Raises:
        FitError: the message names the file.
    """
    require_folder_name(folder, FitError)
    require_place(folder, FitError)
    require_output(folder / PAGE_FILE, FitError, *inputs)


def write_report(
    folder: Path, result: dict[str, Any], truth: NDArray[np.object_], predicted: dict[str, NDArray[np.object_]]
) -> Path:
    """Writes index.html, whole in itself, and returns its path.

    Args:
        folder: made if it is not there.
        result: metrics as `evaluate_model` returns them.
        truth: (n,) labels.
        predicted: as in `class_rows`.
    """
    frequent = [label for label, _ in Counter(truth).most_common(CLASSES_IN_PLOT)]
    pairs = [{"true": t, "predicted": p, "rows": n} for t, p, n in confusions(truth, predicted["fused"])[:PAIRS]]
    page = _PAGE.format(
        metrics=html.escape(metrics_table(result)),
        shown=len(frequent),
        matrix=_matrix_png(truth, predicted["fused"], frequent),
        pairs=_table(pairs),
        classes=_table(class_rows(truth, predicted)),
    )
    path = folder / PAGE_FILE
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f"<th{_right(value)}>{html.escape(name)}</th>" for name, value in rows[0].items())
    body = "".join(
        "<tr>"
        + "".join(f"<td{_right(value)}>{html.escape(shown_value(value))}</td>" for value in row.values())
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _right(value: Any) -> str:
    return "" if isinstance(value, str) else ' class="n"'


def _matrix_png(truth: NDArray[np.object_], predicted: NDArray[np.object_], classes: list[str]) -> str:
    from matplotlib.figure import Figure
    from sklearn.metrics import confusion_matrix

    shares = confusion_matrix(truth.astype(str), predicted.astype(str), labels=classes, normalize="true")
    size = 2.5 + 0.2 * len(classes)
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(classes)), classes, rotation=90, fontsize=7, parse_math=False)
    axis.set_yticks(range(len(classes)), classes, fontsize=7, parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()
