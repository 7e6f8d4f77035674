"""What decides a run of stage 1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from huse.extract.encoders.precision import PRECISIONS
from huse.extract.images.decoding import MAX_PIXELS
from huse.features.errors import StoreError
from huse.features.options import option, require_allowed
from huse.features.processor import processors
from huse.features.summary import ExtractSummary as ExtractSummary

FEW_FAILURES = 10
"""The default failure rate is not judged below this many failures: a handful is never a rate."""

ACT_ON = {
    "images": ("image_encoder", "image_weights", "precision", "max_pixels", "recover_truncated"),
    "texts": ("text_encoder", "salient_tokens"),
    "labels": ("class_encoder", "class_text"),
}
"""What a manifest must have for options to do anything."""

OF_RAY = ("ray_address", "gpus_per_worker", "cpus_per_worker", "max_retries")
"""What the engine must be Ray for."""

ENCODING = (
    "image_weights",
    "batch_size",
    "precision",
    "workers",
    "max_pixels",
    "recover_truncated",
    "retry_failed",
    "content",
    "on_error",
    "max_failure_rate",
    "engine",
    "ray_address",
    "gpus_per_worker",
    "cpus_per_worker",
    "max_retries",
)
"""The fields of `ExtractConfig` that say how encoders run, whatever they are."""


@dataclass(frozen=True)
class ExtractConfig:
    """What decides a run of stage 1.

    Attributes:
        image_encoder: registry name of the image encoder.
        text_encoder: registry name of the text encoder.
        class_encoder: registry name of the text encoder of the class names, for the semantic graph; ``none`` for none.
        image_weights: local Keras weights file in place of the bundled one.
        shard_size: most rows a shard.
        dtype: stored type of the vectors, ``float16`` or ``float32``.
        compression: of the shards: none, ``lzf`` or ``gzip``, for sparse vectors.
        batch_size: images a forward pass, over all GPUs together, rounded up to the encoder's blocks; 0 chooses by
            device.
        precision: arithmetic of the image encoder, ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        workers: of the local engine, threads that read and decode; 0 takes two a core. Of Ray, processes that fill
            shards, each with two such threads a processor: at most so many, or (least, most), of which the least are
            waited for; 0 takes as many as the cluster has room for.
        class_text: CSV file with columns label and text: descriptions to embed in place of class names.
        salient_tokens: most tokens kept of a text, see `salient_text`; 0 keeps all.
        max_pixels: most pixels of an image; larger ones are failures.
        recover_truncated: decode what there is of a JPEG that was cut off.
        retry_failed: take only failed and new rows, and trust all others unread, even if their images look changed.
        content: read every image, also one that looks as it did when its vector was made; not with `retry_failed`.
        on_error: ``skip`` keeps failed rows as failures, ``fail`` stops at the first.
        part: which of how many runs that fill the store together this is, from (1, n) to (n, n); each takes every n-th
            shard.
        max_failure_rate: largest share of failed rows, and of rows that could not be re-read; None means 0.1, not
            judged below `FEW_FAILURES` rows.
        engine: where shards are filled: ``local``, in this process, or ``ray``, by the workers of a Ray cluster.
        ray_address: of the cluster, ``auto`` for one that runs on this machine, ``HOST:PORT`` of its head; empty takes
            RAY_ADDRESS, or one that runs here, or starts one here for the run.
        gpus_per_worker: GPUs a worker of Ray, or a share of one; None takes one where the cluster has any.
        cpus_per_worker: processors a worker of Ray; 0 takes those of the smallest node, shared among its GPUs.
        max_retries: how often a shard of Ray is tried again whose worker died or could not write it.
    """

    image_encoder: str = option("vgg16:blocks", "One of huse encoders.", metavar="NAME")
    text_encoder: str = option("use", "One of huse encoders.", metavar="NAME")
    class_encoder: str = option(
        "use",
        "Text encoder of the class names, for the semantic graph of huse fit; none leaves them out.",
        metavar="NAME",
    )
    salient_tokens: int = option(0, "Keep the N most salient tokens of long texts.", least=0, metavar="N", shown="all")
    shard_size: int = option(10_000, "Rows a shard.", least=1)
    dtype: str = option("float16", "Stored type.", choices=("float16", "float32"))
    compression: str = option("", "Of the shards; pays for sparse vectors only.", choices=("", "lzf", "gzip"))
    class_text: Path | None = option(
        None,
        "Table with columns label and text: descriptions to embed in place of the class names.",
        metavar="FILE",
    )
    part: tuple[int, int] = option(
        (1, 1),
        "One of N runs that fill STORE together, at once or one after the other; auto is the task of Slurm's array, "
        "auto/N that of Kubernetes' indexed job.",
        metavar="I/N",
        shown="all of it",
        kept=False,
    )
    image_weights: Path | None = option(
        None, "Keras weights file of the image encoder, in place of the bundled one.", metavar="FILE"
    )
    batch_size: int = option(
        0,
        "Images a batch, over all GPUs; VGG16 on a processor takes multiples of 16.",
        least=0,
        shown="256 a GPU, 32 without",
    )
    precision: str = option(
        "auto",
        "Arithmetic of the image encoder; auto is bfloat16 where the hardware has it.",
        choices=PRECISIONS,
    )
    workers: int | tuple[int, int] = option(
        0,
        "Reading threads; of Ray, worker processes, N or MIN:MAX.",
        metavar="N",
        shown="two a core; of Ray, all that the cluster has room for",
        kept=False,
    )
    max_pixels: int = option(MAX_PIXELS, "Most pixels of an image; larger ones fail undecoded.", least=1)
    recover_truncated: bool = option(False, "Decode what there is of a JPEG that was cut off.")
    retry_failed: bool = option(
        False, "Take failed and new rows only, the others unread, also if they look changed.", kept=False
    )
    content: bool = option(
        False, "Read all images, to compare their content; not while retrying failed rows.", kept=False
    )
    on_error: str = option("skip", "Keep a bad row as a failure, or stop at the first.", choices=("skip", "fail"))
    max_failure_rate: float | None = option(
        None,
        "Exit 1 when a larger share of rows failed.",
        least=0,
        most=1,
        shown=f"0.1, not judged below {FEW_FAILURES} failures",
    )
    engine: str = option(
        "local", "Where shards are filled: here, or on a Ray cluster.", choices=("local", "ray"), kept=False
    )
    ray_address: str = option(
        "",
        "The cluster.",
        metavar="auto|HOST:PORT",
        shown="RAY_ADDRESS, or one of this machine, or a new one here",
        kept=False,
    )
    gpus_per_worker: float | None = option(
        None, "GPUs a worker of Ray, or a share of one.", least=0, shown="1 where the cluster has any", kept=False
    )
    cpus_per_worker: int = option(
        0, "Processors a worker of Ray.", least=0, shown="those of a node, shared among its GPUs", kept=False
    )
    max_retries: int = option(
        3, "Tries of a shard on Ray after the first, as when its worker died.", least=0, kept=False
    )

    def changed(self, names: Iterable[str]) -> list[str]:
        """The names, with their options, of those fields that ask for something unusual."""
        values, usual = vars(self), vars(ExtractConfig())
        asked = (name for name in names if values[name] not in (usual[name], "none"))
        return [f"{name} (--{name.replace('_', '-')})" for name in asked]

    @property
    def threads(self) -> int:
        """Threads that read in this process."""
        named = self.workers if self.engine == "local" and isinstance(self.workers, int) else 0
        return named or 2 * processors()

    def require_valid(self, overwrite: bool) -> None:
        """Refuses values that no run can have.

        Raises:
            StoreError: an unknown type, compression or choice, a number out of range, or no such part.
        """
        require_allowed(self, StoreError)
        part, parts = self.part
        if not 1 <= part <= parts:
            raise StoreError(f"there is no part {part}/{parts}; parts are 1/{parts} to {parts}/{parts}")
        if overwrite and parts > 1:
            raise StoreError(
                "overwrite=True (--overwrite) would delete what the other parts have written; "
                "delete the store, then run all"
            )
        if self.retry_failed and self.content:
            raise StoreError(
                "retry_failed=True (--retry-failed) leaves stored rows unread, content=True (--content) reads all; "
                "leave one out"
            )
        self._require_workers()

    def _require_workers(self) -> None:
        least, most = (0, self.workers) if isinstance(self.workers, int) else self.workers
        written = self.workers if isinstance(self.workers, int) else f"{least}:{most}"
        if not 0 <= least <= most:
            raise StoreError(f"workers={written} (--workers): name a number, 0 or above, or MIN:MAX such as 2:8")
        if self.engine == "local" and not isinstance(self.workers, int):
            raise StoreError(f"workers={written} (--workers) is of engine='ray' (--engine ray); name one number")
        if self.engine == "local" and (unused := self.changed(OF_RAY)):
            raise StoreError(f"{', '.join(unused)}: of engine='ray' (--engine ray); add it, or leave them out")
        if self.engine == "ray" and self.part != (1, 1):
            raise StoreError(
                "part (--part) is of engine='local' (--engine local): Ray shares the shards itself; leave it out"
            )

    def allowed(self, rows: int, failed: int) -> bool:
        """Whether so many failed rows of all are few enough."""
        most = self.max_failure_rate
        if most is None:
            most = 0.1 if failed >= FEW_FAILURES else 1.0
        return failed <= most * rows
