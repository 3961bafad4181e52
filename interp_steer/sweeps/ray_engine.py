"""The engine of a Ray cluster: a model on every GPU, or on every node where there are none.

Requests go out in shards of whole cells, and answers come back as their rows end. A worker that is lost is
replaced, and what it had not answered goes to the next one; a row is answered once.
"""

import logging
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp_steer.errors import SteeringError
from interp_steer.records import ModelCard
from interp_steer.steering.decode import LARGEST_BATCH
from interp_steer.steering.rows import DecodeSettings
from interp_steer.sweeps.answers import Answer, Request
from interp_steer.sweeps.places import Place, worker_places
from interp_steer.sweeps.ray_worker import RayWorker
from interp_steer.sweeps.shards import Shard, Shards

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    from interp_steer.sweeps.ray_connection import connect
except ImportError as error:
    raise SteeringError('the ray engine needs Ray; install it with: pip install "interp-steer[ray]"') from error

logger = logging.getLogger(__name__)

MOST_LOSSES = 3
SECONDS_TO_SAY_SO = 60.0


@dataclass(eq=False)
class _Worker:
    """A worker, and what it is at: ``busy`` with loading if it has no shard, idle if it is None."""

    actor: Any
    busy: Any
    shard: Shard | None = None


class RayEngine:
    """Answers on the nodes of a Ray cluster; see :class:`~interp_steer.sweeps.answers.Engine`.

    Each GPU has a worker, or each node where there are none (:mod:`~interp_steer.sweeps.places`), also of nodes
    that join while it works.

    It is a context manager; :meth:`close` also runs when it is garbage, and when the process ends.
    """

    def __init__(
        self,
        name: str,
        options: Mapping[str, str | None] | None = None,
        *,
        address: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        """Start the workers, and wait for the first to have the model.

        Args:
            name: Preset, Hugging Face id, or folder; every node must have it.
            options: Keyword arguments of :func:`~interp_steer.model.load.load_model`.
            address: ``auto`` or ``host:port`` of a running cluster that this machine is a node of; by default Ray
                is started on this machine, and stopped in the end. Where Ray is connected already, that is used.
            batch_size: Most rows at a time on a worker; by default what memory allows.

        Raises:
            InterpSteerError: What loading the model raised on a worker.
            SteeringError: If the cluster cannot be joined or has no room, or its workers keep dying.
        """
        self._name, self._options, self._batch_size = name, dict(options or {}), batch_size
        if (self._options.get("device") or "cpu") not in ("cpu", "cuda", "mps"):
            raise SteeringError(
                f"device {self._options['device']!r}: Ray chooses the GPU of each worker; give cuda, cpu, or none"
            )
        self._workers: dict[Place, _Worker] = {}
        self._card: ModelCard | None = None
        self._failures: Counter[Place] = Counter()
        self._last_loss = ""
        self._finalizer = weakref.finalize(self, _release, self._workers, disconnect=connect(address))
        try:
            while self._card is None:
                self._hire()
                self._step()
        except BaseException:
            self.close()
            raise

    @property
    def card(self) -> ModelCard:
        """What identifies the model, as the workers say; they all say the same."""
        if self._card is None:
            raise AssertionError("the constructor waits for a card")
        return self._card

    def close(self) -> None:
        """Stop the workers, and Ray if it was started or joined here; again, it does nothing."""
        self._finalizer()

    def __enter__(self) -> "RayEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def answers(self, requests: Sequence[Request], settings: DecodeSettings) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers as workers send them.

        Raises:
            InterpSteerError: What a worker raised; it is not tried again.
            SteeringError: If a shard loses several workers in a row without an answer, or no node is left.
        """
        batch = self._batch_size or LARGEST_BATCH["cuda" if any(place.gpus for place in self._workers) else "cpu"]
        shards = Shards(requests, batch)
        try:
            while shards.unanswered:
                self._hire()
                for worker in self._workers.values():
                    if worker.busy is None and (shard := shards.next(len(self._workers))):
                        asked = [requests[place] for place in shard.places]  # one list: rows go on sharing their tuple
                        call = worker.actor.answers.options(num_returns="streaming")
                        worker.busy, worker.shard = call.remote(asked, settings), shard
                if found := self._step(shards):
                    yield found
        finally:
            for place, worker in list(self._workers.items()):
                if worker.shard is not None:  # left early: what it is still at is of no use
                    ray.kill(self._workers.pop(place).actor)

    def _step(self, shards: Shards | None = None) -> list[tuple[int, Answer]]:
        """Wait for any worker, and take what it has."""
        waiting = [worker.busy for worker in self._workers.values() if worker.busy is not None]
        ready, _ = ray.wait(waiting, num_returns=1, timeout=SECONDS_TO_SAY_SO)
        if not ready and all(worker.shard is None for worker in self._workers.values()):
            logger.warning("still waiting for the cluster to make room for a worker, and for it to load %s", self._name)
        for place, worker in list(self._workers.items()):
            if worker.busy in ready:
                try:
                    return self._receive(place, shards)
                except RayTaskError as error:
                    raise error.cause from error
                except RayError as error:
                    self._lose(place, error, shards)
        return []

    def _receive(self, place: Place, shards: Shards | None) -> list[tuple[int, Answer]]:
        worker = self._workers[place]
        if worker.shard is None or shards is None:
            card = ray.get(worker.busy)
            if self._card is not None and card != self._card:
                raise SteeringError(f"the nodes of the cluster have different models: {self._card} and {card}")
            self._card, worker.busy = card, None
            self._failures[place] = 0
            return []
        found = shards.answered(worker.shard, ray.get(next(worker.busy)))
        if not worker.shard.left:
            worker.busy = worker.shard = None
        return found

    def _hire(self) -> None:
        """Start a worker at every place that has none."""
        if not self._finalizer.alive:
            raise SteeringError("this engine was closed; start another")
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        for place in worker_places(nodes, self._options):
            if place not in self._workers and self._failures[place] < MOST_LOSSES:
                strategy = NodeAffinitySchedulingStrategy(node_id=place.node, soft=False)
                kind: Any = ray.remote(RayWorker)
                needs = kind.options(num_gpus=place.gpus, num_cpus=place.cpus, scheduling_strategy=strategy)
                actor = needs.remote()
                busy = actor.load.remote(
                    self._name, self._options, self._batch_size, max(1, place.cpus), str(Path.cwd())
                )
                self._workers[place] = _Worker(actor=actor, busy=busy)
        if not self._workers:
            raise SteeringError(
                "the Ray cluster has no node that can work: expected one with a CPU or GPU whose workers stay alive"
                f"{self._last_loss}; see 'ray status'"
            )

    def _lose(self, place: Place, error: Exception, shards: Shards | None) -> None:
        """Strike a worker off, and ask what it owes again.

        Raises:
            SteeringError: If its shard has now cost several workers in a row.
        """
        worker = self._workers.pop(place)
        ray.kill(worker.actor)  # it may only be out of reach
        reason = " ".join(str(error).split())
        self._last_loss = f"; the last was lost: {reason}"
        if worker.shard is None or shards is None:
            self._failures[place] += 1
            logger.warning("lost a worker on node %s before it had the model: %s", place.node, reason)
            return
        again = shards.put_back(worker.shard)
        n_left, n = len(again.places), len(worker.shard.places)
        logger.warning("lost a worker on node %s: %d of its %d rows are asked again", place.node, n_left, n)
        if again.losses >= MOST_LOSSES:
            raise SteeringError(
                f"{again.losses} workers in a row were lost on the same {n_left} rows, without an answer; "
                f"perhaps they need more memory than a worker has{self._last_loss}"
            ) from error


def _release(workers: dict[Place, _Worker], *, disconnect: bool) -> None:
    if ray.is_initialized():
        for worker in workers.values():
            ray.kill(worker.actor)
        if disconnect:
            ray.shutdown()
    workers.clear()
