"""Embeddings by the workers of a Ray cluster, with the code of the local engine; the model travels, vectors do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from huse.embed.refresh import Done, embed_groups
from huse.extract.config import ExtractConfig
from huse.extract.engines.cluster import connected, room_of, survey
from huse.extract.engines.crew import Crew, sent
from huse.features.files.atomic import sweep
from huse.features.files.place import real_path
from huse.features.info import EMBEDDINGS, FEATURES, STORE_FILE
from huse.features.store import Store
from huse.train.artifact.model_folder import TrainedModel
from huse.train.network import towers  # noqa: F401 - registers the layers of a model before it is unpacked


@dataclass(frozen=True)
class EmbedJob:
    """How groups of shards are embedded, wherever that is.

    Attributes:
        trained: the model.
        features: store of the features, as every worker sees it.
        target: store of the embeddings, likewise.
    """

    trained: TrainedModel
    features: Path
    target: Path

    def begin(self, cpus: int) -> Callable[[list[int]], Done]:  # noqa: ARG002 - the towers take what there is
        """Opens both stores; returns what embeds a group."""
        target = Store.open(self.target, EMBEDDINGS)
        return partial(self._embed, Store.open(self.features, FEATURES), target, set(target.shard_numbers()))

    def _embed(self, features: Store, target: Store, there: set[int], group: list[int]) -> Done:
        (done,) = embed_groups(self.trained, features, target, [group], there)
        return done


def embed_by_ray(
    trained: TrainedModel, features: Store, target: Store, groups: Sequence[list[int]], config: ExtractConfig
) -> Iterator[Done]:
    """Yields what was done, group by group.

    Raises:
        ClusterError: there is no cluster or no room, a node does not see both stores, or groups could not be done,
            which are told by their first shards.
    """
    source, out = real_path(features.path), real_path(target.path)
    with connected(config) as ray:
        room = room_of(ray, config)
        survey(ray, room, out, [source / STORE_FILE])
        job = sent(ray, EmbedJob(replace(trained), source, out))  # a copy, without what was compiled here
        units = {group[0]: group for group in groups}
        with Crew(ray, room, config, job, {number: len(group) for number, group in units.items()}) as crew:
            for _, done in crew.work(units.__getitem__):
                yield done
        sweep(out)
