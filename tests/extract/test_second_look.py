"""Images that look as they did are not read, and nothing that has changed is missed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import fsspec
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from numpy.typing import NDArray
from PIL import Image
from samples import read_csv, write_csv

from huse.extract import looking, second_look
from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.extract import extract_features
from huse.extract.images import reading
from huse.extract.looking import look_at_files
from huse.extract.manifest import rows as manifest_rows
from huse.extract.readers import Readers
from huse.features.encoder_spec import EncoderSpec
from huse.features.errors import FingerprintError, StoreError
from huse.features.inspection import list_failures, verify_store
from huse.features.looks import UNKNOWN, looks_path, read_looks
from huse.features.removal import remove_store
from huse.features.store import Store

CONFIG = ExtractConfig(shard_size=4, batch_size=3, workers=2, dtype="float32", class_encoder="none")
LONG_AGO = time.time_ns() - 10**12


class Mean:
    """An image's vector is its mean color."""

    spec = EncoderSpec("mean", "image", 3, "mean", "0")
    input_size = (8, 8)

    def encode(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return pixels.mean(axis=(1, 2)).astype(np.float32)


@dataclass
class Catalog:
    """Images in a folder with a manifest beside them, and what of it was read."""

    folder: Path
    read: list[str] = field(default_factory=list)
    parsed: int = 0

    def paint(self, i: int, gray: int, modified: int = LONG_AGO) -> Path:
        """Writes an image of one gray: all files have one size."""
        path = self.folder / f"{i}.bmp"
        Image.new("RGB", (8, 8), (gray, gray, gray)).save(path)
        os.utime(path, ns=(modified, modified))
        return path

    def write(self, names: Sequence[int]) -> Path:
        return write_csv(self.folder / "m.csv", [{"image": f"{i}.bmp", "label": f"c{i % 2}"} for i in names])

    @property
    def manifest(self) -> Path:
        return self.folder / "m.csv"

    @property
    def store(self) -> Path:
        return self.folder.parent / "store"

    def extract(self, config: ExtractConfig = CONFIG, **options: Any) -> ExtractSummary:
        self.read.clear()
        self.parsed = 0
        return extract_features(self.manifest, self.store, config, image_encoder=Mean(), **options)

    def grays(self) -> dict[str, float]:
        rows = Store.open(self.store).load()
        return {key: float(rows.image.vectors[i, 0]) for i, key in enumerate(rows.key)}


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """Ten images of gray 10, 11, ..., extracted."""
    (tmp_path / "catalog").mkdir()
    made = Catalog(tmp_path / "catalog")
    read, parse = reading._read, manifest_rows.open_table

    def reads(path: Path) -> bytes:
        made.read.append(path.name)
        return read(path)

    def parses(*arguments: Any) -> Any:
        made.parsed += 1
        return parse(*arguments)

    monkeypatch.setattr(reading, "_read", reads)
    monkeypatch.setattr(manifest_rows, "open_table", parses)
    for i in range(10):
        made.paint(i, 10 + i)
    made.write(range(10))
    made.extract()
    return made


def files(store: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in store.iterdir()}


def test_what_looks_the_same_is_neither_read_nor_written(catalog: Catalog) -> None:
    before = files(catalog.store)
    summary = catalog.extract()
    assert (catalog.read, catalog.parsed) == ([], 0)
    assert (summary.rows, summary.reused, summary.trusted, summary.encoded) == (10, 10, 10, 0)
    assert files(catalog.store) == before


def test_content_reads_all(catalog: Catalog) -> None:
    summary = catalog.extract(replace(CONFIG, content=True))
    assert len(catalog.read) == 10
    assert (summary.reused, summary.trusted, summary.shards_written) == (10, 0, 0)


def test_the_files_with_looks_change_no_shard(catalog: Catalog, tmp_path: Path) -> None:
    shards = {path.name: path.read_bytes() for path in catalog.store.glob("shard-*")}
    for path in catalog.folder.glob("*.bmp"):
        path.touch()
    extract_features(catalog.manifest, tmp_path / "other", CONFIG, image_encoder=Mean())
    assert {path.name: path.read_bytes() for path in (tmp_path / "other").glob("shard-*")} == shards
    assert Store.open(tmp_path / "other").content_digest() == Store.open(catalog.store).content_digest()


def newer(catalog: Catalog) -> None:
    catalog.paint(3, 99, LONG_AGO + 1)


def larger_of_the_same_time(catalog: Catalog) -> None:
    Image.new("RGB", (9, 9), (99, 99, 99)).save(catalog.folder / "3.bmp")
    os.utime(catalog.folder / "3.bmp", ns=(LONG_AGO, LONG_AGO))


def older(catalog: Catalog) -> None:
    catalog.paint(3, 99, LONG_AGO - 10**9)


def moved_over(catalog: Catalog) -> None:
    catalog.paint(33, 99, LONG_AGO + 1).replace(catalog.folder / "3.bmp")


@pytest.mark.parametrize("change", [newer, older, larger_of_the_same_time, moved_over])
@pytest.mark.parametrize("longer", [False, True])
def test_a_change_is_read_and_no_other_image(
    catalog: Catalog, change: Callable[[Catalog], object], longer: bool
) -> None:
    change(catalog)
    if longer:
        catalog.write([*range(10), 0][:10][::-1])
    summary = catalog.extract()
    assert catalog.read == ["3.bmp"]
    assert (summary.encoded, summary.reused, summary.trusted) == (1, 9, 9)
    assert catalog.grays() == {**{f"{i}.bmp": 10 + i for i in range(10)}, "3.bmp": 99}
    assert not catalog.extract().encoded
    assert not catalog.read


def test_what_has_the_size_and_the_time_of_before_is_trusted_until_content_is_asked_for(catalog: Catalog) -> None:
    catalog.paint(3, 99, LONG_AGO)
    assert catalog.extract().trusted == 10
    assert catalog.grays()["3.bmp"] == 13
    assert catalog.extract(replace(CONFIG, content=True)).encoded == 1
    assert catalog.grays()["3.bmp"] == 99


def test_two_files_that_swap_their_contents_are_read(catalog: Catalog) -> None:
    catalog.paint(1, 12, LONG_AGO + 5)
    catalog.paint(2, 11, LONG_AGO + 5)
    assert catalog.extract().encoded == 2
    assert catalog.grays() == {**{f"{i}.bmp": 10 + i for i in range(10)}, "1.bmp": 12, "2.bmp": 11}


def test_a_file_that_was_just_written_is_not_trusted(catalog: Catalog) -> None:
    now = time.time_ns()
    catalog.paint(3, 50, now)
    catalog.extract()
    catalog.paint(3, 99, now)  # within the resolution of the disk's clock
    assert catalog.extract().encoded == 1
    assert catalog.grays()["3.bmp"] == 99


def test_a_file_of_the_future_is_not_trusted(catalog: Catalog) -> None:
    catalog.paint(3, 50, time.time_ns() + 10**15)
    catalog.extract()
    assert not catalog.extract().encoded
    assert catalog.read == ["3.bmp"]


def test_times_that_no_int64_holds_are_no_error(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        st_size, st_mtime_ns = 5, -(1 << 70) - 3

    monkeypatch.setattr(looking, "os", SimpleNamespace(stat=lambda _: Odd, path=os.path, fsencode=os.fsencode))
    assert catalog.extract().reused == 10
    assert len(catalog.read) == 10


def test_rows_that_come_go_and_move_keep_their_looks(catalog: Catalog) -> None:
    for i in (10, 11):
        catalog.paint(i, 10 + i)
    catalog.write([11, 9, 8, 7, 6, 5, 3, 2, 1, 10])
    summary = catalog.extract()
    assert sorted(catalog.read) == ["10.bmp", "11.bmp"]
    assert (summary.encoded, summary.reused, summary.trusted) == (2, 8, 8)
    assert catalog.grays() == {f"{i}.bmp": 10 + i for i in (11, 9, 8, 7, 6, 5, 3, 2, 1, 10)}
    assert catalog.extract().trusted == 10
    assert not catalog.read


def test_another_location_is_read(catalog: Catalog) -> None:
    rows = [{"key": f"{i}.bmp", "image": f"{i}.bmp"} for i in range(10)]
    rows[3]["image"] = "4.bmp"
    write_csv(catalog.manifest, rows)
    assert catalog.extract().encoded == 1
    assert catalog.read == ["4.bmp"]
    assert catalog.grays()["3.bmp"] == 14


def test_a_catalog_that_moves_is_read_once(catalog: Catalog, tmp_path: Path) -> None:
    catalog.folder.rename(tmp_path / "elsewhere")
    catalog.folder = tmp_path / "elsewhere"
    summary = catalog.extract()
    assert (summary.encoded, summary.reused, len(catalog.read)) == (0, 10, 10)
    assert catalog.extract().trusted == 10
    assert (catalog.read, catalog.parsed) == ([], 0)


def test_an_image_that_is_gone_keeps_its_vector_and_its_look(catalog: Catalog) -> None:
    path = catalog.folder / "3.bmp"
    path.rename(catalog.folder / "away")
    assert catalog.extract().not_reread == 1
    assert [failure.key for failure in list_failures(Store.open(catalog.store))] == ["3.bmp"]
    assert catalog.extract().not_reread == 1
    (catalog.folder / "away").rename(path)
    summary = catalog.extract()
    assert (catalog.read, summary.trusted, summary.not_reread) == ([], 10, 0)
    assert not list_failures(Store.open(catalog.store))


def test_an_image_that_became_no_image_is_tried_again_each_time(catalog: Catalog) -> None:
    path = catalog.folder / "3.bmp"
    path.write_bytes(b"no image")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    for _ in range(2):
        assert catalog.extract().not_reread == 1
        assert catalog.read == ["3.bmp"]


def test_failed_rows_are_read_again(catalog: Catalog) -> None:
    catalog.write(range(11))
    assert catalog.extract().failed == 1
    assert catalog.extract().failed == 1
    catalog.paint(10, 20)
    summary = catalog.extract()
    assert (catalog.read, summary.encoded, summary.failed) == (["10.bmp"], 1, 0)


def test_what_retrying_leaves_unread_is_not_taken_for_seen(catalog: Catalog) -> None:
    catalog.paint(3, 99, LONG_AGO + 1)
    catalog.write(range(11))  # a row that fails, so that there is something to retry
    catalog.extract(replace(CONFIG, retry_failed=True))
    assert catalog.grays()["3.bmp"] == 13
    catalog.extract()
    assert catalog.grays()["3.bmp"] == 99


def test_what_retrying_leaves_unread_in_the_table_is_not_taken_for_seen(tmp_path: Path, catalog: Catalog) -> None:
    def extract(grays: Sequence[int], retry: bool = False) -> ExtractSummary:
        images = [catalog.paint(99, gray).read_bytes() for gray in grays]
        pyarrow.parquet.write_table(pyarrow.table({"key": ["a", "b"], "image": images}), tmp_path / "m.parquet")
        config = replace(CONFIG, retry_failed=retry)
        return extract_features(tmp_path / "m.parquet", tmp_path / "held", config, image_encoder=Mean())

    extract([1, 2])
    assert extract([1, 3], retry=True).encoded == 0
    assert extract([1, 3]).encoded == 1
    assert Store.open(tmp_path / "held").load().image.vectors[:, 0].tolist() == [1, 3]
    assert extract([1, 3]).trusted == 2


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_lost_and_damaged_looks_cost_reading_only(catalog: Catalog, damage: bytes | None) -> None:
    file = looks_path(Store.open(catalog.store).shard_path(1))
    whole = file.read_bytes()
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    assert not verify_store(Store.open(catalog.store))
    summary = catalog.extract()
    assert sorted(catalog.read) == ["4.bmp", "5.bmp", "6.bmp", "7.bmp"]
    assert (summary.reused, summary.shards_written) == (10, 0)
    assert file.read_bytes() == whole


def test_each_flipped_bit_is_noticed(catalog: Catalog) -> None:
    store = Store.open(catalog.store)
    file = looks_path(store.shard_path(0))
    whole, known = file.read_bytes(), read_looks(store.shard_path(0))
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(whole), 300):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        found = read_looks(store.shard_path(0))
        assert found == known or not found.values.any()


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, retry_failed=True)])
def test_the_same_names_sizes_and_times_in_another_folder_are_other_images(
    catalog: Catalog, config: ExtractConfig
) -> None:
    other = Catalog(catalog.folder.parent / "other")
    other.folder.mkdir()
    for i in range(10):
        other.paint(i, 100 + i if i < 5 else 10 + i)
    other.write(range(10))
    catalog.read.clear()
    summary = other.extract(config)
    assert len(catalog.read) == 10
    assert (summary.encoded, summary.reused) == (5, 5)
    assert list(other.grays().values()) == [100, 101, 102, 103, 104, 15, 16, 17, 18, 19]
    assert (other.extract().encoded, len(catalog.read)) == (0, 10)
    (other.folder.parent / "link").symlink_to(other.folder)
    assert Catalog(other.folder.parent / "link").extract(config).trusted == 10


