"""huse puts images, texts and classes into one semantic space (HUSE, arXiv 1911.05978).

Names are imported at first use: `import huse` loads no TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from huse.embed.draw.model_plots import plot_graph as plot_graph
    from huse.embed.draw.model_plots import plot_history as plot_history
    from huse.embed.draw.plot import plot_map as plot_map
    from huse.embed.embed import embed_source as embed_source
    from huse.embed.export.card import export_card as export_card
    from huse.embed.export.onnx import export_onnx as export_onnx
    from huse.embed.export.projector import export_projector as export_projector
    from huse.embed.export.savedmodel import export_savedmodel as export_savedmodel
    from huse.embed.model import Model as Model
    from huse.embed.model import load as load
    from huse.embed.search.search import search_embeddings as search_embeddings
    from huse.embed.serve.app import make_app as make_app
    from huse.embed.serve.searcher import Searcher as Searcher
    from huse.extract.config import ExtractConfig as ExtractConfig
    from huse.extract.extract import extract_features as extract_features
    from huse.extract.manifest.rows import Columns as Columns
    from huse.features.errors import HuseError as HuseError
    from huse.features.exchange.interchange import export_store as export_store
    from huse.features.exchange.interchange import import_store as import_store
    from huse.features.exchange.merge_split import merge_stores as merge_stores
    from huse.features.exchange.merge_split import split_store as split_store
    from huse.features.leaks import find_leaks as find_leaks
    from huse.features.store import Store as Store
    from huse.train.compare.compare import compare as compare
    from huse.train.config import FitConfig as FitConfig
    from huse.train.config import preset as preset
    from huse.train.estimator import HUSE as HUSE
    from huse.train.evaluation.evaluate import evaluate_model as evaluate_model
    from huse.train.fit import fit_model as fit_model

_HOME = {
    "Columns": "huse.extract.manifest.rows",
    "ExtractConfig": "huse.extract.config",
    "FitConfig": "huse.train.config",
    "HUSE": "huse.train.estimator",
    "HuseError": "huse.features.errors",
    "Model": "huse.embed.model",
    "Searcher": "huse.embed.serve.searcher",
    "Store": "huse.features.store",
    "compare": "huse.train.compare.compare",
    "embed_source": "huse.embed.embed",
    "evaluate_model": "huse.train.evaluation.evaluate",
    "export_card": "huse.embed.export.card",
    "export_onnx": "huse.embed.export.onnx",
    "export_projector": "huse.embed.export.projector",
    "export_savedmodel": "huse.embed.export.savedmodel",
    "export_store": "huse.features.exchange.interchange",
    "extract_features": "huse.extract.extract",
    "find_leaks": "huse.features.leaks",
    "fit_model": "huse.train.fit",
    "import_store": "huse.features.exchange.interchange",
    "load": "huse.embed.model",
    "make_app": "huse.embed.serve.app",
    "merge_stores": "huse.features.exchange.merge_split",
    "plot_graph": "huse.embed.draw.model_plots",
    "plot_history": "huse.embed.draw.model_plots",
    "plot_map": "huse.embed.draw.plot",
    "preset": "huse.train.config",
    "search_embeddings": "huse.embed.search.search",
    "split_store": "huse.features.exchange.merge_split",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'huse' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
