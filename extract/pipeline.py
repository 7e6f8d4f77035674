"""Read, encode and write, over all shards: each goes on while the others do, and none waits for a shard to end.

Shards are opened one ahead, and their images looked at: what looks the same is not read. Reading threads are two
batches of images ahead of the image encoder, across the ends of shards; a thread of its own encodes the texts of the
shards that are open; what is done is written behind. A batch has images of one shard only, so that a shard's bytes do
not hang on what else a run fills.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from huse.extract.config import ExtractConfig
from huse.extract.encoders.protocol import Batching, TextEncoder, framing_of, without_words
from huse.extract.filling import Filling
from huse.extract.image_batch import ImageBatch
from huse.extract.images.decoders import Decoders
from huse.extract.images.framing import Framing
from huse.extract.loading import LoadedImages, load_images
from huse.extract.looking import folder_digest, look_at_all
from huse.extract.manifest.locations import are_relative, image_locations
from huse.extract.manifest.plan import Positions
from huse.extract.manifest.rows import Manifest
from huse.extract.readers import Readers
from huse.extract.run_encoders import Encoders
from huse.features.errors import ExtractionError
from huse.features.looks import HELD, Looks, no_looks, read_looks
from huse.features.rows import Rows
from huse.features.store import Store
from huse.features.summary import ExtractSummary
from huse.features.write_behind import WriteBehind

TEXTS_A_STEP = 1000
"""Texts that are encoded at a time, unless an encoder tells, so that Ctrl-C waits for no more."""

IMAGES_A_STEP = 16
"""Images that a thread reads at a time, where so many are read ahead that all threads have some."""

SHARDS_AHEAD = 2
"""Shards that are open or being opened, the one that is filled among them."""

Item = TypeVar("Item")

Vectors = tuple[NDArray[np.float32], float]
"""What an encoder gave, and the seconds it took."""


def fill_shards(
    plan: Mapping[int, Positions],
    manifest: Manifest,
    store: Store,
    encoders: Encoders,
    config: ExtractConfig,
    check: Callable[[], None],
    decoders: Decoders,
    plan_digest: str = "",
) -> ExtractSummary:
    """Brings some shards of a store to the rows that are planned for them.

    Args:
        plan: positions of the rows of each.
        manifest: the rows.
        store: where they are written.
        encoders: what encodes them.
        config: limits and arithmetic; the batch size is a number above 0.
        check: raises KeyboardInterrupt when there was one that nothing came of.
        decoders: what decodes images.
        plan_digest: of the plan of all shards, see `digest_of_plan`; empty when it is not known.

    Raises:
        ExtractionError: a row failed, where that stops the run.
    """
    with (
        Readers(1) as opener,
        Readers(config.threads) as readers,
        Readers(config.threads) as lookers,
        _thread("huse-texts") as texts,
        WriteBehind(store) as behind,
        tqdm(total=sum(map(len, plan.values())), desc="extract", unit="row", disable=None) as bar,
    ):
        pipeline = _Pipeline(
            manifest, store, encoders, config, check, plan_digest, lookers, decoders, texts, behind, bar
        )
        opened, ahead = opener.ordered(pipeline.open, plan.items(), SHARDS_AHEAD), 2 * config.batch_size
        steps = _steps(opened, min(max(ahead // config.threads, 1), IMAGES_A_STEP))
        loaded = readers.ordered(pipeline.load, steps, ahead, pipeline.weight)
        total = pipeline.fill(loaded)
    waited = 0.0 if encoders.image is None else pipeline.seconds_read  # for shards to be opened alone
    return replace(total, seconds_read=waited, seconds_write=behind.seconds)


@contextmanager
def _thread(name: str) -> Iterator[Executor]:
    """A thread that ends with the block; what it has not begun by then is left."""
    pool = ThreadPoolExecutor(1, name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Open:
    """A shard that is filled: its rows, which of them have an image to read, and what waits for the encoders.

    Attributes:
        rows: as far as they have come.
        to_read: positions of the images to read.
        texts: positions of those that are being encoded, and what they become.
    """

    rows: Filling
    to_read: list[int]
    texts: deque[tuple[list[int], Future[Vectors]]]

    @property
    def others(self) -> int:
        """Rows without an image to read."""
        return len(self.rows.rows) - len(self.to_read)


_Step = tuple[_Open, list[int]]
"""Images to read, by their positions in a shard; none when all of the shard were."""


def _steps(opened: Iterable[_Open], images: int) -> Iterator[_Step]:
    for shard in opened:
        yield from ((shard, shard.to_read[at : at + images]) for at in range(0, len(shard.to_read), images))
        yield shard, []


class _Pipeline:
    """What the threads of a run do; arguments as `fill_shards`, and its threads.

    Attributes:
        seconds_read: how long the encoder of images has waited for them.
    """

    def __init__(
        self,
        manifest: Manifest,
        store: Store,
        encoders: Encoders,
        config: ExtractConfig,
        check: Callable[[], None],
        plan_digest: str,
        lookers: Readers,
        decoders: Decoders,
        texts: Executor,
        behind: WriteBehind,
        bar: tqdm[None],
    ) -> None:
        self.seconds_read = 0.0
        self._batch = ImageBatch(config.batch_size)
        self._manifest, self._store, self._encoders, self._config = manifest, store, encoders, config
        self._check, self._texts, self._behind, self._bar = check, texts, behind, bar
        self._plan_digest, self._lookers, self._decoders = plan_digest, lookers, decoders
        self._folder = folder_digest(manifest.folder)
        self._framing = Framing.whole((0, 0)) if encoders.image is None else framing_of(encoders.image)

    def open(self, planned: tuple[int, Positions]) -> _Open:
        """In the opening thread: what a shard holds and is to hold; its texts go to their encoder."""
        number, positions = planned
        rows, image, text = self._manifest.rows(positions), self._encoders.image, self._encoders.text
        widths = [0 if encoder is None else encoder.spec.dimension for encoder in (image, text)]
        empty = Rows.empty(len(rows), *widths)
        previous = self._store.read_or_none(number)
        looks = None if previous is None else read_looks(self._store.shard_path(number))
        elsewhere = looks is not None and looks.folder not in ("", self._folder)
        moved = are_relative(previous.uri, self._manifest.folder) if previous is not None and elsewhere else None
        filling = Filling(number, rows, previous, looks, moved, empty, self._config.dtype)
        same = np.zeros(len(rows), bool) if image is None else self._look(filling)
        has_image = (row.problem or (image is not None and row.has_image) for row in rows)
        to_read = [i for i, has in enumerate(has_image) if has and not same[i]]
        if filling.stays(to_read, text is not None):
            return _Open(filling, [], deque())
        filling.keep_images()
        return _Open(filling, to_read, deque() if text is None else self._encode_texts(filling, text))

    def _look(self, filling: Filling) -> NDArray[np.bool_]:
        """Looks at all images; returns which need no reading."""
        now = no_looks(len(filling.rows))
        held = [i for i, row in enumerate(filling.rows) if row.held]
        others = [i for i, row in enumerate(filling.rows) if row.image and not row.held]
        locations = image_locations([filling.rows[i].image for i in others], self._manifest.folder)
        now[others] = look_at_all(locations, self._lookers)
        now[held] = HELD
        return filling.look(now, not self._config.content)

    def _encode_texts(self, filling: Filling, encoder: TextEncoder) -> deque[tuple[list[int], Future[Vectors]]]:
        todo = filling.texts_to_encode()
        size = encoder.batch_size if isinstance(encoder, Batching) else TEXTS_A_STEP
        steps = [todo[start : start + size] for start in range(0, len(todo), size)]
        return deque(
            (step, self._texts.submit(_timed, encoder.encode, [filling.rows[i].text for i in step])) for step in steps
        )

    def load(self, step: _Step) -> tuple[_Open, list[int], LoadedImages | None]:
        """In a reading thread: the images of a step."""
        shard, positions = step
        if not positions:
            return shard, positions, None
        rows, stored = [shard.rows.rows[i] for i in positions], shard.rows.stored
        images = load_images(self._manifest, rows, stored, self._framing, self._config, self._decoders)
        return shard, positions, images

    def weight(self, step: _Step) -> int:
        """How far ahead a step is: the end of a shard stands for its rows without an image, but for a batch at most."""
        shard, positions = step
        return len(positions) or min(max(shard.others, 1), self._config.batch_size)

    def fill(self, loaded: Iterable[tuple[_Open, list[int], LoadedImages | None]]) -> ExtractSummary:
        """Fills the shards as their images come, and hands them on."""
        total = ExtractSummary()
        for shard, positions, images in self._waited_for(loaded):
            if images is not None:
                self._take(shard, positions, images)
            else:
                self._complete(shard)
            if self._config.on_error == "fail" and shard.rows.out.failures:
                first, done = shard.rows.out.failures[0], total + shard.rows.summary()
                raise ExtractionError(
                    f"{first.key}: {first.reason}; mend it, or use on_error='skip' (--on-error)", done
                )
            if images is None:
                total += self._write(shard.rows)
        return total

    def _take(self, shard: _Open, positions: list[int], images: LoadedImages) -> None:
        for i, image in zip(positions, images.each, strict=True):
            shard.rows.take(i, image)
        self._bar.update(len(positions))
        to_encode = [i for i, image in zip(positions, images.each, strict=True) if image.has_pixels]
        done = 0
        while done < len(to_encode):
            done += self._batch.add(to_encode[done:], images.pixels[done:])
            if self._batch.is_full:
                self._encode_images(shard)

    def _encode_images(self, shard: _Open) -> None:
        self._check()
        positions, pixels = self._batch.take()
        if self._encoders.image is None or not positions:
            return
        vectors, seconds = _timed(self._encoders.image.encode, pixels)
        shard.rows.put_images(positions, vectors[: len(positions)])
        shard.rows.seconds_encode += seconds

    def _complete(self, shard: _Open) -> None:
        """The rest of a shard, all of whose images have been read."""
        self._encode_images(shard)
        reason = "" if self._encoders.text is None else without_words(self._encoders.text)
        while shard.texts:
            positions, future = shard.texts.popleft()
            vectors, seconds = future.result()
            self._check()
            shard.rows.put_texts(positions, vectors, reason)
            shard.rows.seconds_encode_texts += seconds
        self._bar.update(shard.others)

    def _write(self, filling: Filling) -> ExtractSummary:
        """Hands on what differs from what is stored."""
        rows, summary, before = filling.finish(), filling.summary(), filling.looks_before
        shard, written = before.shard if before else "", self._manifest.written
        looks = Looks(filling.looks, shard, written, self._plan_digest, self._folder)
        if filling.previous is None or not rows.holds_the_same_as(filling.previous):
            self._behind.write(filling.number, rows, looks)
            return replace(summary, shards_written=1)
        if looks != before:
            self._behind.write(filling.number, None, looks)
        return summary

    def _waited_for(self, loaded: Iterable[Item]) -> Iterator[Item]:
        iterator = iter(loaded)
        while True:
            began = time.perf_counter()
            item = next(iterator, None)
            self.seconds_read += time.perf_counter() - began
            if item is None:
                return
            yield item


def _timed(encode: Callable[[Item], NDArray[np.float32]], batch: Item) -> Vectors:
    began = time.perf_counter()
    vectors = encode(batch)
    return vectors, time.perf_counter() - began
