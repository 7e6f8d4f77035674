"""Features from elsewhere in, features for others out: the same numbers in every format."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io
import scipy.sparse
from samples import random_store

from huse.features.errors import StoreError
from huse.features.exchange import mat
from huse.features.exchange.arrays import read_array
from huse.features.exchange.interchange import export_store, import_store
from huse.features.failure import Failure
from huse.features.inspection import verify_store
from huse.features.leaks import find_leaks
from huse.features.store import Store

N = 7


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    return {"image": rng.normal(size=(N, 5)).astype(np.float32), "text": rng.normal(size=(N, 3)).astype(np.float32)}


def write(folder: Path, kind: str) -> dict[str, str]:
    """Writes two matrices and the labels; returns how each is named."""
    values = {**arrays(), "labels": np.array([f"class {i % 2}" for i in range(N)])}
    if kind == "npy":
        for name, array in values.items():
            np.save(folder / f"{name}.npy", array)
        return {name: str(folder / f"{name}.npy") for name in values}
    path = folder / f"all.{kind}"
    if kind == "npz":
        np.savez(path, **values)
    elif kind == "mat":
        scipy.io.savemat(path, {**values, "labels": values["labels"].astype(object)})
    elif kind in ("h5", "hdf5"):
        with h5py.File(path, "w") as file:
            for name, array in values.items():
                file[name] = array.astype(object) if array.dtype.kind == "U" else array
    else:
        columns = {name: array.tolist() for name, array in values.items()}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return {name: f"{path}:{name}" for name in values}


@pytest.mark.parametrize("kind", ["npy", "npz", "mat", "h5", "hdf5", "parquet"])
def test_every_format_comes_in_whole(kind: str, tmp_path: Path) -> None:
    files = write(tmp_path, kind)
    assert import_store(tmp_path / "s", files["image"], files["text"], files["labels"], shard_size=3) == N
    store = Store.open(tmp_path / "s")
    rows = store.load()
    assert store.shard_numbers() == [0, 1, 2]
    np.testing.assert_array_equal(rows.image.vectors, arrays()["image"])
    np.testing.assert_array_equal(rows.text.vectors, arrays()["text"])
    assert rows.label.tolist() == [f"class {i % 2}" for i in range(N)]
    assert rows.key.tolist() == [str(i) for i in range(N)]
    assert rows.image.present.all()
    assert rows.text.present.all()


def test_matlab_7_3_and_numeric_labels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:  # MATLAB writes arrays column by column
        file["X"] = arrays()["image"].T
    np.testing.assert_array_equal(read_array(f"{tmp_path / 'new.mat'}:X"), arrays()["image"])
    np.save(tmp_path / "x.npy", arrays()["image"])
    np.save(tmp_path / "y.npy", np.arange(N, dtype=float)[:, None])
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"), labels=str(tmp_path / "y.npy"))
    assert Store.open(tmp_path / "s").load().label.tolist() == [str(i) for i in range(N)]


def test_cells_of_matlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = np.empty(3, object)
    cells[:] = ["a", "", np.array([[7.0]])]
    scipy.io.savemat(tmp_path / "old.mat", {"y": cells})
    (tmp_path / "json.py").write_text("raise SystemExit('a stranger's')")
    monkeypatch.chdir(tmp_path)
    assert read_array("old.mat").tolist() == ["a", "", "7.0"]
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:
        file["#refs#/a"] = np.frombuffer(b"a\0b\0", np.uint16)
        file.create_dataset("y", data=[[file["#refs#/a"].ref] * 2], dtype=h5py.ref_dtype)
    with pytest.raises(StoreError, match=r"y holds references or lists; save .* cells with -v7 and not -v7\.3"):
        read_array(str(tmp_path / "new.mat"))


def test_links_of_an_hdf5_file_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "h5")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["far"] = h5py.ExternalLink(str(tmp_path / "all.h5"), "image")
        file["group/near"] = np.zeros(3)
    with pytest.raises(StoreError, match="has nothing; name one as"):
        read_array(f"{tmp_path / 'links.h5'}:far")


def test_strings_from_text_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    for name, lines in (("labels", "ü/a b"), ("keys", "key {}"), ("split", "")):
        (tmp_path / f"{name}.txt").write_text("".join(lines.format(i) + "\n" for i in range(N)), encoding="utf-8")
    given = {name: str(tmp_path / f"{name}.txt") for name in ("labels", "keys", "split")}
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"), **given)
    rows = Store.open(tmp_path / "s").load()
    assert set(rows.label) == {"ü/a b"}
    assert rows.key.tolist() == [f"key {i}" for i in range(N)]
    assert set(rows.split) == {""}


def test_a_vector_that_is_not_finite_costs_its_own_row(tmp_path: Path) -> None:
    vectors = arrays()["image"]
    vectors[2, 1] = np.nan
    vectors[4, 0] = 1e6  # more than float16 holds
    vectors[5], vectors[6] = 1e-9, 0
    np.save(tmp_path / "x.npy", vectors)
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"), dtype="float16")
    rows = Store.open(tmp_path / "s").load()
    assert np.flatnonzero(~rows.image.present).tolist() == [2, 4, 5, 6]
    reason = "image vector is not finite as float16"
    vanishes = Failure("5", "import", "image vector vanishes as float16")
    assert rows.failures == [Failure("2", "import", reason), Failure("4", "import", reason), vanishes]
    assert not rows.image.vectors[[2, 4, 5]].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": "absent.npy"}, "no such file"),
        ({"image": "x.csv"}, "unknown format"),
        ({"image": "flat.npy"}, r"shape \(7,\).* rows x dimension"),
        ({"image": "objects.npy"}, r"cannot be read \(.*Python objects"),
        ({"image": "both.npz"}, r"has a, b; name one as both\.npz:NAME"),
        ({"image": "both.npz:c"}, "has a, b; name one"),
        ({"text": "short.npy"}, "different lengths: image 7, text 6 rows"),
        ({"keys": "same.txt"}, "key 'k' stands 7 times"),
        ({"split": "same.txt"}, r"split 'k' of row 0 \(--split\); use train, val or test"),
        ({"image": "broken.npy"}, "cannot be read"),
        ({"image": "broken.npz:a"}, "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(
    change: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", arrays()["image"])
    np.save("flat.npy", np.zeros(N))
    np.save("short.npy", np.zeros((6, 2)))
    np.save("objects.npy", np.array([[{}]] * N, dtype=object), allow_pickle=True)
    np.savez("both.npz", a=np.zeros((N, 2)), b=np.zeros((N, 2)))
    Path("same.txt").write_text("k\n" * N)
    Path("broken.npy").write_bytes(b"no array")
    Path("broken.npz").write_bytes(b"PK no archive")
    with pytest.raises(StoreError, match=message):
        import_store("s", **{"image": "x.npy", **change})
    assert not Path("s").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"))
    with pytest.raises(StoreError, match="is there already"):
        import_store(tmp_path / "s", image=str(tmp_path / "x.npy"))
    with pytest.raises(StoreError, match="nothing to import"):
        import_store(tmp_path / "t")


def test_export_to_arrays(small_store: Store, tmp_path: Path) -> None:
    rows = small_store.load()
    export_store(small_store.path, tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["image"], rows.image.vectors)
        assert file["label"].tolist() == rows.label.tolist()
    export_store(small_store.path, tmp_path / "all.mat")
    np.testing.assert_array_equal(read_array(f"{tmp_path / 'all.mat'}:text"), rows.text.vectors)
    assert read_array(f"{tmp_path / 'all.mat'}:key").tolist() == rows.key.tolist()
    assert read_array(f"{tmp_path / 'all.mat'}:split").tolist() == rows.split.tolist()
    export_store(small_store.path, tmp_path / "all.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pydict()
    np.testing.assert_allclose(table["image"], rows.image.vectors)
    assert table["caption"] == rows.caption.tolist()
    with pytest.raises(StoreError, match=r"unknown suffix \.csv; name a folder without one, or a file \.npz"):
        export_store(small_store.path, tmp_path / "all.csv")


def test_what_a_mat_file_cannot_hold_is_refused_before_it_is_read(
    small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mat, "MOST_BYTES", 60 * 6 * 4 - 1)
    monkeypatch.setattr(Store, "load", None)
    with pytest.raises(StoreError, match=r"all\.mat: the image vectors are too large for \.mat; export to \.npz or"):
        export_store(small_store.path, tmp_path / "all.mat")


def test_what_goes_out_comes_in_again(small_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert export_store(small_store.path, folder) == 60
    files = {"labels": "label", "keys": "key", "split": "split"}
    strings = {name: str(folder / f"{file}.txt") for name, file in files.items()}
    import_store(tmp_path / "s", str(folder / "image.npy"), str(folder / "text.npy"), **strings)
    before, after = (store.load().columns() for store in (small_store, Store.open(tmp_path / "s")))
    for name in ("key", "label", "split", "image", "text", "has_image", "has_text"):
        np.testing.assert_array_equal(before[name], after[name])
    with pytest.raises(StoreError, match="is there already"):
        export_store(small_store.path, folder)


def test_a_row_without_a_modality_goes_out_and_comes_in_without_it(small_store: Store, tmp_path: Path) -> None:
    rows = small_store.read(0)
    rows.image.vectors[3], rows.image.present[3] = 0, False
    small_store.write(0, rows)
    export_store(small_store.path, tmp_path / "out")
    import_store(tmp_path / "s", str(tmp_path / "out" / "image.npy"), str(tmp_path / "out" / "text.npy"))
    after = Store.open(tmp_path / "s").load()
    assert np.flatnonzero(~after.image.present).tolist() == [3]
    assert after.failures == []


@pytest.mark.parametrize(
    "odd", ["line\nbreak", "next\x85line", "para\u2028graph", "two  spaces", "e\u0301", "half \ud800"]
)
def test_odd_strings_come_in_clean_and_go_round(odd: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    table = {"label": [odd] * N, "key": [f"{odd}{i}" for i in range(N)]}
    clean = {"half \ud800": "half \ufffd", "e\u0301": "\u00e9", "two  spaces": "two spaces"}.get(odd)
    clean = clean or odd.replace("\n", " ").replace("\x85", " ").replace("\u2028", " ")
    np.savez(tmp_path / "s.npz", **{name: np.array(values) for name, values in table.items()})
    strings = {"labels": f"{tmp_path / 's.npz'}:label", "keys": f"{tmp_path / 's.npz'}:key"}
    import_store(tmp_path / "s", str(tmp_path / "x.npy"), **strings)
    before = Store.open(tmp_path / "s").load()
    assert set(before.label) == {clean}
    export_store(tmp_path / "s", tmp_path / "out")
    again = {name: str(tmp_path / "out" / f"{name[:-1]}.txt") for name in strings}
    import_store(tmp_path / "t", str(tmp_path / "out" / "image.npy"), **again)
    after = Store.open(tmp_path / "t").load()
    assert after.key.tolist() == before.key.tolist()
    assert after.label.tolist() == before.label.tolist()


@pytest.mark.parametrize(
    ("separator", "label", "path"),
    [
        (" > ", "3237 - Home & Garden > TV/Video", "Home & Garden/TV\u2215Video"),
        ("<", "clothing<tops<blouses", "clothing/tops/blouses"),
        ("", "TV/Video", "TV\u2215Video"),
        ("/", "a / b/", "a/b"),
    ],
)
def test_labels_are_parted_as_those_of_manifests_and_go_round(
    separator: str, label: str, path: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    (tmp_path / "y.txt").write_text(N * f"{label}\n")
    import_store(tmp_path / "s", str(tmp_path / "x.npy"), labels=str(tmp_path / "y.txt"), label_separator=separator)
    assert set(Store.open(tmp_path / "s").load().label) == {path}
    export_store(tmp_path / "s", tmp_path / "out")
    import_store(tmp_path / "t", str(tmp_path / "x.npy"), labels=str(tmp_path / "out" / "label.txt"))
    assert set(Store.open(tmp_path / "t").load().label) == {path}


def test_numbers_and_nothing_as_labels(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    values = [101.0, None, float("nan"), 7.5, 101.0, 7.5, 101.0]
    pyarrow.parquet.write_table(pyarrow.table({"y": values}), tmp_path / "y.parquet")
    import_store(tmp_path / "s", str(tmp_path / "x.npy"), labels=f"{tmp_path / 'y.parquet'}:y")
    assert Store.open(tmp_path / "s").load().label.tolist() == ["101", "", "", "7.5", "101", "7.5", "101"]


def test_words_for_nothing_are_no_class(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    np.save(tmp_path / "y.npy", np.array(["shoes", np.nan, "None", "nan", "5.0", " a / b /", ""]))
    import_store(tmp_path / "s", str(tmp_path / "x.npy"), labels=str(tmp_path / "y.npy"))
    assert Store.open(tmp_path / "s").load().label.tolist() == ["shoes", "", "", "", "5", "a/b", ""]


def test_parquet_of_a_store_whose_first_shard_is_empty(small_store: Store, tmp_path: Path) -> None:
    rows = small_store.read(0)
    small_store.write(0, rows.take(np.zeros(len(rows), bool)))
    assert export_store(small_store.path, tmp_path / "all.parquet") == 35
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet")
    assert table.num_rows == 35
    assert str(table.schema.field("key").type) == "string"


@pytest.mark.parametrize("modality", ["image", "text"])
def test_one_modality_alone_goes_everywhere(modality: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()[modality])
    import_store(tmp_path / "s", **{modality: str(tmp_path / "x.npy")})
    for out in ("out", "all.npz", "all.mat", "all.parquet"):
        assert export_store(tmp_path / "s", tmp_path / out) == N
    assert (tmp_path / "out" / f"{modality}.npy").exists()
    assert find_leaks(Store.open(tmp_path / "s")) == []


def test_what_is_read_is_not_written_over(small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", arrays()["image"])
    (tmp_path / "link").symlink_to("store")
    for out in (small_store.path, Path("store"), Path("link"), Path("store") / "inside", Path("store") / "all.npz"):
        with pytest.raises(StoreError, match=r"which is read|is what is read"):
            export_store(small_store.path, out)
    with pytest.raises(StoreError, match="is what is read"):
        import_store("x.npy", image="x.npy")
    for out in ("s.csv", "s.npz", "s.txt"):
        with pytest.raises(StoreError, match="unknown suffix"):
            import_store(out, image="x.npy")
    assert verify_store(small_store) == {}


def test_a_full_disk_leaves_nothing(small_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    there = set(os.listdir(tmp_path))
    for name in ("out", "all.npz", "all.parquet"):
        with pytest.raises(OSError, match=f"No space left on device: .*{name}"):
            export_store(small_store.path, tmp_path / name)
    with pytest.raises(OSError, match="No space left"):
        import_store(tmp_path / "s", str(tmp_path / "x.npy"))
    assert set(os.listdir(tmp_path)) == there


KILLED = """
import os, signal, sys
import numpy as np
from huse.features import store
from huse.features.files import atomic
from huse.features.exchange.interchange import export_store, import_store
from huse.features.exchange.merge_split import merge_stores, split_store
what, steps, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
left = [steps]
fsync = os.fsync
def counted(descriptor):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = counted
os.chdir(folder)
{
    "import": lambda: import_store("out", "x.npy", shard_size=2),
    "merge": lambda: merge_stores(["a", "b"], "out"),
    "split": lambda: split_store("a", "out", parts=3),
    "export": lambda: export_store("a", "out"),
}[what]()
"""


@pytest.mark.parametrize("what", ["import", "merge", "split", "export"])
def test_a_kill_leaves_nothing_that_passes_for_whole_and_a_rerun_works(what: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", arrays()["image"])
    for number, name in enumerate("ab"):
        store = random_store(tmp_path / name, n=9, shard_size=4, seed=number)
        for index, part in enumerate(list(store)):
            part.key[:] = [f"{name}{key}" for key in part.key]
            store.write(index, part)

    def run(steps: int) -> int:
        command = [sys.executable, "-c", KILLED, what, str(steps), str(tmp_path)]
        return subprocess.run(command, check=False).returncode

    for steps in (0, 2, 4):
        assert run(steps) == -signal.SIGKILL
        assert not (tmp_path / "out").exists()
    assert run(10_000) == 0
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "out", "x.npy"]
    if what in ("import", "merge"):
        assert verify_store(Store.open(tmp_path / "out")) == {}


ARROW = int(pyarrow.__version__.partition(".")[0])
OLD = pytest.mark.skipif(ARROW < 26, reason="Arrow before 26 reads no empty cell among lists of a fixed size")


@pytest.mark.parametrize("width", [None, pytest.param(3, marks=OLD)])
def test_lists_in_parquet_with_and_without_a_fixed_size_and_nulls(width: int | None, tmp_path: Path) -> None:
    values = [None, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0], None, [7.0, 8.0, 9.0]]
    kind = pyarrow.list_(pyarrow.float32(), width) if width else pyarrow.list_(pyarrow.float64())
    table = pyarrow.table({"v": pyarrow.array(values, kind), "s": [{"a": i} for i in range(5)]})
    pyarrow.parquet.write_table(table, tmp_path / "v.parquet", row_group_size=2)
    import_store(tmp_path / "s", image=f"{tmp_path / 'v.parquet'}:v")
    rows = Store.open(tmp_path / "s").load()
    np.testing.assert_array_equal(rows.image.vectors, np.array([value or [0, 0, 0] for value in values], np.float32))
    assert rows.image.present.tolist() == [value is not None for value in values]
    with pytest.raises(StoreError, match="column s holds struct"):
        read_array(f"{tmp_path / 'v.parquet'}:s")


def test_lists_of_different_lengths_are_told(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"v": [[1.0], [1.0, 2.0]]}), tmp_path / "v.parquet")
    with pytest.raises(StoreError, match="lists of 1 and of 2 numbers"):
        read_array(str(tmp_path / "v.parquet"))


def test_one_row_and_sparse_matrices(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "one.mat", {"x": scipy.sparse.csc_matrix([[0.0, 2.0, 0.0]]), "y": [[7.0]]})
    import_store(tmp_path / "s", image=f"{tmp_path / 'one.mat'}:x", labels=f"{tmp_path / 'one.mat'}:y")
    rows = Store.open(tmp_path / "s").load()
    assert (rows.label.tolist(), rows.image.vectors.tolist()) == (["7"], [[0.0, 2.0, 0.0]])


@pytest.mark.parametrize("kind", ["npy", "npz", "mat", "parquet"])
def test_a_mutated_file_is_read_or_told_in_one_line(kind: str, tmp_path: Path) -> None:
    file, _, inside = write(tmp_path, kind)["image"].partition(f".{kind}")
    whole, rng = Path(f"{file}.{kind}").read_bytes(), np.random.default_rng(0)
    for number in range(15 if kind == "mat" else 150):  # each .mat is read in a process of its own
        broken = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 5)):
            broken[place] = rng.integers(0, 256)
        del broken[len(whole) if number % 3 else int(rng.integers(0, len(whole))) :]
        Path(tmp_path / f"broken.{kind}").write_bytes(broken)
        told = ""
        try:
            read_array(f"{tmp_path / f'broken.{kind}'}{inside}")
        except StoreError as error:
            told = str(error)
        assert "\n" not in told
