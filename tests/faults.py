"""Faults on purpose: processes killed, bits flipped, disks filled, pictures and tables damaged; what was lost or wrong.

python -m tests.faults            # the whole campaign; writes its table into docs/reliability.md
python -m tests.faults --tries 2  # a few of each, printed alone
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from samples import random_rows, random_store, write_csv

from huse.embed.batch import embed_source
from huse.embed.index import open_index
from huse.extract.config import ExtractConfig
from huse.extract.images import PictureError, decode_picture
from huse.extract.job import Encoders
from huse.extract.manifest import read_manifest
from huse.extract.run import extract_features
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import HuseError
from huse.features.interchange import export_store, import_store
from huse.features.rearrange import merge_stores, split_store
from huse.features.store import Store
from huse.train import checkpoint
from huse.train.config import FitConfig
from huse.train.fit import fit_model
from huse.train.model_folder import load_model

PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
SECONDS = 120
"""How long a child may take before it counts as hanging."""

FIT = FitConfig(epochs=2, dimension=8, hidden_units=8, batch_size=32, refit=False)


@dataclass
class Count:
    """What came of a kind of fault.

    Attributes:
        fault: what was done, and to what.
        tries: how often.
        lost: tries after which the same command did not bring everything back.
        wrong: tries after which something else than what was written passed for whole.
        test: the function of this file that did it.
        told: what went wrong, the first few.
    """

    fault: str
    tries: int = 0
    lost: int = 0
    wrong: int = 0
    test: str = ""
    told: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scenario:
    """A command, run in a folder of its own.

    Attributes:
        name: of the command.
        prepare: makes what the command reads.
        run: the command, in the folder that is the working directory.
        content: a digest of what it made; raises what huse raises when that is not whole, or is not there.
    """

    name: str
    prepare: Callable[[], None]
    run: Callable[[], Any]
    content: Callable[[], str]


class Color:
    """A picture's vector is its mean color."""

    spec = EncoderSpec("color", "image", 3, "mean", "0")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2)).astype(np.float32) + 1


class Length:
    """A text's vector is its length and its first letter."""

    spec = EncoderSpec("length", "text", 2, "none", "0")

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(t), ord(t[0])] for t in texts], np.float32).reshape(-1, 2)


def in_child(work: Callable[[], Any], kill_after: float | None = None, most_bytes: int = 0) -> Any:
    """What some work returns, or the exception that it raises, in a process of its own.

    Args:
        work: its result can be pickled.
        kill_after: seconds after which the process is killed; then None, unless it was faster.
        most_bytes: largest file that it can write, as on a disk that fills up; 0 for any.

    Raises:
        TimeoutError: it hangs.
    """
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; the parent runs no TensorFlow
        child = os.fork()
    if child == 0:
        os.close(reading)
        result: Any = RuntimeError("the process died")
        try:
            if most_bytes:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            result = work()
        except BaseException as error:  # noqa: BLE001 - the parent is told whatever it is
            result = error if isinstance(error, OSError | HuseError) else RuntimeError(repr(error))
        finally:
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(pickle.dumps(result))
            os._exit(0)
    os.close(writing)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    else:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _, status = os.waitpid(child, 0)
    if data:
        return pickle.loads(data)
    return None if kill_after is not None else RuntimeError(f"the process ended with {status}")


def digest(*parts: Any) -> str:
    """A digest of arrays and strings."""
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return total.hexdigest()


def store_content(path: str) -> str:
    """A digest of all rows of a whole store."""
    rows = Store.open(path).load()
    columns = {n: c.tolist() if c.dtype == object else np.asarray(c) for n, c in sorted(rows.columns().items())}
    return digest(*(part for item in columns.items() for part in item), rows.failures)


def _prepare_manifest() -> None:
    rows = []
    for i in range(60):
        Image.new("RGB", (9, 7), (i, 2 * i, 100)).save(f"{i}.png")
        rows.append({"key": f"k{i}", "image": f"{i}.png", "text": f"text {i}", "label": f"c/{i % 3}"})
    write_csv(Path("m.csv"), rows)


def _extract() -> Any:
    config = ExtractConfig(shard_size=6, batch_size=4, workers=2)
    return extract_features("m.csv", "out", config, encoders=Encoders(Color(), Length())).rows


