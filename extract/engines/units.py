"""What is left to do of a run whose workers may die."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping

from huse.features.errors import ClusterError

MOST_NAMED = 10
"""Units that an error names."""


class Units:
    """The units of a run, by their numbers. The largest come first: what is left at the end is short.

    Args:
        sizes: how large each is.
        tries: how often each is tried.

    Attributes:
        lacking: what is neither done nor given up.
    """

    def __init__(self, sizes: Mapping[int, int], tries: int) -> None:
        self.lacking = set(sizes)
        self._waiting = deque(sorted(sizes, key=lambda number: (-sizes[number], number)))
        self._tries = tries
        self._tried = Counter[int]()
        self._given_up: dict[int, str] = {}

    def next(self, running: Collection[int]) -> int | None:
        """What an idle worker is to do.

        When nothing waits, that is the oldest of what runs once only: a slow worker then holds up nobody, whoever is
        first counts, and both write the same.

        Args:
            running: what workers have, the oldest first; of a unit that two have, both.
        """
        while self._waiting:
            if (number := self._waiting.popleft()) in self.lacking:
                return number
        count = Counter(number for number in running if number in self.lacking)
        return next((number for number, n in count.items() if n == 1), None)

    def done(self, number: int) -> bool:
        """Notes that a unit is done; whether it was not so before."""
        new = number in self.lacking
        self.lacking.discard(number)
        return new

    def failed(self, number: int, problem: str) -> None:
        """Notes that a try of a unit has failed; it is tried again, or given up."""
        self._tried[number] += 1
        if number not in self.lacking:
            return
        if self._tried[number] < self._tries:
            self._waiting.appendleft(number)
        else:
            self.lacking.remove(number)
            self._given_up[number] = problem

    def require_all(self) -> None:
        """Refuses to go on without what was given up.

        Raises:
            ClusterError: the message names the first of them.
        """
        if not self._given_up:
            return
        numbers = sorted(self._given_up)
        more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
        named = ", ".join(map(str, numbers[:MOST_NAMED]))
        shards = "shards" if len(numbers) > 1 else "shard"
        raise ClusterError(
            f"{shards} {named}{more} could not be filled in {self._tries} tries ({self._given_up[numbers[0]]}); the "
            "others are; run the same command again for what lacks"
        )