def test_absolute_locations_lie_where_they_lay_wherever_the_manifest_is(catalog: Catalog) -> None:
    rows = [{"key": f"{i}.bmp", "image": str(catalog.folder / f"{i}.bmp"), "label": "c"} for i in range(10)]
    write_csv(catalog.manifest, rows)
    catalog.extract()
    elsewhere = write_csv(catalog.folder.parent / "m.csv", rows)
    summary = extract_features(elsewhere, catalog.store, CONFIG, image_encoder=Mean())
    assert (summary.trusted, summary.encoded) == (10, 0)


def test_looks_of_another_shard_are_not_believed(catalog: Catalog) -> None:
    """As after a crash between a shard and its looks."""
    file = looks_path(Store.open(catalog.store).shard_path(0))
    old = file.read_bytes()
    catalog.paint(3, 99, LONG_AGO + 1)
    catalog.extract()
    file.write_bytes(old)
    catalog.paint(3, 13, LONG_AGO)
    assert catalog.extract().encoded == 1
    assert sorted(catalog.read) == ["0.bmp", "1.bmp", "2.bmp", "3.bmp"]
    assert catalog.grays()["3.bmp"] == 13


def test_a_store_without_looks_gets_them(catalog: Catalog) -> None:
    for file in catalog.store.glob("looks-*"):
        file.unlink()
    assert catalog.extract().shards_written == 0
    assert len(catalog.read) == 10
    assert catalog.extract().trusted == 10


