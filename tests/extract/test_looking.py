"""How URLs look, by what the file systems of fsspec say of an object."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import fsspec
import pytest

from huse.extract.looking import look_at_url
from huse.features.looks import UNKNOWN

S3 = {"ETag": '"5d41402abc4b2a76b9719d911017c592"', "LastModified": "2026-01-01", "size": 5, "StorageClass": "STANDARD"}
GOOGLE = {
    "etag": "CJjHxxQEAE=",
    "md5Hash": "XUFAKrxLKna5cZ2REBfFkg==",
    "crc32c": "mnG7TA==",
    "generation": "1",
    "size": 5,
}
COMPOSED = {"etag": "CJjHxxQEAE=", "crc32c": "mnG7TA==", "generation": "1", "size": 5}
AZURE = {"etag": '"0x265D76BBB6DD700"', "content_settings": {"content_md5": bytearray(b"]A@")}, "size": 5, "tags": None}
REPOSITORY = {"blob_id": "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0", "lfs": None, "last_commit": None, "size": 5}
BUCKET = {"xet_hash": "2cf24dba5fb0a30e", "mtime": "2026-01-01", "uploaded_at": "2026-01-01", "size": 5}
WEB = {"name": "https://example.com/a.png", "ETag": '"1"', "mimetype": "image/png", "size": 5, "partial": True}


def look(monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]) -> tuple[int, int]:
    system = SimpleNamespace(info=lambda path: {"name": path, "type": "file", **told})
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda url: (system, url))
    return look_at_url("store://b/a.png")


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (S3, "ETag"),
        (GOOGLE, "etag"),
        (COMPOSED, "etag"),
        (AZURE, "etag"),
        (REPOSITORY, "blob_id"),
        (BUCKET, "xet_hash"),
        (WEB, "ETag"),
    ],
)
def test_what_changes_with_the_content_is_the_look(
    told: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = look(monkeypatch, told)
    assert seen != UNKNOWN
    assert look(monkeypatch, {**told, "LastModified": "2027-01-01", "last_accessed_on": "2027-01-01"}) == seen
    assert look(monkeypatch, {**told, name: f"{told[name]}1"}) != seen
    assert look(monkeypatch, {**told, "size": 6}) != seen


@pytest.mark.parametrize("told", [{"size": 5}, {"size": 5, "created": "2026-01-01"}, {"ETag": 'W/"1"'}, {"etag": None}])
def test_what_does_not_tell_its_content_has_no_look(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(monkeypatch, told) == UNKNOWN
