"""What of a run of stage 1 its store keeps, as settings of the same run another time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huse.extract.config import ExtractConfig
from huse.extract.encoders.registry import whole_name
from huse.extract.manifest.columns import COLUMNS, Columns
from huse.extract.run_encoders import Encoders
from huse.features.options import kept_values
from huse.features.settings import settings_text, whole_place

FILES = ("image_weights", "class_text")
"""The fields of `ExtractConfig` that are places."""


def extract_settings(config: ExtractConfig, columns: Columns, encoders: Encoders) -> str:
    """The settings.toml of a store: what decides its content, and not how one run of several comes to it.

    Encoders that were used are named as they can be had again, with the whole path of a folder and the commit of a
    model of the hub.
    """
    values = {**stage_one_values(config), **column_values(columns)}
    used = {"image_encoder": encoders.image, "text_encoder": encoders.text, "class_encoder": encoders.classes}
    values |= {name: encoder.spec.known_as for name, encoder in used.items() if encoder is not None}
    if encoders.text is not None:  # its name tells
        del values["salient_tokens"]
    return settings_text("extract", values)


def stage_one_values(config: ExtractConfig, names: Iterable[str] = ()) -> dict[str, Any]:
    """The kept values of a configuration, all or those named, their files from the root on."""
    values = kept_values(config)
    values |= {name: whole_place(values[name]) for name in FILES if values[name] is not None}
    return {name: values[name] for name in names or values if name in values}


def column_values(columns: Columns) -> dict[str, str]:
    """The names of a manifest's columns, and what parts its labels, by the options that say them."""
    named = {f"{name}_column": columns.names[name] for name in COLUMNS}
    return {**named, "label_separator": columns.label_separator}


def whole_names(**encoders: str | None) -> dict[str, str | None]:
    """Encoders by the names that hold in every folder."""
    return {option: None if name is None else whole_name(name) for option, name in encoders.items()}