def test_a_damaged_shard_is_made_anew(catalog: Catalog) -> None:
    path = Store.open(catalog.store).shard_path(1)
    whole = path.read_bytes()
    at = whole.index(np.float32(14).tobytes())
    path.write_bytes(whole[:at] + b"\1" + whole[at + 1 :])
    catalog.extract()
    assert path.read_bytes() == whole
    assert sorted(catalog.read) == ["4.bmp", "5.bmp", "6.bmp", "7.bmp"]


@pytest.mark.parametrize("name", ["shard-00002.h5", "plan.json"])
def test_lost_files_are_made_anew(catalog: Catalog, name: str) -> None:
    whole = (catalog.store / name).read_bytes()
    (catalog.store / name).unlink()
    catalog.extract()
    assert (catalog.store / name).read_bytes() == whole
    assert not verify_store(Store.open(catalog.store))


def test_other_encoders_are_refused_as_ever(catalog: Catalog) -> None:
    other = Mean()
    other.spec = EncoderSpec("mean", "image", 3, "mean", "1")
    with pytest.raises(FingerprintError):
        extract_features(catalog.manifest, catalog.store, CONFIG, image_encoder=other)
    with pytest.raises(StoreError, match="dtype"):
        extract_features(catalog.manifest, catalog.store, replace(CONFIG, dtype="float16"), image_encoder=Mean())


