"""The rows of one shard while they are filled: from what is stored where it still holds, else by the encoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from huse.extract.loading import NOTHING, Loaded
from huse.extract.manifest.spool import ManifestRow
from huse.extract.reuse import Fate, Stored, decide, digest_of, look_alike
from huse.features.columns import STRINGS
from huse.features.failure import Failure
from huse.features.looks import UNKNOWN, Looks, Values, no_looks
from huse.features.rows import Rows
from huse.features.summary import MOST_FAILURES, ExtractSummary


class Filling:
    """One shard on its way; whoever has it is the only one who does.

    Args:
        number: of the shard.
        rows: what it is to hold.
        previous: what it holds; None when it is to be made.
        looks: how the images of `previous` looked; None when nothing is known of that.
        empty: as many rows as `rows`, without vectors.
        dtype: stored type of the vectors.

    Attributes:
        stored: `previous` by key.
        looks: (n, 2) how the images of the vectors looked, as far as is known.
        looks_before: those of `previous`.
        seconds_encode: time that its images were in the encoder.
        seconds_encode_texts: time that its texts were.
    """

    def __init__(
        self,
        number: int,
        rows: Sequence[ManifestRow],
        previous: Rows | None,
        looks: Looks | None,
        moved: NDArray[np.bool_] | None,
        empty: Rows,
        dtype: str,
    ) -> None:
        self.number = number
        self.rows = rows
        self.previous = previous
        self.looks_before = looks
        self.stored = Stored(previous, looks, moved)
        self.seconds_encode = self.seconds_encode_texts = 0.0
        self._dtype = dtype
        self._encoded: set[int] = set()
        self._unread: set[int] = set()
        self._lost: set[int] = set()
        self._trusted = 0
        self.out = empty
        self.out.key[:] = [row.key for row in rows]
        self.out.label[:] = [row.label for row in rows]
        self.out.split[:] = [row.split for row in rows]
        self.out.uri[:] = [row.image for row in rows]
        self.out.caption[:] = [row.text for row in rows]
        self._at = self.stored.images_at(self.out.key, self.out.uri)
        self.looks = self.stored.looks(self._at)
        self._now, self._same = no_looks(len(rows)), np.zeros(len(rows), bool)

    def look(self, now: Values, trust: bool) -> NDArray[np.bool_]:
        """Notes how the images look; returns which need no reading.

        Args:
            now: (n, 2) their looks.
            trust: False to read all images.
        """
        self._now = now
        self._same = look_alike(self.looks, now) & trust
        self._trusted += int(self._same.sum())
        return self._same

    def stays(self, to_read: Sequence[int], has_texts: bool) -> bool:
        """Whether all of the shard stays as it is, which is told without a copy of it.

        Args:
            to_read: the positions of the images that are to be read.
            has_texts: whether texts have vectors.
        """
        before, now = self.previous, self.out
        if to_read or before is None or before.failures:
            return False
        texts = (now.caption != "") & has_texts
        words = before.text.present & before.text.vectors.any(axis=1)
        pairs = [(now.columns()[name], before.columns()[name]) for name in STRINGS]
        pairs += [(self._same, before.image.present), (texts, words)]
        if not all(np.array_equal(ours, theirs) for ours, theirs in pairs):
            return False
        self.out = before
        return True

    def keep_images(self) -> None:
        """Takes over the vectors of the images that need no reading."""
        rows = np.flatnonzero(self._same)
        if len(rows):
            self.stored.copy_images(self._at[rows], self.out, rows)

    def texts_to_encode(self) -> list[int]:
        """The positions of the texts that are new or have changed; all others take over their stored vectors."""
        todo = []
        for i, row in enumerate(self.rows):
            if not row.text:
                continue
            digest, at = digest_of(row.text.encode()), self.stored.find(row.key, "text")
            self.out.text.digest[i] = np.frombuffer(digest, np.uint8)
            if at is not None and decide(self.stored.digest(at, "text"), digest) is Fate.KEEP:
                self.stored.copy(at, self.out, i, "text")
            else:
                todo.append(i)
        return todo

    def take(self, i: int, image: Loaded) -> None:
        """Notes what a reading thread has found of the image of row i; its pixels are to be encoded."""
        self.out.image.digest[i] = np.frombuffer(image.digest, np.uint8)
        if image.kept is not None:
            self.stored.copy(image.kept, self.out, i, "image")
        if image.failure is None:
            if image.digest == NOTHING:
                self._trusted += 1
                self.looks[i] = UNKNOWN  # whatever is there now was not seen
            else:
                self.looks[i] = self._now[i]
            return
        if image.kept is None:
            self._fail(i, image.failure)
        else:
            self._unread.add(i)
            reason = f"could not be re-read: {image.failure.reason}"
            self.out.failures.append(replace(image.failure, reason=reason))

    def put_images(self, positions: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Puts vectors into their rows; one that is not finite as stored is that row's failure."""
        for i, vector, finite in zip(positions, vectors, self._finite(vectors), strict=True):
            self._put(i, vector, "image", "" if finite else self._not_finite("image"))

    def put_texts(self, positions: Sequence[int], vectors: NDArray[np.float32], reason: str) -> None:
        """Likewise; one of zeros says nothing, and is a failure for the given reason."""
        words = np.any(vectors, axis=1)
        for i, vector, finite, some in zip(positions, vectors, self._finite(vectors), words, strict=True):
            self._put(i, vector, "text", reason if not some else "" if finite else self._not_finite("text"))

    def _put(self, i: int, vector: NDArray[np.float32], modality: str, problem: str) -> None:
        if problem:
            self._fail(i, Failure(self.rows[i].key, "encode", problem))
            return
        its = self.out.modalities.of(modality)
        its.vectors[i], its.present[i] = vector, True
        self._encoded.add(i)

    def _finite(self, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
        with np.errstate(over="ignore"):
            finite: NDArray[np.bool_] = np.isfinite(vectors.astype(self._dtype)).all(axis=1)
        return finite

    def _not_finite(self, modality: str) -> str:
        return f"{modality} vector is not finite as {self._dtype}"

    def _fail(self, i: int, failure: Failure) -> None:
        self.out.failures.append(failure)
        self._lost.add(i)

    def finish(self) -> Rows:
        """The rows, when all of them have come."""
        self.out.failures.sort(key=lambda failure: failure.key)
        return self.out

    def summary(self) -> ExtractSummary:
        """What was done so far."""
        touched = self._encoded | self._unread | self._lost
        return ExtractSummary(
            rows=len(self.rows),
            encoded=len(self._encoded),
            reused=len(self.rows) - len(touched),
            trusted=self._trusted,
            not_reread=len(self._unread),
            failed=len(self._lost),
            failures=self.out.failures[:MOST_FAILURES],
            seconds_encode=self.seconds_encode,
            seconds_encode_texts=self.seconds_encode_texts,
        )
