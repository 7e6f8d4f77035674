"""The README.md of a model folder: a model card with the front matter that Hugging Face reads."""

from __future__ import annotations

import json
from typing import Any

_CARD = """---
{front}
---

# {name}

Places {placed} in one {dimension}-dimensional space; near means alike in meaning.{nested}
Towers of HUSE (arXiv 1911.05978), preset `{preset}`, over frozen encoders:

- images: {image}
- texts: {text}

```python
import huse

model = huse.load({place})
vectors = model.embed_texts(["some words"])
```

## Validation

{figures}

Rows held out of training; the figures choose the number of epochs and the fusion weight, so they flatter a little.

## Limits

It knows what {teachers} teach, and carries over the biases of both encoders and of the training data.
"""

TASK = "feature-extraction"


def model_card(
    config: dict[str, Any],
    metrics: dict[str, Any],
    classes: list[str],
    name: str = "HUSE model",
    license_id: str | None = None,
    place: str | None = None,
) -> str:
    """The card's text, from the values of config.json, metrics.json and classes.json.

    Args:
        config: values of config.json.
        metrics: values of metrics.json.
        classes: label paths.
        name: the title.
        license_id: license identifier for the front matter.
        place: where the model will be, such as ``hf://ORG/NAME``.
    """
    fit = config["fit"]
    figures = _figures(metrics)
    return _CARD.format(
        front=_front_matter(name, license_id, figures),
        name=name,
        place=json.dumps(place or "PATH-OF-THIS-FOLDER"),
        placed=f"images, texts and {len(classes)} classes" if classes else "images and texts",
        teachers=f"its {len(classes)} classes" if classes else "pairs of an image and a text",
        dimension=fit["dimension"],
        nested=_nested(fit.get("nested")),
        preset=fit["preset"],
        image=_describe(config["image"]),
        text=_describe(config["text"]),
        figures=_table(figures),
    )


def _front_matter(name: str, license_id: str | None, figures: list[tuple[str, float]]) -> str:
    """YAML, its strings written as JSON, which YAML reads as they are."""
    lines = ["library_name: huse", f"pipeline_tag: {TASK}", "tags: [image-text-retrieval, huse]"]
    if license_id:
        lines.append(f"license: {json.dumps(license_id)}")
    if figures:
        lines += ["model-index:", f"- name: {json.dumps(name)}", "  results:", f"  - task: {{type: {TASK}}}"]
        lines += ["    dataset: {name: held out rows of the training data, type: private, split: validation}"]
        lines += ["    metrics:"]
        lines += [
            f"    - {{type: {kind.replace(' ', '_')}, name: {kind}, value: {value:.4f}}}" for kind, value in figures
        ]
    return "\n".join(lines)


def _nested(lengths: list[int] | None) -> str:
    """A line on the prefixes that are embeddings too, if any; models of before know of none."""
    if not lengths:
        return ""
    return f"\nThe first {', '.join(map(str, lengths))} dimensions, of unit length again, are embeddings by themselves."


def _describe(spec: dict[str, Any] | None) -> str:
    return f"`{spec['name']}`, {spec['dimension']}-d, fingerprint `{spec['fingerprint']}`" if spec else "none"


def _figures(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    """Every known figure with its name in words."""
    figures = [(f"accuracy {kind}", value) for kind, value in metrics.get("accuracy", {}).items()]
    for part, way in (("retrieval", ""), ("instances", "by instance ")):
        for direction, values in metrics.get(part, {}).items():
            figures += [(f"{direction} {way}{name}".replace("_", " "), value) for name, value in values.items()]
    return [(name, value) for name, value in figures if value is not None]


def _table(figures: list[tuple[str, float]]) -> str:
    return "\n".join(["| figure | value |", "|---|---|", *(f"| {name} | {value:.3f} |" for name, value in figures)])