def test_a_store_with_looks_is_removed_whole(catalog: Catalog) -> None:
    remove_store(catalog.store)
    assert not list(catalog.store.iterdir())


def test_parts_see_what_the_others_have_done(catalog: Catalog) -> None:
    shutil.rmtree(catalog.store)
    for part in (1, 2):
        catalog.extract(replace(CONFIG, part=(part, 2)))
    assert [catalog.extract(replace(CONFIG, part=(part, 2))).trusted for part in (1, 2)] == [6, 4]
    assert (catalog.extract().trusted, catalog.parsed) == (10, 0)
    (catalog.store / "shard-00001.h5").unlink()
    assert catalog.extract(replace(CONFIG, part=(1, 2))).trusted == 6
    assert catalog.parsed, "a shard that others lack may change the plan"
    assert not (catalog.store / "shard-00001.h5").exists()


def test_rows_that_stand_in_other_shards_by_an_interrupted_run_are_found(catalog: Catalog) -> None:
    """Each shard was brought to the manifest at some time, but not by one plan."""
    kept = {name: (catalog.store / name).read_bytes() for name in ("shard-00002.h5", "looks-00002.h5")}
    catalog.write([0, 1, 2, 3, 4, 5, 6, 8, 9, 10])
    catalog.paint(10, 20)
    catalog.extract()
    catalog.write(range(10))
    catalog.extract()
    for name, content in kept.items():
        (catalog.store / name).write_bytes(content)
    catalog.extract()
    assert sorted(catalog.grays()) == [f"{i}.bmp" for i in range(10)]


