"""Kinds of faults, each tried so many times: kills, full disks, flipped bits, damaged images and tables."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from samples import write_csv

from faults.count import Count
from faults.scenarios import KILLS, SCENARIOS, digest, prepare_model, store_content
from faults.workshop import Workshop, in_child
from huse.embed.embed import embed_source
from huse.embed.search.index import open_index
from huse.extract.images.decoding import ImageError, decode_image
from huse.extract.manifest.rows import read_manifest
from huse.features.companions import write_encoder_state
from huse.features.errors import HuseError
from huse.features.inspection import verify_store
from huse.features.store import Store
from huse.train.artifact.model_folder import load_model


def kills(name: str, tries: int, rng: np.random.Generator, where: Path) -> Count:
    """The command is killed at random instants; what is left must be refused or whole, and a rerun bring back all."""
    shop, count = Workshop(SCENARIOS[name], where), Count(f"SIGKILL in `huse {SCENARIOS[name].name}`", test="kills")
    for _ in range(tries):
        folder = shop.fresh()
        after = float(rng.uniform(0.0, shop.seconds))
        shop.run(folder, shop.scenario.run, kill_after=after)
        shop.judge(folder, count, f"killed after {after:.3f} s")
    return count


def full_disks(name: str, sizes: Sequence[int], where: Path) -> Count:
    """No file can grow beyond some bytes: one line that names a file, and nothing half-written; then the rerun."""
    scenario = SCENARIOS[name]
    shop, count = Workshop(scenario, where), Count(f"full disk in `huse {scenario.name}`", test="full_disks")
    for size in sizes:
        folder = shop.fresh()
        told = shop.run(folder, scenario.run, most_bytes=size)
        if isinstance(told, BaseException) and not (isinstance(told, OSError | HuseError) and "\n" not in str(told)):
            count.wrong += 1
            count.told.append(f"{size} bytes: {told!r}")
        shop.judge(folder, count, f"{size} bytes")
    return count


def flips(tries: int, rng: np.random.Generator, where: Path) -> Iterator[Count]:
    """Single bits flipped in every file that huse writes: refused, healed, or of no effect."""

    def make() -> None:
        os.chdir(where)
        prepare_model()
        embed_source("model", "a", "out")
        write_encoder_state(Store.open("a").path, {"words": ["a", "b"], "idf": [1.0, 2.0]})
        open_index(Store.open("out"), "image", "hnsw", say=lambda _: None)

    made = in_child(make)
    if made is not None:
        raise RuntimeError(f"flips: {made}")

    def stored(path: str) -> Callable[[], str]:
        def read() -> str:
            store = Store.open(path)
            problems = verify_store(store)
            if problems:
                raise HuseError(next(iter(problems.values())))
            classes = store.read_classes()
            return digest(store_content(path), store.info, classes and (classes.labels, classes.vectors.tolist()))

        return read

    def modeled() -> str:
        model = load_model("model")
        return digest(model.fingerprint, model.classes, model.graph, model.config, model.metrics, model.fusion_weight)

    def indexed() -> str:
        store = Store.open("out")
        kept = {entry: entry.read_bytes() for entry in Path("out/index").iterdir()}
        found = open_index(store, "image", "hnsw", say=lambda _: None)
        for entry, content in kept.items():  # the next flip starts from what was there
            entry.write_bytes(content)
        return digest(bool(found.recall > 0.5))

    readers: dict[str, tuple[str, Callable[[], str]]] = {
        "a store's files": ("a", stored("a")),
        "embeddings' shards": ("out", stored("out")),
        "a model's files": ("model", modeled),
        "an index's files": ("out/index", indexed),
    }
    for kind, (folder, read) in readers.items():

        def flip_each(folder: str = folder, read: Callable[[], str] = read, kind: str = kind) -> Count:
            os.chdir(where)
            count, expected = Count(f"one bit flipped in {kind}", test="flips"), read()
            for file in sorted(Path(folder).iterdir()):
                if not file.is_file() or file.name == "README.md" or file.name.startswith("."):
                    continue
                whole = file.read_bytes()
                for place in rng.integers(0, len(whole), tries):
                    broken = bytearray(whole)
                    broken[place] ^= 1 << int(rng.integers(8))
                    file.write_bytes(broken)
                    count.tries += 1
                    try:
                        if read() != expected:
                            count.wrong += 1
                            count.told.append(f"{file}: bit at {place}")
                    except HuseError as error:
                        if "\n" in str(error):
                            count.wrong += 1
                            count.told.append(f"{file}: {error}")
                    file.write_bytes(whole)
            return count

        result = in_child(flip_each)
        if not isinstance(result, Count):
            raise RuntimeError(f"flips of {kind}: {result!r}")
        yield result


def images(tries: int, rng: np.random.Generator) -> Count:
    """Images with bytes changed: pixels or a reason, nothing else."""
    y, x = np.mgrid[0:48, 0:72]
    image = Image.fromarray(np.stack([y * 4, x * 3, x + y], axis=2).astype(np.uint8))
    wholes = []
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "AVIF"):
        buffer = io.BytesIO()
        try:
            image.save(buffer, kind)
        except (OSError, KeyError, ValueError):  # this Pillow does not write it
            continue
        wholes.append(buffer.getvalue())
    count = Count("images with bytes changed", test="images")
    for i in range(tries):
        broken = bytearray(wholes[i % len(wholes)])
        for place in rng.integers(0, len(broken), int(rng.integers(1, 9))):
            broken[place] = int(rng.integers(256))
        count.tries += 1
        try:
            decode_image(bytes(broken), (16, 24), max_pixels=1_000_000)
        except ImageError:
            continue
        except BaseException as error:  # noqa: BLE001 - the very thing that is looked for
            count.wrong += 1
            count.told.append(repr(error))
    return count


def tables(tries: int, rng: np.random.Generator, where: Path) -> Count:
    """Manifests of three formats with bytes changed: rows or one line, nothing else."""
    import pyarrow
    import pyarrow.parquet

    rows = [{"key": f"k{i}", "text": f"text ü {i}", "label": "a/b", "split": "train"} for i in range(30)]
    write_csv(where / "t.csv", rows)
    (where / "t.jsonl").write_text("".join(f"{row}\n".replace("'", '"') for row in rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), where / "t.parquet")
    count = Count("tables with bytes changed", test="tables")
    for i in range(tries):
        file = where / ("t.csv", "t.jsonl", "t.parquet")[i % 3]
        broken = bytearray(file.read_bytes())
        for place in rng.integers(0, len(broken), int(rng.integers(1, 6))):
            broken[place] = int(rng.integers(256))
        other = where / f"broken{file.suffix}"
        other.write_bytes(broken)
        count.tries += 1
        try:
            read_manifest(other).rows()
        except HuseError as error:
            if "\n" in str(error):
                count.wrong += 1
                count.told.append(str(error))
        except BaseException as error:  # noqa: BLE001 - the very thing that is looked for
            count.wrong += 1
            count.told.append(f"{file.suffix}: {error!r}")
    return count


def campaign(tries: int = 0, seed: int = 0, names: Sequence[str] = tuple(KILLS)) -> Iterator[Count]:
    """All kinds of faults.

    Args:
        tries: how often each; 0 for as often as the page tells.
        seed: of the instants, places and bits.
        names: the commands to kill.
    """
    rng = np.random.default_rng(seed)

    def folder() -> Path:
        return Path(tempfile.mkdtemp(prefix="huse-faults-"))

    for name in names:
        where = folder()
        yield kills(name, tries or KILLS[name], rng, where)
        shutil.rmtree(where, ignore_errors=True)
    for name in names:
        where = folder()
        yield full_disks(name, [1_000, 8_000, 40_000, 100_000][: tries or None], where)
        shutil.rmtree(where, ignore_errors=True)
    if "fit" in names:
        where = folder()
        yield from flips(tries or 40, rng, where)
        shutil.rmtree(where, ignore_errors=True)
    yield images(tries * 10 or 300, rng)
    where = folder()
    yield tables(tries * 3 or 60, rng, where)
    shutil.rmtree(where, ignore_errors=True)


def table(counts: Sequence[Count]) -> str:
    """The counts as a Markdown table."""
    lines = ["| fault | tries | lost | wrong | test |", "|---|---|---|---|---|"]
    lines += [f"| {c.fault} | {c.tries} | {c.lost} | {c.wrong} | `{c.test}` |" for c in counts]
    total = replace(counts[0], fault="all", test="campaign")
    total.tries, total.lost, total.wrong = (sum(getattr(c, n) for c in counts) for n in ("tries", "lost", "wrong"))
    return "\n".join([*lines, f"| **{total.fault}** | {total.tries} | {total.lost} | {total.wrong} | |"])
