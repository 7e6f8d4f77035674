"""What commands print: every result as text, or as one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from huse.features.counted import counted

if TYPE_CHECKING:
    from huse.embed.embed import EmbedSummary
    from huse.extract.config import ExtractSummary
    from huse.features.failure import Failure
    from huse.features.inspection import Verification
    from huse.features.leaks import Leak
    from huse.features.near_duplicates import NearDuplicates
    from huse.train.summary import FitSummary

FASTER = {
    "read": "more --workers, a nearer disk or smaller image files would make it faster",
    "encode": "a GPU, more of them, --precision bfloat16 or a smaller encoder would make it faster",
    "encode_texts": "more cores, --part I/N on several machines or a lighter text encoder would make it faster",
    "write": "a faster disk for the store would make it faster",
}
"""What to change about each bottleneck of stage 1."""

MANY_FAILURES = 10
"""Failures that a summary names; the others are counted."""


def show(text: str, values: Mapping[str, Any] | None = None, as_json: bool = False) -> None:
    """Prints a result: the text, or the values as one JSON object."""
    click.echo(_json(values) if as_json else text)


def _json(values: Mapping[str, Any] | None) -> str:
    """Readable where the standard output has the letters, else escaped."""
    text = json.dumps(values, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(values)
    return text


def columns(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of strings, aligned under their names."""
    table = [list(rows[0]), *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in table)


def extract_values(summary: ExtractSummary) -> dict[str, Any]:
    """What `huse extract --json` prints."""
    figures = {name: value for name, value in asdict(summary).items() if name not in ("failed", "failures")}
    return {**figures, "failures": summary.failed, "rows_per_s": summary.rows_per_s, "bottleneck": summary.bottleneck}


def extract_text(summary: ExtractSummary, store: Path) -> str:
    """The first failures, the counts, and where the time went."""
    lines = [f"failed: {failure.key}: {failure.reason}" for failure in summary.failures[:MANY_FAILURES]]
    more = summary.failed + summary.not_reread - len(lines)
    if more > 0:
        lines.append(f"failed: {more} more, listed by huse store failures {store}")
    unread = f"{counted(summary.trusted, 'image')} not read, as they look as before; --content reads all"
    lines += [
        f"{counted(summary.rows, 'row')} in {store}: {summary.encoded} encoded, {summary.reused} kept, "
        f"{summary.not_reread} not re-read, {counted(summary.failed, 'failure')}, {summary.seconds:.1f} s, "
        f"{summary.rows_per_s:.1f} rows/s",
        *([unread] * bool(summary.trusted)),
        f"time spent: {summary.seconds_encode:.1f} s encoding images, {summary.seconds_encode_texts:.1f} s encoding "
        f"texts beside them, {summary.seconds_read:.1f} s waiting for images, "
        f"{summary.seconds_write:.1f} s waiting for the disk",
    ]
    if summary.bottleneck:
        lines.append(f"bottleneck: {summary.bottleneck}; {FASTER[summary.bottleneck]}")
    return "\n".join(lines)


def fit_text(summary: FitSummary, model: Path) -> str:
    """The rows, the epochs, and the figures on the validation rows."""
    from huse.train.evaluation.table import metrics_table

    without = f" ({summary.unlabeled_rows} of them without a label)" if summary.unlabeled_rows else ""
    again = ", then fitted on all training rows" if summary.refit else ""
    lines = [
        f"{summary.train_rows} training{without} and {counted(summary.val_rows, 'validation row')} of "
        f"{counted(summary.classes, 'class', 'classes')}; "
        f"semantic graph: {summary.semantic_graph}; "
        f"best epoch {summary.best_epoch} of {summary.epochs}{again}; {summary.seconds:.1f} s",
        f"time spent: {summary.seconds_prepare:.1f} s preparing, {summary.seconds_train:.1f} s training, "
        f"{summary.seconds_read:.1f} s waiting for features, {summary.seconds_validate:.1f} s validating",
    ]
    if summary.metrics:
        lines.append(metrics_table({"rows": summary.val_rows, "split": "val", **summary.metrics}))
    return "\n".join([*lines, f"saved {model}"])


def embed_values(summary: EmbedSummary) -> dict[str, Any]:
    """What `huse embed --json` prints."""
    values: dict[str, Any] = {"rows": summary.rows, "embedded": summary.embedded, "seconds": summary.seconds}
    values |= {"extract": extract_values(summary.extract)} if summary.extract else {}
    return values | ({"changes": asdict(summary.changes)} if summary.changes else {})


def embed_text(summary: EmbedSummary, out: Path, changes: Path | None) -> str:
    """What stage 1 did, if it ran, the rows embedded, and what changed."""
    first = [extract_text(summary.extract, summary.store / "features")] if summary.extract else []
    embedded = (
        f"{counted(summary.rows, 'row')} in {out}, {summary.embedded} of them embedded now, "
        f"{summary.seconds:.1f} s, {summary.rows_per_s:,.0f} rows/s"
    )
    told = summary.changes
    last = (
        [f"{counted(told.upserts, 'row')} to write, {counted(told.deletes, 'key')} to delete in {changes}"]
        if told
        else []
    )
    return "\n".join([*first, embedded, *last])


