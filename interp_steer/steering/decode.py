"""Batched decoding in which every row has its own prompt, interventions and seed.

Rows read their prompts ahead of time (:mod:`interp_steer.steering.prefixes`), take a slot of the batch, and
give it back to the next row as soon as they end, so that the batch stays full until no row waits.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import psutil
import torch

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.model.slots import Slots, bytes_per_slot
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.loops import loop_period
from interp_steer.steering.prefixes import read_prefixes
from interp_steer.steering.rows import Completion, DecodeRow, DecodeSettings
from interp_steer.steering.sampling import Sampler
from interp_steer.terms import Finish

logger = logging.getLogger(__name__)

LARGEST_BATCH = {"cpu": 128, "cuda": 512}
MEMORY_SHARE = 0.6
REFILL_AT = 1 / 32
YIELD_AT = 1 / 4
ADMITTED = 16


@dataclass(eq=False)
class _Live:
    """A row in the batch: its position in the caller's list, the token it reads next, and what it has said."""

    place: int
    token: int
    tokens: list[int] = field(default_factory=list)


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
        SteeringError: If a single row does not fit into memory.
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
            if not _out_of_memory(error):
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
    if model.device.type == "cuda":
        free = torch.cuda.mem_get_info(model.device)[0]
    else:
        free = psutil.virtual_memory().available
    fits = int(MEMORY_SHARE * free / memory_per_row(model, rows, settings))
    return max(1, min(fits, LARGEST_BATCH.get(model.device.type, 128)))


def memory_per_row(model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings) -> int:
    """Return the bytes a row of the batch takes: its slot in the cache, and its logits with two copies of them."""
    return bytes_per_slot(_example(model), _capacity(rows, settings)) + 3 * 4 * model.vocab_size


class _Decoder:
    """A batch at work: which rows are in it, and what they have said."""

    def __init__(self, model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings, size: int) -> None:
        self._model, self._rows, self._settings, self._size = model, rows, settings, size
        self._steering = BatchSteering((row.interventions for row in rows), model.device)
        self._sampler = Sampler([row.seed for row in rows], settings.temperature, settings.top_p)
        self._slots = Slots(_example(model), size, _capacity(rows, settings))
        self._prefixes = read_prefixes(model, rows, settings.scope, self._steering)
        self._live: list[_Live] = []
        self._waiting = len(rows)
        self._assigned: list[bool] | None = None

    def run(self) -> list[tuple[int, Completion]]:
        """Decode until a good part of the batch has ended; empty once every row has."""
        finished: list[tuple[int, Completion]] = []
        with self._model.hooks(self._steering.functions()):
            while (self._live or self._waiting) and len(finished) < max(1, self._size * YIELD_AT):
                self._admit()
                finished += self._step()
        return finished

    def _admit(self) -> None:
        free = min(self._size - len(self._live), self._waiting)
        if free == 0 or (self._live and free < min(self._waiting, self._size * REFILL_AT)):
            return
        for start in range(0, free, ADMITTED):  # a few at a time: what they have read is in memory twice until then
            admitted = list(islice(self._prefixes, min(ADMITTED, free - start)))
            self._slots.admit([prefix for _, prefix in admitted])
            self._live += [_Live(place=place, token=self._rows[place].prompt_ids[-1]) for place, _ in admitted]
            self._waiting -= len(admitted)
        self._assigned = None

    def _assign(self) -> None:
        """Steer every row, save at its first token: the attention sink, or the prompt's in scope ``generated``."""
        lengths = self._slots.lengths
        on = [
            length > 0 and bool(one.tokens or self._settings.scope != "generated")
            for one, length in zip(self._live, lengths, strict=True)
        ]
        if on != self._assigned:
            chosen = (self._rows[one.place].interventions for one in self._live)
            self._steering.assign([row if steered else () for row, steered in zip(chosen, on, strict=True)])
            self._assigned = on

    def _step(self) -> list[tuple[int, Completion]]:
        self._assign()
        model = self._model
        tokens = torch.tensor([[one.token] for one in self._live], device=model.device)
        output = model.forward(tokens, self._slots.mask(model.device), logits="last", cache=self._slots)
        if output.logits is None:
            raise AssertionError("decoding asked for logits and got none")
        self._slots.advance()
        chosen = self._sampler.choose(output.logits[:, -1], [one.place for one in self._live])
        ended: dict[int, tuple[int, Completion]] = {}
        for slot, (one, token) in enumerate(zip(self._live, chosen.tolist(), strict=True)):
            one.tokens.append(token)
            one.token = token
            if finish := self._finish(one.tokens):
                ended[slot] = (one.place, Completion(ids=tuple(one.tokens), finish=finish))
        if ended:
            self._live = [self._live[slot] for slot in self._slots.dismiss(list(ended))]
            self._assigned = None
        return list(ended.values())

    def _finish(self, tokens: Sequence[int]) -> Finish | None:
        if self._settings.stop_early:
            if tokens[-1] in self._model.eos_ids:
                return "eos"
            greedy = self._settings.temperature == 0  # by chance, a sampled row may still leave its loop
            if greedy and self._settings.stop_loops and loop_period(tokens) is not None:
                return "loop"
        return "length" if len(tokens) == self._settings.max_new_tokens else None


def _example(model: Model) -> Any:
    """Return a cache the model made, of two tokens."""
    ids = torch.zeros(1, 2, dtype=torch.long, device=model.device)
    return model.forward(ids, torch.ones_like(ids), logits="none", keep_cache=True).cache


def _capacity(rows: Sequence[DecodeRow], settings: DecodeSettings) -> int:
    return max(len(row.prompt_ids) for row in rows) + settings.max_new_tokens


def _out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "allocate memory" in text
        or "not enough memory" in text
    )
