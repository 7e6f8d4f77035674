"""`huse evaluate --report`: one HTML page with a model's metrics, its classes, what it confuses and what it doubts."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huse.features.counted import counted
from huse.features.errors import FitError
from huse.features.files.atomic import replacing_files
from huse.features.files.folders import require_folder_name, require_place
from huse.features.files.outputs import require_output
from huse.train.evaluation.doubts import Doubt, Doubts
from huse.train.evaluation.table import metrics_table, shown_value

Thumbnail = Callable[[str], str]
"""The `data:` address of a small image, given where it lies; empty for none."""

PAGE_FILE, DOUBTS_FILE = "index.html", "doubted.csv"
DOUBTS_COLUMNS = tuple(each.name for each in fields(Doubt))
"""Of doubted.csv; by them a file that is there is known as of huse."""

PAIRS = 30
"""Confused pairs that the page lists."""

CLASSES_IN_PLOT = 40
"""Most frequent classes that the matrix shows."""

DOUBTS, LONGEST_TEXT = 100, 200
"""Doubted rows that the page shows, and letters of their texts; doubted.csv has all."""

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="generator" content="made by huse"><title>huse report</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }}
table {{ border-collapse: collapse }} td, th {{ padding: 2px 12px 2px 0; text-align: left }}
td.n, th.n {{ text-align: right }} tr:nth-child(even) {{ background: #f4f5f9 }} img {{ max-width: 100% }}
td img {{ display: block; max-width: 96px; max-height: 96px }} td {{ overflow-wrap: anywhere }}
pre {{ background: #f4f5f9; padding: 1em; overflow-x: auto }}
</style></head><body>
<h1>huse report</h1><pre>{metrics}</pre>
<h2>What is confused with what</h2>
<p>Rows: true class, columns: predicted class (fused), the {shown} most frequent classes, each row summing to 1.</p>
<img alt="confusion matrix" src="data:image/png;base64,{matrix}">
<h3>Most frequent confusions</h3>{pairs}
<h2>Doubted labels</h2>{doubts}
<h2>Classes, worst first</h2>{classes}
</body></html>
"""


def no_thumbnail(uri: str) -> str:
    """No image, whatever the row."""
    del uri
    return ""


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
    """Refuses a folder whose files would be written over something that is not of huse, or beside what is read.

    Raises:
        FitError: the message names the file.
    """
    require_folder_name(folder, FitError)
    require_place(folder, FitError)
    require_output(folder / PAGE_FILE, FitError, *inputs)
    table = folder / DOUBTS_FILE
    if table.exists() and not (table.is_file() and table.read_bytes().startswith(",".join(DOUBTS_COLUMNS).encode())):
        raise FitError(f"{table}: is there already, and is not of huse; name another folder")


def write_report(
    folder: Path,
    result: dict[str, Any],
    truth: NDArray[np.object_],
    predicted: dict[str, NDArray[np.object_]],
    doubts: Doubts,
    thumbnail: Thumbnail = no_thumbnail,
) -> Path:
    """Writes index.html, whole in itself, and doubted.csv beside it; returns the path of the page.

    Args:
        folder: made if it is not there.
        result: metrics as `evaluate_model` returns them.
        truth: (n,) labels.
        predicted: as in `class_rows`.
        doubts: the rows whose label is doubted.
        thumbnail: of the image of a row.
    """
    frequent = [label for label, _ in Counter(truth).most_common(CLASSES_IN_PLOT)]
    pairs = [{"true": t, "predicted": p, "rows": n} for t, p, n in confusions(truth, predicted["fused"])[:PAIRS]]
    page = _PAGE.format(
        metrics=html.escape(metrics_table(result)),
        shown=len(frequent),
        matrix=_matrix_png(truth, predicted["fused"], frequent),
        pairs=_table(pairs),
        doubts=_doubts(doubts, thumbnail),
        classes=_table(class_rows(truth, predicted)),
    )
    path = folder / PAGE_FILE
    with replacing_files(path, folder / DOUBTS_FILE) as (written, table):
        written.write_text(page, encoding="utf-8", errors="replace")
        with table.open("w", encoding="utf-8", newline="", errors="replace") as file:
            writer = csv.DictWriter(file, DOUBTS_COLUMNS)
            writer.writeheader()
            writer.writerows(map(asdict, doubts.found))
    return path


def _doubts(doubts: Doubts, thumbnail: Thumbnail) -> str:
    """What was judged, and the most doubted rows with their images."""
    told = ""
    if doubts.judged:
        number = len(doubts.found)
        told = (
            f"<p>Of {counted(doubts.judged, 'row')} {number} probably {'has' if number == 1 else 'have'} a wrong label "
            "(confident learning), the most doubted first"
        )
        told += f"; the first {DOUBTS}, all are in {DOUBTS_FILE}.</p>" if number > DOUBTS else ".</p>"
    if doubts.trained_on:
        told += (
            f"<p>{counted(doubts.trained_on, 'row')} of split train or none, which the model was trained on, are not "
            "judged: it repeats their labels. <code>folds=5 (--folds)</code> judges them by towers that were fitted "
            "without them, in five fits.</p>"
        )
    rows = "".join(_doubt(doubt, thumbnail) for doubt in doubts.found[:DOUBTS])
    heads = "<th>image</th><th>text</th><th>label</th><th>suggested</th><th>key</th>"
    return f"{told}<table><tr>{heads}</tr>{rows}</table>" if rows else told


def _doubt(doubt: Doubt, thumbnail: Thumbnail) -> str:
    source = thumbnail(doubt.uri)
    image = f'<img alt="" src="{html.escape(source)}">' if source else ""
    cells = (
        doubt.caption[:LONGEST_TEXT],
        f"{doubt.label} {doubt.probability:.3f}",
        f"{doubt.suggested} {doubt.suggested_probability:.3f}",
        doubt.key,
    )
    return f"<tr><td>{image}</td>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


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
