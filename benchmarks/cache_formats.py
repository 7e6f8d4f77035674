"""Ways to keep two matrices of features on disk: what each does to write, read and draw them, for benchmarks.cache.

Each writes parts as they come, in bounded memory, synced at the end, and as its documentation has it but for
compression, of which none has any: dense vectors do not become smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.cache_parts import DTYPE, PART, WIDTHS, Part, Plan
from huse.features.encoder_spec import EncoderSpec
from huse.features.files.sync import sync_tree
from huse.features.info import FEATURES, StoreInfo
from huse.features.modality import DIGEST_BYTES, MODALITIES, Modality
from huse.features.rows import Rows
from huse.features.shards.version_2 import ShardColumns
from huse.features.store import Store

Batch = Callable[[NDArray[np.intp]], Part]
"""From row numbers to their vectors."""


class Format(Protocol):
    """A way to keep features."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:
        """Writes all parts; killed meanwhile it leaves what it leaves."""

    def read(self, folder: Path) -> Iterator[Part]:
        """All rows, in order."""

    def batch(self, folder: Path) -> Batch | None:
        """Random access; None where there is none."""


class Huse:
    """A store of huse: a shard a part, which also has keys, labels and digests of the rows."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:
        """A shard a part."""
        image, text = (EncoderSpec("random", m, width, "none", "0") for m, width in WIDTHS.items())
        store = Store.create(folder, StoreInfo(FEATURES, image, text, plan.part, DTYPE))
        done = 0
        for number, (image_vectors, text_vectors) in enumerate(parts):
            there, digests = np.ones(len(image_vectors), bool), np.ones((len(image_vectors), DIGEST_BYTES), np.uint8)
            rows = replace(
                Rows.empty(len(there), 0, 0),
                image=Modality(image_vectors, there, digests),
                text=Modality(text_vectors, there, digests),
            )
            rows.key[:] = [f"row-{done + i}" for i in range(len(there))]
            done += len(there)
            store.write(number, rows)

    def read(self, folder: Path) -> Iterator[Part]:
        """Shard by shard, each verified."""
        store = Store.open(folder)
        for number in store.shard_numbers():
            rows = store.read_stored(number)
            yield rows.image.vectors, rows.text.vectors

    def batch(self, folder: Path) -> Batch:
        """Rows of shards whose columns were verified when they were first asked for."""
        store = Store.open(folder)
        size = store.info.shard_size

        def batch(numbers: NDArray[np.intp]) -> Part:
            image, text = (np.empty((len(numbers), width), DTYPE) for width in WIDTHS.values())
            shards, positions = np.divmod(numbers, size)
            for shard in np.unique(shards):
                mine = np.flatnonzero(shards == shard)
                read = partial(_slices, positions=positions[mine])
                for i, row in zip(mine, store.read_from(int(shard), read), strict=True):
                    image[i], text[i] = row["image"], row["text"]
            return image, text

        return batch


def _slices(shard: ShardColumns, positions: NDArray[np.intp]) -> list[dict[str, NDArray[Any]]]:
    return [shard.slice(MODALITIES, int(i), int(i) + 1) for i in positions]


class H5py:
    """One HDF5 file with resizable datasets, as scripts append to it."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:  # noqa: ARG002
        """Resizes and fills, part by part."""
        folder.mkdir()
        with h5py.File(folder / "features.h5", "w") as file:
            for m, width in WIDTHS.items():
                file.create_dataset(m, (0, width), DTYPE, maxshape=(None, width), chunks=True)
            for vectors in parts:
                for m, own in zip(MODALITIES, vectors, strict=True):
                    file[m].resize(len(file[m]) + len(own), axis=0)
                    file[m][-len(own) :] = own
        sync_tree(folder)

    def read(self, folder: Path) -> Iterator[Part]:
        """Slices of both datasets."""
        with h5py.File(folder / "features.h5") as file:
            for start in range(0, len(file["image"]), PART):
                yield file["image"][start : start + PART], file["text"][start : start + PART]

    def batch(self, folder: Path) -> Batch:
        """A fancy index, which h5py wants ascending."""
        file = h5py.File(folder / "features.h5")

        def batch(numbers: NDArray[np.intp]) -> Part:
            order = np.argsort(numbers)
            back = np.argsort(order)
            return file["image"][numbers[order]][back], file["text"][numbers[order]][back]

        return batch


def _fill(arrays: Sequence[Any], parts: Iterable[Part]) -> None:
    """Copies parts one after the other into arrays of the final size."""
    done = 0
    for vectors in parts:
        for to, own in zip(arrays, vectors, strict=True):
            to[done : done + len(own)] = own
        done += len(vectors[0])


