from __future__ import annotations

from pathlib import Path

import pytest

from huse.features.errors import StoreError
from huse.features.files.folders import require_apart
from huse.features.files.place import real_path


def test_a_link_that_leads_to_itself_stays_as_it_is(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert real_path(loop) == loop
    require_apart(loop, StoreError, tmp_path / "other")
    with pytest.raises(StoreError, match="is what is read"):
        require_apart(loop, StoreError, loop)


def test_an_output_in_what_is_read_is_refused_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(StoreError, match="which is read"):
        require_apart(tmp_path / "link" / "out", StoreError, tmp_path / "store")