def _prepare_stores() -> None:
    for number, name in enumerate("ab"):
        store = random_store(Path(name), n=120, shard_size=10, seed=number)
        for index, rows in enumerate(list(store)):
            rows.key[:] = [f"{name}{key}" for key in rows.key]
            store.write(index, rows)


def _prepare_arrays() -> None:
    rows = random_rows(400)
    np.save("image.npy", rows.image)
    np.save("text.npy", rows.text)
    Path("label.txt").write_text("".join(f"{label}\n" for label in rows.label))


def _prepare_model() -> None:
    random_store(Path("a"), n=400, shard_size=40)
    fit_model("a", "model", FIT)


def _prepare_store() -> None:
    random_store(Path("a"), n=90)


def _fit() -> Any:
    checkpoint.SECONDS_BETWEEN = 0.0
    return fit_model("a", "model", FIT, overwrite=True, resume=True).classes


def _prepare_embeddings() -> None:
    store = random_store(Path("out"), n=3000, shard_size=500, kind="embeddings")
    for index, rows in enumerate(list(store)):
        rows.prediction, rows.probability = rows.label, np.ones(len(rows), np.float32)
        rows.image /= np.linalg.norm(rows.image, axis=1, keepdims=True)
        store.write(index, rows)


def _index() -> Any:
    return open_index(Store.open("out"), "image", "hnsw", say=lambda _: None).recall > 0.5


def _index_content() -> str:
    store = Store.open("out")
    found = open_index(store, "image", "hnsw", say=lambda _: None)
    rows = store.read(0)
    query = rows.image[:1] / np.linalg.norm(rows.image[:1])
    return digest(bool(found.recall > 0.5), [hit.key for hit in found.nearest(query, 1)[0]])


def _split_content() -> str:
    return digest(*(store_content(f"out/part-{i}") for i in range(3)))


def _exported() -> str:
    arrays = [np.load(f"out/{name}.npy") for name in ("image", "text")]
    return digest(*arrays, *(Path(f"out/{name}.txt").read_text() for name in ("key", "label", "split")))


def _embedded_file() -> str:
    return digest(np.load("v.npy"), Path("v.csv").read_text())


SCENARIOS = {
    "extract": Scenario("extract", _prepare_manifest, _extract, lambda: store_content("out")),
    "import": Scenario(
        "store import",
        _prepare_arrays,
        lambda: import_store("out", "image.npy", "text.npy", "label.txt", shard_size=20),
        lambda: store_content("out"),
    ),
    "merge": Scenario(
        "store merge", _prepare_stores, lambda: merge_stores(["a", "b"], "out"), lambda: store_content("out")
    ),
    "split": Scenario("store split", _prepare_stores, lambda: split_store("a", "out", parts=3), _split_content),
    "export": Scenario("store export", _prepare_stores, lambda: export_store("a", "out"), _exported),
    "index": Scenario("search --index hnsw", _prepare_embeddings, _index, _index_content),
    "fit": Scenario("fit", _prepare_store, _fit, lambda: load_model("model").fingerprint),
    "embed": Scenario(
        "embed", _prepare_model, lambda: embed_source("model", "a", "out").rows, lambda: store_content("out")
    ),
    "embed file": Scenario(
        "embed v.npy --fuse",
        _prepare_model,
        lambda: embed_source("model", "a", "v.npy", fuse=True).rows,
        _embedded_file,
    ),
}

KILLS = {
    "extract": 40, "import": 40, "merge": 30, "split": 30, "export": 30, "index": 12, "fit": 12, "embed": 12,
    "embed file": 12,
}  # fmt: skip


