"""What a run of stage 1 did, which its error tells too."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from huse.features.failure import Failure

MOST_FAILURES = 1000
"""Failures that a summary keeps, so that memory stays bounded."""


@dataclass(frozen=True)
class ExtractSummary:
    """What a run did, or a part of it; the sum of two parts is what both did.

    Attributes:
        rows: rows of the manifest, or of this part of it, all of them in the store now.
        encoded: rows that got a new vector in this run, of an image or a text.
        reused: rows whose stored vectors were still right, and that lack nothing.
        trusted: those among them whose image was not read, since it looks as it did when it was.
        not_reread: rows that keep a stored vector because their image could not be read again, or not be decoded.
        shards_written: shard files written in this run.
        failed: rows that lack a vector because of a failure.
        failures: the first `MOST_FAILURES` of what went wrong; the store has them all.
        seconds: wall time of the run.
        seconds_read: time the run waited for images to be read and decoded.
        seconds_encode: time in the image encoder.
        seconds_encode_texts: time in the text encoder, which runs beside the rest.
        seconds_write: time the run waited for shards to be written.
    """

    rows: int = 0
    encoded: int = 0
    reused: int = 0
    trusted: int = 0
    not_reread: int = 0
    shards_written: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    seconds_read: float = 0.0
    seconds_encode: float = 0.0
    seconds_encode_texts: float = 0.0
    seconds_write: float = 0.0

    def __add__(self, other: ExtractSummary) -> ExtractSummary:
        mine, its = vars(self), vars(other)
        total = {item.name: mine[item.name] + its[item.name] for item in fields(self)}
        return ExtractSummary(**{**total, "failures": total["failures"][:MOST_FAILURES]})

    @property
    def rows_per_s(self) -> float:
        """Encoded rows a second of wall time."""
        return self.encoded / self.seconds if self.seconds else 0.0

    @property
    def bottleneck(self) -> str:
        """``read``, ``encode``, ``encode_texts`` or ``write``: what took longest; empty when nothing was encoded."""
        waits = {
            "read": self.seconds_read,
            "encode": self.seconds_encode,
            "encode_texts": self.seconds_encode_texts,
            "write": self.seconds_write,
        }
        return max(waits, key=lambda stage: waits[stage]) if self.encoded else ""