def test_images_in_the_table_are_as_the_table_is(tmp_path: Path, catalog: Catalog) -> None:
    def write(grays: Sequence[int]) -> None:
        images = [(catalog.paint(99, gray).read_bytes()) for gray in grays]
        table = pyarrow.table({"key": [str(i) for i in range(len(grays))], "image": images})
        pyarrow.parquet.write_table(table, tmp_path / "m.parquet")

    def extract() -> ExtractSummary:
        catalog.parsed = 0
        return extract_features(tmp_path / "m.parquet", tmp_path / "held", CONFIG, image_encoder=Mean())

    write([1, 2, 3, 4, 5])
    extract()
    assert (extract().trusted, catalog.parsed) == (5, 0)
    write([1, 2, 30, 4, 5])
    summary = extract()
    assert (summary.encoded, summary.reused, summary.trusted) == (1, 4, 0)


def test_a_folder_of_images_is_its_names(catalog: Catalog) -> None:
    def extract() -> ExtractSummary:
        catalog.read.clear()
        catalog.parsed = 0
        return extract_features(catalog.folder, catalog.folder.parent / "f", CONFIG, image_encoder=Mean())

    extract()
    assert (extract().trusted, catalog.parsed) == (10, 0)
    catalog.paint(10, 20)
    assert (extract().encoded, catalog.read) == (1, ["10.bmp"])
    catalog.folder.joinpath("dogs").mkdir()
    (catalog.folder / "3.bmp").rename(catalog.folder / "dogs" / "3.bmp")
    assert (extract().encoded, catalog.read) == (1, ["3.bmp"])


def test_texts_alone_are_not_parsed_again(tmp_path: Path, catalog: Catalog) -> None:
    class Length:
        spec = EncoderSpec("length", "text", 1, "none", "1")

        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.array([[len(text)] for text in texts], np.float32)

    rows = [{"key": str(i), "text": "x" * (i + 1)} for i in range(6)]
    path = write_csv(tmp_path / "t.csv", rows)

    def extract() -> ExtractSummary:
        catalog.parsed = 0
        return extract_features(path, tmp_path / "texts", CONFIG, text_encoder=Length())

    extract()
    summary = extract()
    assert (summary.reused, summary.trusted, catalog.parsed) == (6, 0, 0)
    write_csv(path, [*rows[:5], {"key": "5", "text": "yy"}])
    assert (extract().encoded, catalog.parsed) == (1, 1)


