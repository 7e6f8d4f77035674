"""Fills one shard of the plan: read and decode in threads, encode in batches, keep what still holds."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.extract.encoders import ImageEncoder, TextEncoder
from huse.extract.images import MAX_PIXELS, PictureError, decode_picture, read_picture
from huse.extract.manifest import Manifest
from huse.extract.spool import ManifestRow
from huse.features.errors import ExtractionError
from huse.features.rows import DIGEST_BYTES, Failure, Rows

Item = TypeVar("Item")
Result = TypeVar("Result")


MOST_FAILURES = 1000
"""Failures that a summary keeps, so that memory stays bounded."""


@dataclass(frozen=True)
class ExtractConfig:
    """What decides a run of stage 1.

    Attributes:
        image_encoder: registry name of the picture encoder.
        text_encoder: registry name of the text encoder.
        image_weights: local Keras weights file in place of the bundled one.
        shard_size: most rows a shard.
        dtype: stored type of the vectors, ``float16`` or ``float32``.
        compression: of the shards: none, ``lzf`` or ``gzip``, for sparse vectors.
        batch_size: pictures a forward pass, over all GPUs together, rounded up to the encoder's blocks; 0 chooses by
            device.
        precision: arithmetic of the picture encoder, ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        workers: threads that read and decode; 0 takes two a core.
        class_text: CSV file with columns label and text: descriptions to embed in place of class names.
        salient_tokens: most tokens kept of a text, see `salient_text`; 0 keeps all.
        max_pixels: most pixels of a picture; larger ones are failures.
        recover_truncated: decode what there is of a JPEG that was cut off.
        retry_failed: trust stored rows unread, and take only failed and new ones.
        on_error: ``skip`` keeps failed rows as failures, ``fail`` stops at the first.
        part: which of how many runs that fill the store together this is, from (1, n) to (n, n); each takes every n-th
            shard.
        max_failure_rate: largest share of failed rows; None means 0.1, not judged below `FEW_FAILURES` failures.
    """

    image_encoder: str = "vgg16"
    text_encoder: str = "use"
    image_weights: Path | None = None
    shard_size: int = 10_000
    dtype: str = "float16"
    compression: str = ""
    batch_size: int = 0
    precision: str = "auto"
    workers: int = 0
    class_text: Path | None = None
    salient_tokens: int = 0
    max_pixels: int = MAX_PIXELS
    recover_truncated: bool = False
    retry_failed: bool = False
    on_error: str = "skip"
    part: tuple[int, int] = (1, 1)
    max_failure_rate: float | None = None


@dataclass
class ExtractSummary:
    """What a run did.

    Attributes:
        rows: rows of the manifest, or of this part of it, all of them in the store now.
        encoded: rows of which a picture or a text went through an encoder in this run.
        reused: rows whose stored vectors were still right.
        shards_written: shard files written in this run.
        failed: rows with a failure.
        failures: the first `MOST_FAILURES` of what went wrong; the store has them all.
        seconds: wall time of the run.
        seconds_read: time the run waited for pictures to be read and decoded.
        seconds_encode: time in the encoders.
        seconds_write: time the run waited for shards to be written.
    """

    rows: int = 0
    encoded: int = 0
    reused: int = 0
    shards_written: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    seconds_read: float = 0.0
    seconds_encode: float = 0.0
    seconds_write: float = 0.0

    @property
    def rows_per_s(self) -> float:
        """Encoded rows a second of wall time."""
        return self.encoded / self.seconds if self.seconds else 0.0

    @property
    def bottleneck(self) -> str:
        """``read``, ``encode`` or ``write``: what the run waited for most; empty when nothing was encoded."""
        waits = {"read": self.seconds_read, "encode": self.seconds_encode, "write": self.seconds_write}
        return max(waits, key=lambda stage: waits[stage]) if self.encoded else ""

    def add_failures(self, failures: Sequence[Failure]) -> None:
        """Counts the failures of a shard."""
        self.failed += len({failure.key for failure in failures})
        self.failures += failures[: MOST_FAILURES - len(self.failures)]


@dataclass
class _Picture:
    """A picture on its way to the encoder: its place in the shard and what the reading thread found."""

    place: int
    digest: bytes = bytes(DIGEST_BYTES)
    pixels: NDArray[np.uint8] | None = None
    failure: Failure | None = None


@dataclass
class Encoders:
    """The encoders of a run; None for a modality that the manifest has no column for."""

    image: ImageEncoder | None
    text: TextEncoder | None


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
    ) -> None:
        self.manifest = manifest
        self.rows = rows
        self.encoders = encoders
        self.config = config
        self.summary = summary
        self.previous = previous
        self.stored = {key: i for i, key in enumerate(previous.key)} if previous is not None else {}
        self.failed = {failure.key for failure in previous.failures} if previous is not None else set()
        self.encoded: set[int] = set()
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

    def run(self, readers: ThreadPoolExecutor, bar: tqdm[None]) -> Rows:
        """The finished rows."""
        if self.encoders.text is not None:
            self._encode_texts(self.encoders.text)
        if self.encoders.image is not None:
            self._encode_pictures(self.encoders.image, readers, bar)
        else:
            bar.update(len(self.rows))
        self.summary.encoded += len(self.encoded)
        self.summary.reused += len(self.rows) - len(self.encoded)
        self.out.failures.sort(key=lambda failure: failure.key)
        return self.out

    def _encode_texts(self, encoder: TextEncoder) -> None:
        began = time.perf_counter()
        todo: list[int] = []
        for i, row in enumerate(self.rows):
            if not row.text:
                continue
            digest = content_digest(row.text.encode())
            self.out.text_digest[i] = np.frombuffer(digest, np.uint8)
            if not self._reuse(i, digest, "text"):
                todo.append(i)
        if todo:
            self._keep(todo, encoder.encode([self.rows[i].text for i in todo]), "text")
        self.summary.seconds_encode += time.perf_counter() - began

    def _encode_pictures(self, encoder: ImageEncoder, readers: ThreadPoolExecutor, bar: tqdm[None]) -> None:
        with_picture = []
        for i, row in enumerate(self.rows):
            if row.image:
                with_picture.append(i)
            else:
                bar.update()
        ahead = 2 * self.config.batch_size
        pictures = ordered(readers, lambda i: self._load(i, encoder.input_size), with_picture, ahead)
        batch: list[_Picture] = []
        for picture in self._timed(pictures):
            self.out.image_digest[picture.place] = np.frombuffer(picture.digest, np.uint8)
            if picture.failure is not None:
                self._fail(picture.failure)
            elif picture.pixels is not None:
                batch.append(picture)
            bar.update()
            if len(batch) == self.config.batch_size:
                self._encode_batch(encoder, batch)
                batch = []
        if batch:
            self._encode_batch(encoder, batch)

    def _load(self, i: int, size: tuple[int, int]) -> _Picture:
        """In a reading thread: bytes, digest and, unless the stored vector still holds, pixels."""
        row, picture, stage = self.rows[i], _Picture(i), "read"
        if self.config.retry_failed and row.key not in self.failed and self._trust(i, picture):
            return picture
        try:
            data = read_picture(self.manifest.location(row))
            picture.digest = content_digest(data)
            stage = "decode"
            if not self._reuse(i, picture.digest, "image"):
                picture.pixels = decode_picture(data, size, self.config.max_pixels, self.config.recover_truncated)
        except PictureError as error:
            picture.failure = Failure(row.key, stage, str(error))
        return picture

    def _trust(self, i: int, picture: _Picture) -> bool:
        """Takes over the stored vector of a row without reading its picture."""
        at = self.stored.get(self.rows[i].key)
        if at is None or self.previous is None or self.previous.uri[at] != self.rows[i].image:
            return False
        picture.digest = self.previous.image_digest[at].tobytes()
        return self._reuse(i, picture.digest, "image")

    def _reuse(self, i: int, digest: bytes, modality: str) -> bool:
        """Copies the stored vector of a row if its content is still the same."""
        at = self.stored.get(self.rows[i].key)
        if at is None or self.previous is None:
            return False
        if not getattr(self.previous, f"has_{modality}")[at]:
            return False
        if getattr(self.previous, f"{modality}_digest")[at].tobytes() != digest:
            return False
        getattr(self.out, modality)[i] = getattr(self.previous, modality)[at]
        getattr(self.out, f"has_{modality}")[i] = True
        return True

    def _encode_batch(self, encoder: ImageEncoder, batch: list[_Picture]) -> None:
        began = time.perf_counter()
        pixels = np.zeros((self.config.batch_size, *encoder.input_size, 3), np.uint8)
        for row, picture in enumerate(batch):
            pixels[row] = picture.pixels  # type: ignore[assignment]
        # one static shape: a short last batch would make the network compile a second time
        self._keep([picture.place for picture in batch], encoder.encode(pixels)[: len(batch)], "image")
        self.summary.seconds_encode += time.perf_counter() - began

    def _keep(self, places: list[int], vectors: NDArray[np.float32], modality: str) -> None:
        """Puts vectors into their rows; one that is not finite as stored is that row's failure."""
        with np.errstate(over="ignore"):
            finite = np.isfinite(vectors.astype(self.config.dtype)).all(axis=1)
        self.encoded.update(places)
        for i, vector, good in zip(places, vectors, finite, strict=True):
            if good:
                getattr(self.out, modality)[i] = vector
                getattr(self.out, f"has_{modality}")[i] = True
            else:
                reason = f"{modality} vector is not finite as {self.config.dtype}"
                self._fail(Failure(self.rows[i].key, "encode", reason))

    def _fail(self, failure: Failure) -> None:
        if self.config.on_error == "fail":
            raise ExtractionError(f"{failure.key}: {failure.reason}; mend it, or use --on-error skip", self.summary)
        self.out.failures.append(failure)

    def _timed(self, pictures: Iterable[_Picture]) -> Iterator[_Picture]:
        iterator = iter(pictures)
        while True:
            began = time.perf_counter()
            picture = next(iterator, None)
            self.summary.seconds_read += time.perf_counter() - began
            if picture is None:
                return
            yield picture


def ordered(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Results of `work` in the order of `items`, at most `ahead` of them waiting, so memory stays bounded."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def content_digest(data: bytes) -> bytes:
    """The digest by which a picture or a text is known to be unchanged."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
