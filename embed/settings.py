"""What of a run of `huse embed` the embeddings keep, as settings of the same run another time."""

from __future__ import annotations

from dataclasses import replace

from huse.embed.config import EmbedConfig
from huse.embed.model import Model
from huse.extract.config import ENCODING, ExtractConfig
from huse.extract.encoders.registry import whole_name
from huse.extract.manifest.columns import Columns
from huse.extract.settings import column_values, stage_one_values
from huse.features.modality import MODALITIES
from huse.features.options import kept_values
from huse.features.settings import settings_text


def embed_settings(model: Model, config: ExtractConfig, columns: Columns, fuse: bool, kept: EmbedConfig) -> str:
    """The settings.toml of embeddings: how stage 1 ran, which encoders were named in place of the model's, and fuse."""
    config = replace(config, image_weights=model.image_weights, precision=model.precision)
    named = {f"{m}_encoder": whole_name(name) for m in MODALITIES if (name := model.named(m))}
    values = {**named, **stage_one_values(config, ENCODING), **column_values(columns), **kept_values(kept)}
    return settings_text("embed", {**values, "fuse": fuse})