class Workshop:
    """Folders in which a scenario is run again and again, each time on fresh copies of what it reads."""

    def __init__(self, scenario: Scenario, where: Path) -> None:
        self.scenario = scenario
        self.where = where
        self.inputs = where / "inputs"
        self.inputs.mkdir()
        self.done(self.inputs, scenario.prepare)
        folder = self.fresh()
        began = time.perf_counter()
        self.done(folder, scenario.run)
        self.seconds = time.perf_counter() - began
        self.expected = self.done(folder, scenario.content)

    def fresh(self) -> Path:
        """A new folder with the inputs."""
        folder = self.where / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.inputs, folder)
        return folder

    def run(self, folder: Path, work: Callable[[], Any], **how: Any) -> Any:
        """Some work in a folder, in a child; returns what it returns or raises."""

        def there() -> Any:
            os.chdir(folder)
            return work()

        return in_child(there, **how)

    def done(self, folder: Path, work: Callable[[], Any]) -> Any:
        """As `run`, for work that must succeed."""
        result = self.run(folder, work)
        if isinstance(result, BaseException):
            raise RuntimeError(f"{self.scenario.name}: {result}") from result
        return result

    def judge(self, folder: Path, count: Count, what: str) -> None:
        """Looks at what a fault left, then runs the command again and looks once more."""
        count.tries += 1
        left = self.run(folder, self.scenario.content)
        if isinstance(left, str) and left != self.expected:
            count.wrong += 1
            count.told.append(f"{what}: something else passed for whole")
        again = None if left == self.expected else self.run(folder, self.scenario.run)
        after = self.run(folder, self.scenario.content)
        if isinstance(again, BaseException) or after != self.expected:
            count.lost += 1
            count.told.append(f"{what}: run again: {again!r}, then {after!r}")
        traces = [entry.name for entry in folder.rglob(".*") if entry.name.endswith((".tmp", ".old"))]
        if traces:
            count.lost += 1
            count.told.append(f"{what}: left {traces}")


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
        _prepare_model()
        embed_source("model", "a", "out")
        Store.open("a").write_encoder_state({"words": ["a", "b"], "idf": [1.0, 2.0]})
        open_index(Store.open("out"), "image", "hnsw", say=lambda _: None)

    made = in_child(make)
    if made is not None:
        raise RuntimeError(f"flips: {made}")

    def stored(path: str) -> Callable[[], str]:
        def read() -> str:
            store = Store.open(path)
            problems = store.verify()
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

        def campaign(folder: str = folder, read: Callable[[], str] = read, kind: str = kind) -> Count:
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

        result = in_child(campaign)
        if not isinstance(result, Count):
            raise RuntimeError(f"flips of {kind}: {result!r}")
        yield result


def pictures(tries: int, rng: np.random.Generator) -> Count:
    """Pictures with bytes changed: pixels or a reason, nothing else."""
    y, x = np.mgrid[0:48, 0:72]
    picture = Image.fromarray(np.stack([y * 4, x * 3, x + y], axis=2).astype(np.uint8))
    wholes = []
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "AVIF"):
        buffer = io.BytesIO()
        try:
            picture.save(buffer, kind)
        except (OSError, KeyError, ValueError):  # this Pillow does not write it
            continue
        wholes.append(buffer.getvalue())
    count = Count("pictures with bytes changed", test="pictures")
    for i in range(tries):
        broken = bytearray(wholes[i % len(wholes)])
        for place in rng.integers(0, len(broken), int(rng.integers(1, 9))):
            broken[place] = int(rng.integers(256))
        count.tries += 1
        try:
            decode_picture(bytes(broken), (16, 24), max_pixels=1_000_000)
        except PictureError:
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
    yield pictures(tries * 10 or 300, rng)
    where = folder()
    yield tables(tries * 3 or 60, rng, where)
    shutil.rmtree(where, ignore_errors=True)


def table(counts: Sequence[Count]) -> str:
    """The counts as a Markdown table."""
    lines = ["| fault | tries | lost | wrong | test |", "|---|---|---|---|---|"]
    lines += [f"| {c.fault} | {c.tries} | {c.lost} | {c.wrong} | `tests/faults.py: {c.test}` |" for c in counts]
    total = replace(counts[0], fault="all", test="campaign")
    total.tries, total.lost, total.wrong = (sum(getattr(c, n) for c in counts) for n in ("tries", "lost", "wrong"))
    return "\n".join([*lines, f"| **{total.fault}** | {total.tries} | {total.lost} | {total.wrong} | |"])


def main() -> None:
    """Runs the campaign, prints each kind as it ends, and writes the page when all tries were made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=0, help="of each fault; 0 for all, and the page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(KILLS), choices=list(KILLS))
    options = parser.parse_args()
    counts = []
    for count in campaign(options.tries, options.seed, options.only):
        counts.append(count)
        print(f"{count.fault}: {count.tries} tries, {count.lost} lost, {count.wrong} wrong", flush=True)
        for line in count.told[:5]:
            print(f"    {line}", flush=True)
    if not options.tries and len(options.only) == len(KILLS):
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{table(counts)}\n\n{END}{after}", encoding="utf-8")
    if any(count.lost or count.wrong for count in counts):
        sys.exit(1)


if __name__ == "__main__":
    main()