class Npy:
    """Two .npy files, mapped into memory."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:
        """Files of their final size from the start, filled part by part."""
        folder.mkdir()
        maps = [
            np.lib.format.open_memmap(folder / f"{m}.npy", "w+", DTYPE, (plan.rows, width))
            for m, width in WIDTHS.items()
        ]
        _fill(maps, parts)
        for to in maps:
            to.flush()
        sync_tree(folder)

    def read(self, folder: Path) -> Iterator[Part]:
        """Copies of slices of the maps."""
        image, text = self._maps(folder)
        for start in range(0, len(image), PART):
            yield np.array(image[start : start + PART]), np.array(text[start : start + PART])

    def batch(self, folder: Path) -> Batch:
        """A fancy index into the maps."""
        image, text = self._maps(folder)
        return lambda numbers: (image[numbers], text[numbers])

    def _maps(self, folder: Path) -> list[NDArray[Any]]:
        return [np.load(folder / f"{m}.npy", mmap_mode="r") for m in MODALITIES]


class Parquet:
    """One Parquet file of fixed-size lists, a row group a part."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:  # noqa: ARG002
        """A row group a part, without what costs and says nothing of vectors."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder.mkdir()
        schema = pa.schema([(m, pa.list_(pa.float16(), width)) for m, width in WIDTHS.items()])
        plain = {
            "compression": "none",
            "use_dictionary": False,
            "write_statistics": False,
        }
        with pq.ParquetWriter(folder / "features.parquet", schema, **plain) as writer:
            for vectors in parts:
                columns = [
                    pa.FixedSizeListArray.from_arrays(pa.array(own.reshape(-1)), own.shape[1]) for own in vectors
                ]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=len(vectors[0]))
        sync_tree(folder)

    def read(self, folder: Path) -> Iterator[Part]:
        """Row group by row group."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(folder / "features.parquet") as file:
            for group in range(file.num_row_groups):
                yield self._group(file, group)

    def batch(self, folder: Path) -> Batch:
        """The row groups that the rows are in, whole, as there is no way into one."""
        import pyarrow.parquet as pq

        file = pq.ParquetFile(folder / "features.parquet")
        ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])

        def batch(numbers: NDArray[np.intp]) -> Part:
            found = [np.empty((len(numbers), width), DTYPE) for width in WIDTHS.values()]
            groups = np.searchsorted(ends, numbers, side="right")
            for group in np.unique(groups):
                mine = groups == group
                at = numbers[mine] - (ends[group - 1] if group else 0)
                for to, own in zip(found, self._group(file, int(group)), strict=True):
                    to[mine] = own[at]
            return found[0], found[1]

        return batch

    def _group(self, file: Any, group: int) -> Part:
        table = file.read_row_group(group)
        image, text = (table[m].combine_chunks().flatten().to_numpy().reshape(-1, width) for m, width in WIDTHS.items())
        return image, text


class Zarr:
    """Two arrays of zarr 3 in a folder, in chunks of 1,000 rows."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:
        """Arrays of their final shape from the start, filled part by part."""
        import zarr

        group = zarr.open_group(folder, mode="w")
        arrays = [
            group.create_array(m, shape=(plan.rows, width), chunks=(1000, width), dtype=DTYPE, compressors=None)
            for m, width in WIDTHS.items()
        ]
        _fill(arrays, parts)
        sync_tree(folder)

    def read(self, folder: Path) -> Iterator[Part]:
        """Slices of both arrays."""
        image, text = self._arrays(folder)
        for start in range(0, image.shape[0], PART):
            yield image[start : start + PART], text[start : start + PART]

    def batch(self, folder: Path) -> Batch:
        """An orthogonal index, which reads whole chunks."""
        image, text = self._arrays(folder)
        return lambda numbers: (image.oindex[numbers], text.oindex[numbers])

    def _arrays(self, folder: Path) -> list[Any]:
        import zarr

        group = zarr.open_group(folder, mode="r")
        return [group[m] for m in MODALITIES]


class TFRecord:
    """One file of TFRecord, an Example a row."""

    def write(self, folder: Path, parts: Iterable[Part], plan: Plan) -> None:  # noqa: ARG002
        """The bytes of both vectors as features."""
        import tensorflow as tf

        folder.mkdir()
        with tf.io.TFRecordWriter(str(folder / "features.tfrecord")) as writer:
            for vectors in parts:
                for row in zip(*vectors, strict=True):
                    feature = {
                        m: tf.train.Feature(bytes_list=tf.train.BytesList(value=[own.tobytes()]))
                        for m, own in zip(MODALITIES, row, strict=True)
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=feature))
                    writer.write(example.SerializeToString())
        sync_tree(folder)

    def read(self, folder: Path) -> Iterator[Part]:
        """Parsed in batches, as tf.data does it."""
        import tensorflow as tf

        features = {m: tf.io.FixedLenFeature([], tf.string) for m in MODALITIES}

        def parsed(examples: Any) -> Any:
            found = tf.io.parse_example(examples, features)
            return tuple(tf.io.decode_raw(found[m], tf.float16) for m in MODALITIES)

        records = tf.data.TFRecordDataset(str(folder / "features.tfrecord")).batch(1000).map(parsed).prefetch(2)
        yield from records.as_numpy_iterator()

    def batch(self, folder: Path) -> None:  # noqa: ARG002
        """There is none."""
        return


FORMATS: dict[str, Format] = {
    "huse": Huse(),
    "h5py_append": H5py(),
    "npy": Npy(),
    "parquet": Parquet(),
    "zarr": Zarr(),
    "tfrecord": TFRecord(),
}