def test_other_names_of_columns_are_another_manifest(catalog: Catalog) -> None:
    rows = [{**row, "other": "0.bmp"} for row in read_csv(catalog.manifest)]
    rows = [{**row, "key": row["image"]} for row in rows]
    write_csv(catalog.manifest, rows)
    catalog.extract()
    columns = manifest_rows.Columns(image="other")
    extract_features(catalog.manifest, catalog.store, CONFIG, columns, image_encoder=Mean())
    assert set(catalog.grays().values()) == {10.0}


class Written(MemoryFileSystem):
    """A store in which every file is another one at every look."""

    protocol = "written"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    writes = count()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("written://").strip("/")

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {**super().info(path, **options), "ETag": f'"{next(self.writes)}"'}


@pytest.mark.filterwarnings("ignore:UPath 'written' filesystem not explicitly implemented")
def test_a_manifest_that_is_written_while_it_is_read_is_read_again() -> None:
    fsspec.register_implementation("written", Written, clobber=True)
    for name in "ab":
        fsspec.filesystem("written").pipe(f"/box/{name}.csv", f"key,image\n{name},{name}.bmp\n".encode())
    manifest = manifest_rows.read_manifest("written://box/*.csv")
    assert len(manifest) == 2
    assert manifest.written == ""


class Tagged(MemoryFileSystem):
    """A store that says what its content is."""

    protocol = "tagged"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    tags: ClassVar[dict[str, str]] = {}
    fetched: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("tagged://").strip("/")

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        tag = self.tags.get(path.rsplit("/", 1)[-1], "")
        return {**super().info(path, **options), **({"ETag": tag} if tag else {})}

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.fetched.append(path.rsplit("/", 1)[-1])
        return super().cat_file(path, *arguments, **options)


@pytest.mark.parametrize(
    ("before", "after", "fetched"),
    [('"1"', '"1"', []), ('"1"', '"2"', ["a.bmp"]), ('W/"1"', 'W/"1"', ["a.bmp"]), ("", "", ["a.bmp"])],
)
def test_what_a_store_calls_the_content_of_a_url_is_its_look(
    catalog: Catalog, before: str, after: str, fetched: list[str]
) -> None:
    fsspec.register_implementation("tagged", Tagged, clobber=True)
    system = fsspec.filesystem("tagged")
    for name, i in (("a.bmp", 1), ("b.bmp", 2)):
        system.pipe(f"/{name}", (catalog.folder / f"{i}.bmp").read_bytes())
    Tagged.tags = {"a.bmp": before, "b.bmp": '"b"'}
    write_csv(catalog.manifest, [{"image": "tagged://a.bmp"}, {"image": "tagged://b.bmp"}, {"image": "3.bmp"}])
    catalog.extract()
    Tagged.tags["a.bmp"] = after
    for grown in (False, True):
        Tagged.fetched.clear()
        if grown:
            write_csv(catalog.manifest, [*read_csv(catalog.manifest), {"image": "4.bmp"}])
        summary = catalog.extract()
        assert Tagged.fetched == (fetched if not grown or before == after else [])
        assert (summary.encoded, summary.failed) == (grown, 0)


def test_a_slow_disk_is_looked_at_by_threads(catalog: Catalog) -> None:
    catalog.paint(3, 99, LONG_AGO + 1)
    paths = [str(catalog.folder / f"{i}.bmp") for i in range(11)]  # the last is not there
    with Readers(2) as readers:
        looks = look_at_files(paths, readers, first=1, step=2, slow_seconds=0.0)
    size = (catalog.folder / "0.bmp").stat().st_size
    expected = [(size, LONG_AGO + (i == 3)) for i in range(10)]
    assert list(map(tuple, looks.tolist())) == [*expected, UNKNOWN]


def test_who_writes_the_store_is_waited_for(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []
    look = second_look.if_unchanged

    def looks(*arguments: Any) -> Any:
        locked.append(any(file.name.endswith(".lock") for file in catalog.store.parent.iterdir()))
        return look(*arguments)

    monkeypatch.setattr("huse.extract.extract.if_unchanged", looks)
    catalog.extract()
    assert locked == [True]