def results_text(results: Sequence[Mapping[str, Any]]) -> str:
    """Hits, nearest first, each query's under its name when there are several."""
    tables = [_hits(result["hits"]) for result in results]
    if len(tables) == 1:
        return tables[0]
    return "\n\n".join(f"{result['query']}\n{table}" for result, table in zip(results, tables, strict=True))


def _hits(hits: Sequence[Mapping[str, Any]]) -> str:
    width = max((len(hit["key"]) for hit in hits), default=0)
    return "\n".join(f"{h['score']:6.3f}  {h['key']:<{width}}  {h['label']}  {h['caption'][:60]}" for h in hits)


def inspection_text(values: Mapping[str, Any]) -> str:
    """What a store holds, a line each."""
    from huse.features.modality import MODALITIES

    shown = dict(values)
    for modality in MODALITIES:
        spec = values[modality]
        shown[modality] = f"{spec['name']}, {spec['dimension']}-d, {spec['fingerprint']}" if spec else "none"
    if missing := shown.pop("missing_shards"):
        shown["shards"] = f"{values['shards']} of {values['shards'] + missing}; the others are not there yet"
    shown["bytes"] = f"{values['bytes']:,}"
    shown["splits"] = ", ".join(f"{name} {count}" for name, count in values["splits"].items())
    shown["compression"] = values["compression"] or "none"
    return "\n".join(f"{name.replace('_', ' '):<12} {value}" for name, value in shown.items())


def verification_text(shards: int, whole: int, found: Verification) -> str:
    """The problems, what could not be read, and how many shards are neither."""
    unread = [f"could not be read this time: {what}" for what in found.unread.values()]
    return "\n".join([*found.problems.values(), *unread, f"{whole} of {counted(shards, 'shard')} {_are(whole)} whole"])


def failures_text(failures: Sequence[Failure]) -> str:
    """Key, stage and reason of each failure."""
    return "\n".join(f"{f.key}\t{f.stage}\t{f.reason}" for f in failures) or "no failures"


def stores_text(written: Mapping[str, int], out: Path) -> str:
    """The rows of each store in a folder."""
    return "\n".join(f"{counted(rows, 'row')} in {out / name}" for name, rows in written.items())


def leaks_text(leaks: Sequence[Leak], images: int, texts: int) -> str:
    """The rows of each image or text that leaks, and how many there are."""
    lines = [f"{leak.modality}\t" + "\t".join(f"{key} ({where})" for key, where in leak.rows) for leak in leaks]
    return "\n".join([*lines, f"{counted(images, 'image')} and {counted(texts, 'text')} stand in more than one split"])


def near_text(found: NearDuplicates, near: float) -> str:
    """The nearest pairs, and of each modality how many there are, of how many rows of each split."""
    lines = [
        f"{pair.modality}\t{pair.cosine:.3f}\t"
        + "\t".join(f"{key} ({where})" for key, where, _ in pair.rows)
        + (f"\t{' / '.join(label for *_, label in pair.rows)}" if pair.labels_differ else "")
        for pair in found.pairs
    ]
    for modality, count in found.count.items():
        shown = sum(pair.modality == modality for pair in found.pairs)
        rows = ", ".join(f"{n} of {split}" for split, n in found.rows[modality].items() if n)
        where = f", of these rows: {rows}" if rows else ""
        more = f"; the nearest {shown} are listed, --most lists more" if shown < count else ""
        lines.append(
            f"{counted(count, f'pair of {modality}s', f'pairs of {modality}s')} across splits with cosine {near:g} "
            f"or more{where}{more}"
        )
    return "\n".join(lines)


def doctor_text(values: Mapping[str, Any]) -> str:
    """The environment, what was examined, and the findings."""
    return "\n".join([*_environment(values["environment"]), *_examined(values)])


def _environment(there: Mapping[str, Any]) -> Iterator[str]:
    packages = ", ".join(f"{name} {version or 'missing'}" for name, version in there["packages"].items())
    yield f"huse {there['huse']}, Python {there['python']}, {there['system']}"
    yield f"packages     {packages}"
    cores = counted(there["cores"], "core")
    yield f"devices      {', '.join(there['devices'])}; {cores}, {there['memory_gib']} GiB of memory"
    native = "native" if there["native_bfloat16"] else "not native"
    amx = "with AMX" if there["amx"] else "no AMX"
    yield f"arithmetic   bfloat16 {native}, {amx}; --precision auto is {there['precision_auto']}"
    yield f"convolution  {there['convolution']}"
    yield f"disk         {there['free_disk_gib']} GiB free here"
    for extra, missing in sorted(there["extras"].items()):
        lacks = f"lacks {', '.join(missing)}: pip install 'huse[{extra}]'" if missing else "there"
        yield f"extra        {extra}: {lacks}"
    for name, digest in there["weights"].items():
        yield f"weights      {name}: {digest[:12]}"


def _examined(values: Mapping[str, Any]) -> Iterator[str]:
    if "path" in values:
        yield f"{values['path']}: {values['kind']}, {values['contents']}"
    for finding in values["findings"]:
        yield f"wrong        {finding['where']}: {finding['what']}"
        if finding["command"]:
            yield f"             type: {finding['command']}"
    wrong = len(values["findings"])
    yield f"{counted(wrong, 'thing')} {_are(wrong)} wrong" if wrong else "nothing is wrong"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
