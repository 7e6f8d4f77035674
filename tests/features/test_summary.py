from __future__ import annotations

from dataclasses import replace

from huse.features.failure import Failure
from huse.features.summary import MOST_FAILURES, ExtractSummary


def test_parts_add_up() -> None:
    first = ExtractSummary(
        rows=5,
        encoded=1,
        reused=2,
        trusted=1,
        not_reread=1,
        shards_written=1,
        failed=1,
        failures=[Failure("a", "read", "x")],
        seconds_read=1.0,
        seconds_encode=2.0,
        seconds_encode_texts=3.0,
        seconds_write=4.0,
    )
    both = first + replace(first, rows=7, trusted=4, failures=[Failure("b", "read", "y")])
    assert both == ExtractSummary(
        rows=12,
        encoded=2,
        reused=4,
        trusted=5,
        not_reread=2,
        shards_written=2,
        failed=2,
        failures=[Failure("a", "read", "x"), Failure("b", "read", "y")],
        seconds_read=2.0,
        seconds_encode=4.0,
        seconds_encode_texts=6.0,
        seconds_write=8.0,
    )
    assert ExtractSummary() + first == first


def test_a_sum_names_so_many_failures_and_counts_all() -> None:
    many = [Failure(str(i), "read", "gone") for i in range(MOST_FAILURES - 1)]
    part = ExtractSummary(failed=len(many), failures=many)
    both = part + part
    assert both.failed == 2 * len(many)
    assert [failure.key for failure in both.failures] == [*(f.key for f in many), "0"]


def test_time_for_texts_is_told_apart() -> None:
    summary = ExtractSummary(encoded=5, seconds_read=1.0, seconds_encode=3.0, seconds_write=2.0)
    assert summary.bottleneck == "encode"
    assert replace(summary, seconds_encode_texts=4.0).bottleneck == "encode_texts"
    assert replace(summary, seconds_read=4.0).bottleneck == "read"
    assert replace(summary, seconds_write=4.0).bottleneck == "write"
    assert replace(summary, encoded=0).bottleneck == ""
