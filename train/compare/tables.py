"""What `huse compare` writes: the paper's three tables as Markdown, CSV and JSON, and a bar chart."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from huse.features.errors import FitError
from huse.features.files.atomic import replacing_files
from huse.features.files.folders import require_apart, require_folder_name, require_place

Result = dict[str, Any]

FILES = ("tables.csv", "tables.md", "tables.json", "bars.png")
"""Renamed in this order; by the first the folder is known as of huse."""

COLUMNS = ("method", "metric", "mean", "std")

HEADLINES = {
    "retrieval.image_to_text.r_at_1": "i→t R@1",
    "retrieval.text_to_image.r_at_1": "t→i R@1",
    "retrieval.image_to_text.map": "i→t mAP",
    "retrieval.text_to_image.map": "t→i mAP",
    "hierarchical.image_to_text.hp_at_5": "i→t HP@5",
    "hierarchical.text_to_image.hp_at_5": "t→i HP@5",
    "accuracy.fused": "fused accuracy",
}
"""The figures that methods are held against each other by."""

WAYS = ("image_to_image", "image_to_text", "text_to_image", "text_to_text")
TABLES = {
    "Table 1: retrieval": [(w, f"retrieval.{w}.{m}") for w in WAYS for m in ("r_at_1", "r_at_5", "r_at_10", "map")],
    "Table 2: hierarchical precision": [(w, f"hierarchical.{w}.hp_at_{k}") for w in WAYS for k in (2, 5, 10)],
    "Table 3: accuracy": [("accuracy", f"accuracy.{name}") for name in ("image", "text", "fused")],
}


def require_tables(folder: Path, store: Path) -> None:
    """Refuses a folder where a table would be written over something that is not of huse, or into the store.

    Raises:
        FitError: the message names the file.
    """
    require_folder_name(folder, FitError)
    require_apart(folder, FitError, store)
    require_place(folder, FitError)
    there = [name for name in FILES if (folder / name).exists()]
    table = folder / FILES[0]
    if there and not (table.is_file() and table.read_bytes().startswith(",".join(COLUMNS).encode())):
        raise FitError(f"{folder / there[0]}: is there already, and is not of huse; name another folder")


def write_tables(results: Result, folder: Path) -> str:
    """Writes tables.md, tables.csv, tables.json and bars.png; returns the Markdown."""
    tables = [_markdown(title, columns, results) for title, columns in TABLES.items()]
    text = "\n\n".join([*tables, _costs(results), *_verdicts(results)]) + "\n"
    with replacing_files(*(folder / name for name in FILES)) as (table, markdown, values, image):
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for method, result in results.items():
                for name, mean in result["metrics"]["mean"].items():
                    writer.writerow([method, name, f"{mean:.4f}", f"{result['metrics']['std'][name]:.4f}"])
        markdown.write_text(text, encoding="utf-8")
        values.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        _draw_bars(results, image)
    return text


def _markdown(title: str, columns: list[tuple[str, str]], results: Result) -> str:
    heads = [f"{group.replace('_to_', '→')} {path.rsplit('.', 1)[-1]}" for group, path in columns]
    best = {path: max((_mean(r, path) for r in results.values()), default=0.0) for _, path in columns}
    lines = [f"### {title}", "", "| method | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for method, result in results.items():
        cells = []
        for _, path in columns:
            if path not in result["metrics"]["mean"]:
                cells.append("-")
                continue
            cell = f"{_mean(result, path):.3f} ± {result['metrics']['std'][path]:.3f}"
            cells.append(f"**{cell}**" if _mean(result, path) == best[path] else cell)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _costs(results: Result) -> str:
    lines = ["### What a fit takes", "", "| method | seconds | parameters |", "|---|---|---|"]
    lines += [f"| {method} | {r['seconds']:.1f} | {r['parameters']:,} |" for method, r in results.items()]
    return "\n".join(lines)


def _verdicts(results: Result) -> list[str]:
    """The table of huse against the best of the others in each figure; none without huse, or without others."""
    against = next((result["against"] for result in results.values() if result.get("against")), None)
    if not against:
        return []
    lines = [
        "### huse against the best of the others",
        "",
        "Paired bootstrap over the test queries, seeds averaged, 95 % interval.",
        "",
        "| figure | best other | huse minus it | interval | huse is |",
        "|---|---|---|---|---|",
    ]
    for path, title in HEADLINES.items():
        others = [method for method, figures in against.items() if path in figures]
        if others:
            best = max(others, key=lambda method: _mean(results[method], path))
            found = against[best][path]
            interval = f"{found['low']:+.3f} to {found['high']:+.3f}"
            lines.append(f"| {title} | {best} | {found['mean']:+.3f} | {interval} | {found['verdict']} |")
    return ["\n".join(lines)]


def _mean(result: Result, path: str) -> float:
    return float(result["metrics"]["mean"].get(path, -1.0))


def _draw_bars(results: Result, path: Path) -> None:
    from matplotlib.figure import Figure

    shown: list[tuple[str, str]] = [
        ("image→text R@1", "retrieval.image_to_text.r_at_1"),
        ("text→image R@1", "retrieval.text_to_image.r_at_1"),
        ("image→text mAP", "retrieval.image_to_text.map"),
        ("text→image mAP", "retrieval.text_to_image.map"),
        ("fused accuracy", "accuracy.fused"),
    ]
    figure = Figure(figsize=(2.4 * len(shown), 0.32 * len(results) + 1.2), layout="constrained")
    axes = figure.subplots(1, len(shown), sharey=True)
    for axis, (title, name) in zip(axes, shown, strict=True):
        means = [max(_mean(result, name), 0.0) for result in results.values()]
        errors = [result["metrics"]["std"].get(name, 0.0) for result in results.values()]
        axis.barh(list(results), means, xerr=errors, color=["#4363d8" if m == "huse" else "#b8c4e8" for m in results])
        axis.set_title(title, fontsize=9)
        axis.set_xlim(0, 1)
        axis.tick_params(labelsize=8)
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=150, format="png")
