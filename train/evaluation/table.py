"""Metrics as text: a line of accuracies, and tables of directions."""

from __future__ import annotations

from typing import Any

from huse.features.counted import counted
from huse.train.classes.unknown_classes import UnknownClass, unknown_lines
from huse.train.evaluation.measure import HP_KS


def metrics_table(result: dict[str, Any]) -> str:
    """Accuracy and retrieval as text; what no row allows is left out."""
    lines = [_head(result), *_remarks(result)]
    if _says_something(result["accuracy"]):
        lines.append("accuracy   " + "   ".join(f"{kind} {shown_value(v)}" for kind, v in result["accuracy"].items()))
    heads, parts = ["R@1", "R@5", "R@10", "mAP"], [result["retrieval"]]
    if "hierarchical" in result:
        heads, parts = [*heads, *(f"HP@{k}" for k in HP_KS)], [*parts, result["hierarchical"]]
    if any(map(_says_something, result["retrieval"].values())):
        lines += ["", *_directions("retrieval", heads, parts)]
    if any(map(_says_something, result["instances"].values())):
        lines += ["", *_directions("by instance", ["R@1", "R@5", "R@10", "MRR"], [result["instances"]])]
    return "\n".join(lines)


def _head(result: dict[str, Any]) -> str:
    labeled = result.get("labeled", result["rows"])
    told = "" if labeled == result["rows"] else f", {labeled or 'none'} of them labeled"
    return f"{counted(result['rows'], 'row')} of split {result['split']}{told}"


def _directions(title: str, heads: list[str], parts: list[dict[str, dict[str, float | None]]]) -> list[str]:
    lines = [f"{title:<16}" + "".join(f"{head:>8}" for head in heads)]
    for direction in parts[0]:
        cells = "".join(f"{shown_value(value):>8}" for part in parts for value in part[direction].values())
        lines.append(f"{direction.replace('_', ' '):<16}{cells}")
    return lines


def _says_something(metrics: dict[str, float | None]) -> bool:
    return any(value is not None for value in metrics.values())


def _remarks(result: dict[str, Any]) -> list[str]:
    """What makes the metrics look worse or better than they are."""
    lines = unknown_lines([UnknownClass(**entry) for entry in result.get("unknown_classes", ())])
    if result.get("shared_with_training"):
        shared = f"{result['shared_with_training']} of {result['rows']} rows"
        lines.append(f"{shared} share their image or text with a training row; huse store leaks lists them")
    return lines


def shown_value(value: Any) -> str:
    """A metric with three digits, - where there is none, and anything else as it is."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
