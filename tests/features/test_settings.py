"""settings.toml as text: what it says, and of which types."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from huse.features.errors import SettingsError
from huse.features.settings import SETTINGS_FILE, keep_settings, read_settings, settings_text, whole_place


def test_what_is_written_reads_back_as_plain_values(tmp_path: Path) -> None:
    values = {
        "n": np.int64(3),
        "rate": np.float64(1e-5),
        "on": True,
        "name": 'a "ü"\n\\',
        "file": Path("/a"),
        "no": None,
    }
    text = settings_text("fit", values, "A note.")
    assert tomllib.loads(text) == {"fit": {"n": 3, "rate": 1e-5, "on": True, "name": 'a "ü"\n\\', "file": "/a"}}
    assert "\n# A note.\n" in text
    keep_settings(tmp_path, text)
    assert read_settings(tmp_path / SETTINGS_FILE) == tomllib.loads(text)
    odd = settings_text("extract", {"file": "a\udcff", "n": 1})
    assert "\n# Not in UTF-8, so to be given again: file.\n" in odd
    assert tomllib.loads(odd) == {"extract": {"n": 1}}
    (tmp_path / SETTINGS_FILE).write_text("[fit", encoding="utf-8")
    with pytest.raises(SettingsError, match="is not TOML in UTF-8"):
        read_settings(tmp_path / SETTINGS_FILE)
    keep_settings(tmp_path, text)
    assert (tmp_path / SETTINGS_FILE).read_bytes() == text.encode()


def test_places_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert whole_place("a.csv") == str(tmp_path / "a.csv")
    assert whole_place("memory://a/b.csv") == "memory://a/b.csv"
