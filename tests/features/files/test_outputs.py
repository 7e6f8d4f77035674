"""What a command may write over."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from huse.features.errors import QueryError, StoreError
from huse.features.exchange.interchange import export_store
from huse.features.files.folders import require_apart, require_folder_name
from huse.features.files.outputs import require_output
from huse.features.store import Store


@pytest.mark.parametrize("name", ["all.npz", "all.mat", "all.parquet"])
def test_a_file_of_huse_is_replaced_and_a_foreign_one_is_not(small_store: Store, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    export_store(small_store.path, out)
    export_store(small_store.path, out)
    pyarrow.parquet.write_table(pyarrow.table({"image": ["a.png"], "house": ["no huse"]}), out)
    foreign = out.read_bytes()
    with pytest.raises(StoreError, match=rf"{name}: is there already, and is not of huse"):
        export_store(small_store.path, out)
    assert out.read_bytes() == foreign


def test_an_input_by_any_name_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "made.csv"
    source.write_text("made by huse")
    os.link(source, tmp_path / "hard.csv")
    (tmp_path / "soft.csv").symlink_to(source)
    for out in ("made.csv", "./made.csv", "hard.csv", "soft.csv", f"../{tmp_path.name}/made.csv"):
        with pytest.raises(QueryError, match="is what is read; name another output"):
            require_output(Path(out), QueryError, source)
    with pytest.raises(QueryError, match="lies in"):
        require_apart(Path("new/x.png"), QueryError, tmp_path)
    require_output(tmp_path / "other.csv", QueryError, source)


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("vec.csv", False),
        ("vec.xyz", False),
        ("report.html", False),
        ("model.keras", False),
        ("plain", True),
        ("v1.2", True),
        ("features.v2", True),
        ("my.store", True),
        ("my.model", True),
        (".hidden", True),
        ("a.b-c", True),
    ],
)
def test_names_of_folders(name: str, taken: bool, tmp_path: Path) -> None:
    if taken:
        require_folder_name(tmp_path / name, StoreError)
        return
    with pytest.raises(StoreError, match="unknown suffix"):
        require_folder_name(tmp_path / name, StoreError)
    (tmp_path / name).mkdir()
    require_folder_name(tmp_path / name, StoreError)  # a folder that is there may have any name
