"""Metrics as text: a line of accuracies, and a table of directions."""

from __future__ import annotations

from typing import Any

from huse.features.counted import counted
from huse.train.classes.unknown_classes import UnknownClass, unknown_lines
from huse.train.evaluation.measure import HP_KS


def metrics_table(result: dict[str, Any]) -> str:
    """Accuracy and retrieval as text."""
    accuracy = "   ".join(f"{name} {shown_value(value)}" for name, value in result["accuracy"].items())
    rows = counted(result["rows"], "row")
    lines = [f"{rows} of split {result['split']}", *_remarks(result), f"accuracy   {accuracy}", ""]
    heads, parts = ["R@1", "R@5", "R@10", "mAP"], [result["retrieval"]]
    if "hierarchical" in result:
        heads, parts = [*heads, *(f"HP@{k}" for k in HP_KS)], [*parts, result["hierarchical"]]
    lines.append(f"{'retrieval':<16}" + "".join(f"{head:>8}" for head in heads))
    for direction in result["retrieval"]:
        cells = "".join(f"{shown_value(value):>8}" for part in parts for value in part[direction].values())
        lines.append(f"{direction.replace('_', ' '):<16}{cells}")
    return "\n".join(lines)


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
