"""Requests in shards, for workers that may be lost: whole cells where possible, and nothing asked or kept twice."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from interp_steer.sweeps.answers import Answer, Request

MOST_BATCHES = 4


@dataclass(eq=False, kw_only=True)
class Shard:
    """What one worker is asked at a time.

    Attributes:
        places: Positions of its requests.
        losses: How many workers in a row were lost on it without an answer.
        left: Positions that have no answer yet.
    """

    places: tuple[int, ...]
    losses: int = 0
    left: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.left = set(self.places)


class Shards:
    """Cuts requests into shards as workers ask for them, and keeps account of what was answered.

    A shard has a few batches, so that a worker's batch stays full; less towards the end, so that all end
    together; and never more than a worker's part of the whole.
    """

    def __init__(self, requests: Sequence[Request], batch: int) -> None:
        """Take the requests of a sweep.

        Args:
            requests: Those of a cell share their interventions.
            batch: Rows that a worker decodes together.
        """
        cells: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            cells.setdefault(id(request.interventions), []).append(place)
        self._cells = deque(tuple(cell) for cell in cells.values())
        self._batch = batch
        self._total = self._waiting = self.unanswered = len(requests)
        self._again: deque[Shard] = deque()

    def next(self, workers: int) -> Shard | None:
        """Return what an idle worker is to do, one of ``workers``; None if everything is handed out."""
        if self._again:
            return self._again.popleft()
        if not self._cells:
            return None
        least = min(self._batch, -(-self._total // workers))
        size = min(max(-(-self._waiting // (2 * workers)), least), MOST_BATCHES * self._batch)
        places: tuple[int, ...] = ()
        while self._cells and len(places) + len(self._cells[0]) / 2 <= size:  # rather whole than to the row
            places += self._cells.popleft()
        if not places:
            places, rest = self._cells[0][:size], self._cells.popleft()[size:]
            self._cells.appendleft(rest)
        self._waiting -= len(places)
        return Shard(places=places)

    def answered(self, shard: Shard, answers: Sequence[tuple[int, Answer]]) -> list[tuple[int, Answer]]:
        """Strike off what a worker answered; return the answers with the positions of their requests.

        Args:
            shard: What it was asked.
            answers: Some answers, each with its position in the shard.
        """
        found = [(shard.places[index], answer) for index, answer in answers]
        shard.left -= {place for place, _ in found}
        self.unanswered -= len(found)
        return found

    def put_back(self, shard: Shard) -> Shard:
        """Take back a shard whose worker was lost; what is left of it comes next, as the shard returned."""
        losses = shard.losses + 1 if len(shard.left) == len(shard.places) else 1
        again = Shard(places=tuple(place for place in shard.places if place in shard.left), losses=losses)
        self._again.append(again)
        return again
