"""huse puts pictures, texts and classes into one semantic space (HUSE, arXiv 1911.05978).

Names are imported at first use: `import huse` loads no TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from huse.embed.batch import embed_source as embed_source
    from huse.embed.card import export_card as export_card
    from huse.embed.model import Model as Model
    from huse.embed.model import load as load
    from huse.embed.model_plots import plot_graph as plot_graph
    from huse.embed.model_plots import plot_history as plot_history
    from huse.embed.onnx import export_onnx as export_onnx
    from huse.embed.plot import plot_map as plot_map
    from huse.embed.projector import export_projector as export_projector
    from huse.embed.saved_model import export_savedmodel as export_savedmodel
    from huse.embed.search import search_embeddings as search_embeddings
    from huse.extract.config import ExtractConfig as ExtractConfig
    from huse.extract.manifest import Columns as Columns
    from huse.extract.run import extract_features as extract_features
    from huse.features.errors import HuseError as HuseError
    from huse.features.interchange import export_store as export_store
    from huse.features.interchange import import_store as import_store
    from huse.features.leaks import find_leaks as find_leaks
    from huse.features.rearrange import merge_stores as merge_stores
    from huse.features.rearrange import split_store as split_store
    from huse.features.store import Store as Store
    from huse.serve.app import make_app as make_app
    from huse.serve.searcher import Searcher as Searcher
    from huse.train.compare import compare as compare
    from huse.train.config import FitConfig as FitConfig
    from huse.train.config import preset as preset
    from huse.train.estimator import HUSE as HUSE
    from huse.train.evaluate import evaluate_model as evaluate_model
    from huse.train.fit import fit_model as fit_model

_HOME = {
    "Columns": "huse.extract.manifest",
    "ExtractConfig": "huse.extract.config",
    "FitConfig": "huse.train.config",
    "HUSE": "huse.train.estimator",
    "HuseError": "huse.features.errors",
    "Model": "huse.embed.model",
    "Searcher": "huse.serve.searcher",
    "Store": "huse.features.store",
    "compare": "huse.train.compare",
    "embed_source": "huse.embed.batch",
    "evaluate_model": "huse.train.evaluate",
    "export_card": "huse.embed.card",
    "export_onnx": "huse.embed.onnx",
    "export_projector": "huse.embed.projector",
    "export_savedmodel": "huse.embed.saved_model",
    "export_store": "huse.features.interchange",
    "extract_features": "huse.extract.run",
    "find_leaks": "huse.features.leaks",
    "fit_model": "huse.train.fit",
    "import_store": "huse.features.interchange",
    "load": "huse.embed.model",
    "make_app": "huse.serve.app",
    "merge_stores": "huse.features.rearrange",
    "plot_graph": "huse.embed.model_plots",
    "plot_history": "huse.embed.model_plots",
    "plot_map": "huse.embed.plot",
    "preset": "huse.train.config",
    "search_embeddings": "huse.embed.search",
    "split_store": "huse.features.rearrange",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'huse' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
