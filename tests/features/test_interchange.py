"""Features from elsewhere in, features for others out: the same numbers in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io

from huse.features.errors import StoreError
from huse.features.interchange import export_store, import_store, read_array
from huse.features.rows import Failure
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
    else:
        columns = {name: array.tolist() for name, array in values.items()}
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return {name: f"{path}:{name}" for name in values}


@pytest.mark.parametrize("kind", ["npy", "npz", "mat", "parquet"])
def test_every_format_comes_in_whole(kind: str, tmp_path: Path) -> None:
    files = write(tmp_path, kind)
    assert import_store(tmp_path / "s", files["image"], files["text"], files["labels"], shard_size=3) == N
    store = Store.open(tmp_path / "s")
    rows = store.load()
    assert store.shard_indices() == [0, 1, 2]
    np.testing.assert_array_equal(rows.image, arrays()["image"])
    np.testing.assert_array_equal(rows.text, arrays()["text"])
    assert rows.label.tolist() == [f"class {i % 2}" for i in range(N)]
    assert rows.key.tolist() == [str(i) for i in range(N)]
    assert rows.has_image.all()
    assert rows.has_text.all()


def test_matlab_7_3_and_numeric_labels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "new.mat", "w", userblock_size=512) as file:  # MATLAB writes arrays column by column
        file["X"] = arrays()["image"].T
    np.testing.assert_array_equal(read_array(f"{tmp_path / 'new.mat'}:X"), arrays()["image"])
    np.save(tmp_path / "x.npy", arrays()["image"])
    np.save(tmp_path / "y.npy", np.arange(N, dtype=float)[:, None])
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"), labels=str(tmp_path / "y.npy"))
    assert Store.open(tmp_path / "s").load().label.tolist() == [str(i) for i in range(N)]


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
    np.save(tmp_path / "x.npy", vectors)
    import_store(tmp_path / "s", image=str(tmp_path / "x.npy"), dtype="float16")
    rows = Store.open(tmp_path / "s").load()
    assert np.flatnonzero(~rows.has_image).tolist() == [2, 4]
    reason = "image vector is not finite as float16"
    assert rows.failures == [Failure("2", "import", reason), Failure("4", "import", reason)]
    assert not rows.image[[2, 4]].any()


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
        ({"split": "same.txt"}, "split 'k'; use train, val or test"),
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
        np.testing.assert_array_equal(file["image"], rows.image)
        assert file["label"].tolist() == rows.label.tolist()
    export_store(small_store.path, tmp_path / "all.mat")
    np.testing.assert_array_equal(read_array(f"{tmp_path / 'all.mat'}:text"), rows.text)
    assert read_array(f"{tmp_path / 'all.mat'}:key").tolist() == rows.key.tolist()
    export_store(small_store.path, tmp_path / "all.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pydict()
    np.testing.assert_allclose(table["image"], rows.image)
    assert table["caption"] == rows.caption.tolist()
    with pytest.raises(StoreError, match=r"unknown suffix; name a file \.npz"):
        export_store(small_store.path, tmp_path / "all.csv")


def test_what_goes_out_comes_in_again(small_store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert export_store(small_store.path, folder) == 60
    files = {"labels": "label", "keys": "key", "split": "split"}
    strings = {name: str(folder / f"{file}.txt") for name, file in files.items()}
    import_store(tmp_path / "s", str(folder / "image.npy"), str(folder / "text.npy"), **strings)
    before, after = small_store.load(), Store.open(tmp_path / "s").load()
    for name in ("key", "label", "split", "image", "text", "has_image", "has_text"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    with pytest.raises(StoreError, match="is there already"):
        export_store(small_store.path, folder)
