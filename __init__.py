"""huse puts pictures, texts and classes into one semantic space (HUSE, arXiv 1911.05978).

Names are imported at first use: `import huse` loads no TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from huse.embed.batch import embed_source as embed_source
    from huse.embed.model import Model as Model
    from huse.embed.model import load as load
    from huse.embed.search import search_embeddings as search_embeddings
    from huse.extract.job import ExtractConfig as ExtractConfig
    from huse.extract.run import extract_features as extract_features
    from huse.features.errors import HuseError as HuseError
    from huse.features.store import Store as Store
    from huse.train.config import FitConfig as FitConfig
    from huse.train.estimator import HUSE as HUSE
    from huse.train.evaluate import evaluate_model as evaluate_model
    from huse.train.fit import fit_model as fit_model

_HOME = {
    "HUSE": "huse.train.estimator",
    "ExtractConfig": "huse.extract.job",
    "FitConfig": "huse.train.config",
    "HuseError": "huse.features.errors",
    "Model": "huse.embed.model",
    "Store": "huse.features.store",
    "embed_source": "huse.embed.batch",
    "evaluate_model": "huse.train.evaluate",
    "extract_features": "huse.extract.run",
    "fit_model": "huse.train.fit",
    "load": "huse.embed.model",
    "search_embeddings": "huse.embed.search",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'huse' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
