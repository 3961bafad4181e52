"""Rows at work side by side, each in a slot of its own, with its own interventions, scope, sampling and length.

Who comes in and when is the caller's: a fixed list of rows (:mod:`interp_steer.steering.decode`), or requests as
they arrive (:mod:`interp_steer.serving.live`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.model.protocol import Model
from interp_steer.model.readings import Prefix
from interp_steer.model.slots import Slots, bytes_per_slot
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.loops import loop_period
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.steering.sampling import Sampler
from interp_steer.terms import Finish


@dataclass(eq=False, kw_only=True)
class Member:
    """A row of the batch.

    Attributes:
        row: Its prompt and interventions.
        settings: How it is decoded; rows of one batch may differ in all of it.
        sampler: Chooses its tokens; rows that share one are chosen together.
        number: Its number among the sampler's seeds.
        tokens: What it has said.
        finish: Why it ended; None while it goes on, and where its logits were not numbers.
    """

    row: DecodeRow
    settings: DecodeSettings
    sampler: Sampler
    number: int = 0
    tokens: list[int] = field(default_factory=list)
    finish: Finish | None = None


_GREEDY = Sampler([], 0.0, 1.0)


def new_member(row: DecodeRow, settings: DecodeSettings) -> Member:
    """Return a row that has said nothing yet, with a sampler of its own; greedy ones share theirs."""
    if settings.temperature == 0:
        return Member(row=row, settings=settings, sampler=_GREEDY)
    return Member(row=row, settings=settings, sampler=Sampler([row.seed], settings.temperature, settings.top_p))


class Batch:
    """The decode loop: what is in which slot, and one step of all of it."""

    def __init__(self, model: Model, slots: Slots) -> None:
        """Begin with no row.

        Args:
            model: Decodes.
            slots: Its cache for the rows of this batch; nothing else may use it.
        """
        self._model, self._slots = model, slots
        self._members: list[Member] = []
        self._assigned: list[bool] | None = None

    @property
    def members(self) -> tuple[Member, ...]:
        """The rows in the batch, in the order of their slots."""
        return tuple(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def admit(self, members: Sequence[Member], prefixes: Sequence[Prefix]) -> None:
        """Give rows a slot each, with what they have read: their prompts up to the last token."""
        self._slots.admit(prefixes)
        self._members += members
        self._assigned = None

    def dismiss(self, members: Sequence[Member]) -> None:
        """Take rows out, whatever they have said."""
        leaving = set(members)
        gone = [slot for slot, one in enumerate(self._members) if one in leaving]
        if gone:
            self._members = [self._members[slot] for slot in self._slots.dismiss(gone)]
            self._assigned = None

    def step(self, steering: BatchSteering) -> list[Member]:
        """Read one token in every row and choose its next.

        Args:
            steering: Knows the interventions of every row, and has its hooks attached; it may be another one than
                at the last step only if rows were admitted since.

        Returns:
            The rows that ended by it, which have left the batch. Where ``finish`` is None, the logits were not
            numbers, and the row has no new token.
        """
        self._assign(steering)
        model = self._model
        last = [[one.tokens[-1] if one.tokens else one.row.prompt_ids[-1]] for one in self._members]
        tokens = torch.tensor(last, device=model.device)
        output = model.forward(tokens, self._slots.mask(model.device), logits="last", cache=self._slots)
        if output.logits is None:
            raise AssertionError("decoding asked for logits and got none")
        self._slots.advance()
        ended = []
        for one, token in zip(self._members, self._choose(output.logits[:, -1]).tolist(), strict=True):
            if token >= 0:
                one.tokens.append(token)
                one.finish = self._finish(one)
            if token < 0 or one.finish:
                ended.append(one)
        if ended:
            self.dismiss(ended)
        return ended

    def _assign(self, steering: BatchSteering) -> None:
        """Steer every row, save at its first token: the attention sink, or the prompt's in scope ``generated``."""
        lengths = self._slots.lengths
        on = [
            length > 0 and bool(one.tokens or one.settings.scope != "generated")
            for one, length in zip(self._members, lengths, strict=True)
        ]
        if on != self._assigned:
            chosen = (one.row.interventions for one in self._members)
            steering.assign([row if steered else () for row, steered in zip(chosen, on, strict=True)])
            self._assigned = on

    def _choose(self, logits: Float[Tensor, "row vocab"]) -> Int[Tensor, " row"]:
        slots: dict[Sampler, list[int]] = {}
        for slot, one in enumerate(self._members):
            slots.setdefault(one.sampler, []).append(slot)
        if len(slots) == 1:
            return next(iter(slots)).choose(logits, [one.number for one in self._members])
        tokens = torch.empty(len(logits), dtype=torch.long, device=logits.device)
        for sampler, members in slots.items():
            index = torch.tensor(members, device=logits.device)
            tokens[index] = sampler.choose(logits[index], [self._members[slot].number for slot in members])
        return tokens

    def _finish(self, one: Member) -> Finish | None:
        settings = one.settings
        if settings.stop_early:
            if one.tokens[-1] in self._model.eos_ids:
                return "eos"
            greedy = settings.temperature == 0  # by chance, a sampled row may still leave its loop
            if greedy and settings.stop_loops and loop_period(one.tokens) is not None:
                return "loop"
        return "length" if len(one.tokens) == settings.max_new_tokens else None


def example_cache(model: Model) -> Any:
    """Return a cache the model made, of two tokens: what :class:`Slots` takes its shapes from."""
    ids = torch.zeros(1, 2, dtype=torch.long, device=model.device)
    return model.forward(ids, torch.ones_like(ids), logits="none", keep_cache=True).cache


LOGIT_BYTES = 40  # logits, scaled, sorted with their places (12), and softmax in float32; running sums in float64


def bytes_per_row(model: Model, capacity: int) -> int:
    """Return the bytes a row of the batch takes: its slot in the cache, its logits and what sampling makes of them."""
    return bytes_per_slot(example_cache(model), capacity) + LOGIT_BYTES * model.vocab_size


def free_memory(model: Model) -> int:
    """Return the bytes that are free where the model computes."""
    if model.device.type == "cuda":
        return torch.cuda.mem_get_info(model.device)[0]
    return psutil.virtual_memory().available


def not_numbers(row: DecodeRow) -> str:
    """Return what to tell of a row whose logits are not numbers."""
    how = ", ".join(f"layer {one.layer} at alpha {one.alpha:g}" for one in row.interventions)
    return (
        f"the logits are not numbers (NaN) with {how or 'nothing steered'}: the residual stream has left the range of "
        "the model's dtype; use smaller alphas, or load the model in bfloat16 or float32"
    )
