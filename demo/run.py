"""`huse demo`: the functions behind the commands, one after the other, on the bundled emoji."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from huse.demo.emoji import unpack_emoji
from huse.embed.draw.map_png import draw_map
from huse.embed.embed import embed_source
from huse.embed.model import Model, load
from huse.extract.config import ExtractSummary
from huse.extract.extract import extract_features
from huse.features.errors import QueryError
from huse.features.files.outputs import require_output
from huse.features.store import Store
from huse.train.evaluate import evaluate_model
from huse.train.evaluation.table import metrics_table
from huse.train.fit import fit_model

TEXT_QUERIES = ("sea animal", "happy face", "fast food")
IMAGE_QUERY = "1f43c"
"""Key of the emoji whose image is searched for: a panda, of the test split."""

IMAGE_FILE = "demo.png"
HITS = 5


def run_demo(out: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Runs every stage in a folder and draws the space.

    Args:
        out: folder for the data set, the stores, the model and demo.png.
        say: receives the lines to show.

    Returns:
        ``accuracy`` and ``retrieval`` on the test split, ``seconds`` by stage, ``extract`` with ``rows``, ``failures``
        and ``rows_per_s``, the ``searches`` and the ``image``'s path.

    Raises:
        HuseError: files of others are in the way, or a stage fails.
    """
    require_output(out / IMAGE_FILE, QueryError)
    start = time.perf_counter()
    seconds: dict[str, float] = {}
    manifest = unpack_emoji(out)
    store, model, embeddings = out / "features", out / "model", out / "embeddings"

    def stage(name: str, command: list[Any], work: Callable[[], Any]) -> Any:
        say(f"\n$ huse {name} {shlex.join(str(part) for part in command)}")
        began = time.perf_counter()
        result = work()
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
        return result

    extracted = stage("extract", [manifest, store], lambda: extract_features(manifest, store))
    say(f"{extracted.encoded} rows encoded, {extracted.reused} kept: {extracted.rows_per_s:.1f} rows/s")
    fitted = stage("fit", [store, model, "--overwrite"], lambda: fit_model(store, model, overwrite=True))
    say(f"{fitted.classes} classes, best epoch {fitted.best_epoch} of {fitted.epochs}: {fitted.seconds:.1f} s")
    result = stage("evaluate", [model, store], lambda: evaluate_model(model, store))
    say(metrics_table(result))
    embedded = stage("embed", [model, store, embeddings], lambda: embed_source(model, store, embeddings))
    say(f"{embedded.rows} rows in {embeddings}, {embedded.embedded} of them embedded now")
    loaded = load(model)
    searches = {}
    queries = [(words, "text", words) for words in TEXT_QUERIES]
    for name, modality, query in [*queries, (IMAGE_QUERY, "image", out / "images" / f"{IMAGE_QUERY}.png")]:
        command = [model, embeddings, f"--{modality}", query, "-k", HITS]
        searches[name] = stage("search", command, partial(_hits, loaded, embeddings, **{modality: query}))
        say(_names(searches[name]))
    seconds["draw"] = _draw(embeddings, out)
    say(f"\n{out / IMAGE_FILE} shows the space; all stages took {time.perf_counter() - start:.0f} s")
    return {
        "accuracy": result["accuracy"],
        "retrieval": result["retrieval"],
        "seconds": seconds,
        "extract": _extract_figures(extracted),
        "searches": searches,
        "image": str(out / IMAGE_FILE),
    }


def _extract_figures(summary: ExtractSummary) -> dict[str, Any]:
    return {"rows": summary.rows, "failures": len(summary.failures), "rows_per_s": summary.rows_per_s}


def _hits(model: Model, embeddings: Path, **query: Any) -> list[dict[str, Any]]:
    return [asdict(hit) for hit in model.search(embeddings, k=HITS, **query)]


def _names(hits: list[dict[str, Any]]) -> str:
    return "\n".join(f"{hit['score']:6.3f}  {hit['caption'].split(':')[0]:<28}  {hit['label']}" for hit in hits)


def _draw(embeddings: Path, out: Path) -> float:
    began = time.perf_counter()
    draw_map(Store.open(embeddings).load(("test",)), out, out / IMAGE_FILE, projection="tsne")
    return time.perf_counter() - began
