"""Batched decoding in which every row has its own prompt, interventions and seed.

Rows read their prompts ahead of time (:mod:`interp_steer.steering.prefixes`), take a slot of the batch, and
give it back to the next row as soon as they end, so that the batch stays full until no row waits.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice

import torch

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.model.slots import Slots
from interp_steer.steering.batch import Batch, Member, bytes_per_row, example_cache, free_memory, not_numbers
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.prefixes import read_prefixes
from interp_steer.steering.rows import Completion, DecodeRow, DecodeSettings
from interp_steer.steering.sampling import Sampler

logger = logging.getLogger(__name__)

LARGEST_BATCH = {"cpu": 128, "cuda": 512}
MEMORY_SHARE = 0.6
REFILL_AT = 1 / 32
YIELD_AT = 1 / 4
ADMITTED = 16


def decode(
    model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings, *, batch_size: int | None = None
) -> list[Completion]:
    """Complete every row; see :func:`stream`.

    Returns:
        One completion per row, in the order given.
    """
    found = dict(one for batch in stream(model, rows, settings, batch_size=batch_size) for one in batch)
    return [found[place] for place in range(len(rows))]


def stream(
    model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings, *, batch_size: int | None = None
) -> Iterator[list[tuple[int, Completion]]]:
    """Complete every row; yield completions, with their position in ``rows``, some at a time as they end.

    A row's tokens do not depend on its neighbors: each has a slot of its own, and samples from its own
    generator. (Matrix products round differently at another batch size: in bfloat16, near ties may fall
    otherwise.) Out of memory, the batch is halved, and the rows in it begin again. No hook is attached while a
    caller handles what was yielded.

    Args:
        model: The model to steer.
        rows: What to complete.
        settings: What all rows share.
        batch_size: Most rows at a time; by default what memory allows, up to where more gains nothing.

    Raises:
        SteeringError: If a single row does not fit into memory, or the logits of a row are not numbers.
    """
    left = list(range(len(rows)))
    size = batch_size
    while left:
        size = min(size or auto_batch_size(model, rows, settings), len(left))
        decoder, full = None, False
        try:
            decoder = _Decoder(model, [rows[place] for place in left], settings, size)
            places, gone = left, set[int]()
            while found := decoder.run():
                gone.update(places[at] for at, _ in found)
                left = [place for place in places if place not in gone]
                yield [(places[at], completion) for at, completion in found]
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if size == 1:
                raise SteeringError("a single row does not fit into memory; use shorter completions") from error
            full = True
        if full:  # here, where no traceback holds what is to be given back
            decoder, size = None, size // 2
            logger.warning("out of memory: going on with batches of %d rows", size)
            if model.device.type == "cuda":
                torch.cuda.empty_cache()


def auto_batch_size(model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings) -> int:
    """Return the number of rows that fit into a share of the free memory, caches and logits counted.

    On a CPU, matrix products gain nothing beyond 128 rows.
    """
    fits = int(MEMORY_SHARE * free_memory(model) / memory_per_row(model, rows, settings))
    return max(1, min(fits, LARGEST_BATCH.get(model.device.type, 128)))


def memory_per_row(model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings) -> int:
    """Return the bytes that each of some rows takes in a batch."""
    return bytes_per_row(model, _capacity(rows, settings))


class _Decoder:
    """A batch that a fixed list of rows passes through."""

    def __init__(self, model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings, size: int) -> None:
        self._model, self._size, self._waiting = model, size, len(rows)
        self._steering = BatchSteering((row.interventions for row in rows), model.device)
        sampler = Sampler([row.seed for row in rows], settings.temperature, settings.top_p)
        self._members = [Member(row=row, settings=settings, sampler=sampler, number=i) for i, row in enumerate(rows)]
        self._batch = Batch(model, Slots(example_cache(model), size, _capacity(rows, settings)))
        self._prefixes = read_prefixes(model, rows, settings.scope, self._steering)

    def run(self) -> list[tuple[int, Completion]]:
        """Decode until a good part of the batch has ended; empty once every row has."""
        finished: list[tuple[int, Completion]] = []
        with self._model.hooks(self._steering.functions()):
            while (len(self._batch) or self._waiting) and len(finished) < max(1, self._size * YIELD_AT):
                self._admit()
                finished += map(_completion, self._batch.step(self._steering))
        return finished

    def _admit(self) -> None:
        n = len(self._batch)
        free = min(self._size - n, self._waiting)
        if free == 0 or (n and free < min(self._waiting, self._size * REFILL_AT)):
            return
        for start in range(0, free, ADMITTED):  # a few at a time: what they have read is in memory twice until then
            admitted = list(islice(self._prefixes, min(ADMITTED, free - start)))
            self._batch.admit([self._members[place] for place, _ in admitted], [prefix for _, prefix in admitted])
            self._waiting -= len(admitted)


def _completion(member: Member) -> tuple[int, Completion]:
    if member.finish is None:
        raise SteeringError(not_numbers(member.row))
    return member.number, Completion(ids=tuple(member.tokens), finish=member.finish)


def _capacity(rows: Sequence[DecodeRow], settings: DecodeSettings) -> int:
    return max(len(row.prompt_ids) for row in rows) + settings.max_new_tokens


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a CPU or a GPU."""
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "allocate memory" in text
        or "not enough memory" in text
    )
