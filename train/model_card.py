"""The README.md of a model folder: a model card with the front matter that Hugging Face reads."""

from __future__ import annotations

from typing import Any

_CARD = """---
library_name: huse
tags: [image-text-retrieval, feature-extraction, huse]
---

# HUSE model

Places pictures, texts and {classes} classes in one {dimension}-dimensional space; near means alike in meaning.
Towers of HUSE (arXiv 1911.05978), preset `{preset}`, over frozen encoders:

- pictures: {image}
- texts: {text}

```python
import huse

model = huse.load("PATH-OF-THIS-FOLDER")
vectors = model.embed_texts(["some words"])
```

## Validation

{figures}

Rows held out of training; the figures choose the number of epochs and the fusion weight, so they flatter a little.

## Limits

It knows what its {classes} classes teach, and carries over the biases of both encoders and of the training data.
"""


def model_card(config: dict[str, Any], metrics: dict[str, Any], classes: list[str]) -> str:
    """The card's text, from the values of config.json, metrics.json and classes.json."""
    fit = config["fit"]
    return _CARD.format(
        classes=len(classes),
        dimension=fit["dimension"],
        preset=fit["preset"],
        image=_describe(config["image"]),
        text=_describe(config["text"]),
        figures=_table(metrics),
    )


def _describe(spec: dict[str, Any] | None) -> str:
    return f"`{spec['name']}`, {spec['dimension']}-d, fingerprint `{spec['fingerprint']}`" if spec else "none"


def _table(metrics: dict[str, Any]) -> str:
    figures = [(f"accuracy, {name}", value) for name, value in metrics.get("accuracy", {}).items()]
    for direction, values in metrics.get("retrieval", {}).items():
        figures += [(f"{direction.replace('_', ' ')}, {name}", value) for name, value in values.items()]
    lines = [f"| {name} | {value:.3f} |" for name, value in figures if value is not None]
    return "\n".join(["| figure | value |", "|---|---|", *lines])
