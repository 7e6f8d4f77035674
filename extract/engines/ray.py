"""The Ray engine: shards are filled by the workers of a cluster, with the code of the local engine.

Ray Core, not Ray Data: with bounded retries Ray Data's pool of actors gives up the whole run when a node goes, with
unbounded ones a shard that kills its worker is tried for ever; and all rows of a manifest, which only the driver sees,
would have to be copied into the cluster before the first shard is filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from huse.extract.config import ExtractConfig, ExtractSummary
from huse.extract.encoders.arithmetic import common_arithmetic
from huse.extract.encoders.protocol import FittedEncoder
from huse.extract.engines.cluster import connected, room_of, survey
from huse.extract.engines.crew import Crew, sent
from huse.extract.engines.job import FillJob, Shard
from huse.extract.images.tar_members import tar_of
from huse.extract.manifest.locations import image_location, is_there
from huse.extract.manifest.plan import Positions
from huse.extract.manifest.rows import Manifest
from huse.extract.run_encoders import Choice, Encoders
from huse.features.files.atomic import sweep
from huse.features.files.place import is_url, real_path
from huse.features.store import Store

Fill = Callable[[Mapping[int, Positions], str, Store], ExtractSummary]
"""Fills planned shards, given the digest of the whole plan, of a store."""

LOOKED_AT = 1000
"""Rows among which an image is sought that all nodes are to see."""


@contextmanager
def filling_by_ray(
    manifest: Manifest, store: Path, encoders: Encoders, choice: Choice, config: ExtractConfig
) -> Iterator[Fill]:
    """Yields what fills shards, once all nodes are known to see the store and the images.

    Args:
        manifest: the rows.
        store: folder of the store, which need not be there yet.
        encoders: as they are made here; workers make theirs by name.
        choice: encoders that were handed in, which travel.
        config: how the cluster is reached, workers, limits and arithmetic.

    Raises:
        ClusterError: there is no cluster, no room, or a node does not see what it is to write or read.
    """
    with connected(config) as ray:
        room = room_of(ray, config)
        processors = survey(ray, room, real_path(store), _some_image(manifest))
        agreed = common_arithmetic(config.precision, processors)
        state = encoders.text.state() if isinstance(encoders.text, FittedEncoder) else None
        job = sent(ray, FillJob.of(real_path(store), manifest, config, choice, state, agreed))

        def fill(plan: Mapping[int, Positions], digest: str, target: Store) -> ExtractSummary:
            def shard(number: int) -> Shard:
                return Shard.of(manifest, number, plan[number], digest)

            sizes, total = {number: len(rows) for number, rows in plan.items()}, ExtractSummary()
            with (
                Crew(ray, room, config, job, sizes) as crew,
                tqdm(total=sum(sizes.values()), desc="extract", unit="row", disable=None) as bar,
            ):
                for done, (number, summary) in enumerate(crew.work(shard), 1):
                    total += summary
                    bar.set_postfix(shards=f"{done}/{len(sizes)}", workers=crew.ready, refresh=False)
                    bar.update(sizes[number])
            sweep(target.path)  # what workers were writing that were ended, as others had been faster
            return total

        yield fill


def _some_image(manifest: Manifest) -> list[Path]:
    """The first image by path that is there, if any, as workers look for it: they have folders of their own."""
    folder = real_path(manifest.folder)
    rows = islice(manifest.iterate(), LOOKED_AT if manifest.has_images else 0)
    written = (image_location(row.image, folder) for row in rows if row.image and not row.held)
    places = (tar_of(location) or location for location in written)
    return [Path(place) for place in islice((p for p in places if not is_url(p) and is_there(p)), 1)]
