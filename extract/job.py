"""Fills one shard of the plan: read and decode in threads, encode in batches, keep what still holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.extract.config import MOST_FAILURES, ExtractConfig, ExtractSummary
from huse.extract.encoders import ImageEncoder, TextEncoder
from huse.extract.encoders.protocol import without_words
from huse.extract.images.decoding import ImageError, decode_image
from huse.extract.manifest.rows import Manifest
from huse.extract.manifest.spool import ManifestRow
from huse.extract.readers import Readers
from huse.extract.reuse import Stored, content_digest
from huse.extract.run_encoders import Encoders
from huse.features.errors import ExtractionError
from huse.features.modality import DIGEST_BYTES
from huse.features.rows import Failure, Rows

TEXTS_A_STEP = 1000
"""Texts that are encoded at a time, so that memory is bounded by them and Ctrl-C waits for no more."""


@dataclass
class _Image:
    """An image on its way to the encoder: its place in the shard and what the reading thread found."""

    place: int
    digest: bytes = bytes(DIGEST_BYTES)
    pixels: NDArray[np.uint8] | None = None
    failure: Failure | None = None


class ShardJob:
    """Fills the rows of one shard, from what is stored where it still holds, else through the encoders."""

    def __init__(
        self,
        manifest: Manifest,
        rows: Sequence[ManifestRow],
        previous: Rows | None,
        encoders: Encoders,
        config: ExtractConfig,
        summary: ExtractSummary,
        check: Callable[[], None],
    ) -> None:
        self.manifest = manifest
        self.rows = rows
        self.encoders = encoders
        self.config = config
        self.summary = summary
        self.check = check
        self.stored = Stored(previous)
        self.encoded: set[int] = set()
        self.unread: set[int] = set()
        self.lost: set[int] = set()
        self.out = Rows.empty(
            len(rows),
            encoders.image.spec.dimension if encoders.image else 0,
            encoders.text.spec.dimension if encoders.text else 0,
        )
        self.out.key[:] = [row.key for row in rows]
        self.out.label[:] = [row.label for row in rows]
        self.out.split[:] = [row.split for row in rows]
        self.out.uri[:] = [row.image for row in rows]
        self.out.caption[:] = [row.text for row in rows]

    def run(self, readers: Readers, bar: tqdm[None]) -> Rows:
        """The finished rows."""
        for i, row in enumerate(self.rows):
            if row.problem:
                self._lack(i, Failure(row.key, "read", row.problem))
        if self.encoders.text is not None:
            self._encode_texts(self.encoders.text)
        if self.encoders.image is not None:
            self._encode_images(self.encoders.image, readers, bar)
        else:
            bar.update(len(self.rows))
        self.out.failures.sort(key=lambda failure: failure.key)
        self._count()
        return self.out

    def _count(self) -> None:
        summary = self.summary
        summary.encoded += len(self.encoded)
        summary.not_reread += len(self.unread)
        summary.failed += len(self.lost)
        summary.reused += len(self.rows) - len(self.encoded | self.unread | self.lost)
        summary.failures += self.out.failures[: MOST_FAILURES - len(summary.failures)]

    def _encode_texts(self, encoder: TextEncoder) -> None:
        began = time.perf_counter()
        todo: list[int] = []
        for i, row in enumerate(self.rows):
            if not row.text:
                continue
            digest = content_digest(row.text.encode())
            self.out.text.digest[i] = np.frombuffer(digest, np.uint8)
            if not self._reuse(i, digest, "text"):
                todo.append(i)
        for start in range(0, len(todo), TEXTS_A_STEP):
            self.check()
            step = todo[start : start + TEXTS_A_STEP]
            self._keep(step, encoder.encode([self.rows[i].text for i in step]), "text")
        self.summary.seconds_encode += time.perf_counter() - began

    def _encode_images(self, encoder: ImageEncoder, readers: Readers, bar: tqdm[None]) -> None:
        with_image = [i for i, row in enumerate(self.rows) if row.has_image]
        bar.update(len(self.rows) - len(with_image))
        ahead = 2 * self.config.batch_size
        images = readers.ordered(lambda i: self._load(i, encoder.input_size), with_image, ahead)
        batch: list[_Image] = []
        for image in self._timed(images):
            self.out.image.digest[image.place] = np.frombuffer(image.digest, np.uint8)
            if image.failure is not None:
                self._lack(image.place, image.failure)
            elif image.pixels is not None:
                batch.append(image)
            bar.update()
            if len(batch) == self.config.batch_size:
                self._encode_batch(encoder, batch)
                batch = []
        if batch:
            self._encode_batch(encoder, batch)

    def _load(self, i: int, size: tuple[int, int]) -> _Image:
        """In a reading thread: bytes, digest and, unless the stored vector still holds, pixels."""
        row, image, stage = self.rows[i], _Image(i), "read"
        if self.config.retry_failed and row.key not in self.stored.failed and self._trust(i, image):
            return image
        try:
            data = self.manifest.image_bytes(row)
            image.digest = content_digest(data)
            stage = "decode"
            if not self._reuse(i, image.digest, "image"):
                image.pixels = decode_image(data, size, self.config.max_pixels, self.config.recover_truncated)
        except ImageError as error:
            image.failure = Failure(row.key, stage, str(error))
        return image

    def _trust(self, i: int, image: _Image) -> bool:
        """Takes over the stored vector of a row without reading its image."""
        at = self.stored.vector(self.rows[i].key, "image")
        if at is None or self.stored.uri(at) != self.rows[i].image:
            return False
        image.digest = self.stored.digest(at, "image")
        self.stored.copy(at, self.out, i, "image")
        return True

    def _reuse(self, i: int, digest: bytes, modality: str) -> bool:
        """Copies the stored vector of a row if its content is still the same."""
        at = self.stored.vector(self.rows[i].key, modality, digest)
        if at is not None:
            self.stored.copy(at, self.out, i, modality)
        return at is not None

    def _lack(self, i: int, failure: Failure) -> None:
        """An image that gives no pixels: what an earlier one gave stays, for only a newer vector may replace it."""
        at = self.stored.vector(failure.key, "image")
        if at is None:
            self._fail(i, failure)
            return
        self._note(Failure(failure.key, failure.stage, f"could not be re-read: {failure.reason}"))
        self.stored.copy(at, self.out, i, "image")
        self.unread.add(i)

    def _encode_batch(self, encoder: ImageEncoder, batch: list[_Image]) -> None:
        self.check()
        began = time.perf_counter()
        pixels = np.zeros((self.config.batch_size, *encoder.input_size, 3), np.uint8)
        for row, image in enumerate(batch):
            pixels[row] = image.pixels  # type: ignore[assignment]
        # one static shape: a short last batch would make the network compile a second time
        self._keep([image.place for image in batch], encoder.encode(pixels)[: len(batch)], "image")
        self.summary.seconds_encode += time.perf_counter() - began

    def _keep(self, places: list[int], vectors: NDArray[np.float32], modality: str) -> None:
        """Puts vectors into their rows; one that is not finite as stored, or says nothing, is that row's failure."""
        with np.errstate(over="ignore"):
            finite = np.isfinite(vectors.astype(self.config.dtype)).all(axis=1)
        empty: NDArray[np.bool_] = ~np.any(vectors, axis=1)
        out = self.out.modalities.of(modality)
        for i, vector, good, nothing in zip(places, vectors, finite, empty, strict=True):
            key = self.rows[i].key
            if nothing and self.encoders.text is not None and modality == "text":
                self._fail(i, Failure(key, "encode", without_words(self.encoders.text)))
            elif good:
                out.vectors[i], out.present[i] = vector, True
                self.encoded.add(i)
            else:
                reason = f"{modality} vector is not finite as {self.config.dtype}"
                self._fail(i, Failure(key, "encode", reason))

    def _fail(self, i: int, failure: Failure) -> None:
        self._note(failure)
        self.lost.add(i)

    def _note(self, failure: Failure) -> None:
        if self.config.on_error == "fail":
            raise ExtractionError(
                f"{failure.key}: {failure.reason}; mend it, or use on_error='skip' (--on-error)", self.summary
            )
        self.out.failures.append(failure)

    def _timed(self, images: Iterable[_Image]) -> Iterator[_Image]:
        iterator = iter(images)
        while True:
            began = time.perf_counter()
            image = next(iterator, None)
            self.summary.seconds_read += time.perf_counter() - began
            if image is None:
                return
            yield image
