"""Batched decoding in which every row has its own prompt, interventions and seed.

Unless the prompt itself is steered (scope ``all``), its cache is the same for every row that shares it:
each distinct prompt is read once, up to its last token, and its cache is tiled over the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.model.protocol import Model
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.sampling import Sampler
from interp_steer.steering.scope import prompt_positions
from interp_steer.terms import Scope

COMPACT_AT = 1 / 8


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodeRow:
    """One completion to make.

    Attributes:
        prompt_ids: Tokens of the rendered prompt.
        interventions: What is added to the residual stream, and where; empty is unsteered.
        seed: Seed of this row's sampling; rows do not share random numbers.
    """

    prompt_ids: tuple[int, ...]
    interventions: tuple[Intervention, ...] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Generated tokens, the end-of-turn token included if there is one."""

    ids: tuple[int, ...]
    finish: Literal["eos", "length"]


@dataclass(frozen=True, kw_only=True)
class DecodeSettings:
    """What all rows of a batch share.

    Attributes:
        scope: Positions that are steered.
        max_new_tokens: Longest completion.
        temperature: 0 decodes greedily.
        top_p: Mass of the nucleus when sampling.
    """

    scope: Scope = "response"
    max_new_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Prefix:
    """What the rows have read before the first steered position.

    Attributes:
        cache: One entry per row.
        mask: 1 for real tokens, 0 for the pads on the left.
    """

    cache: Any
    mask: Int[Tensor, "row pos"]


def decode(model: Model, rows: Sequence[DecodeRow], settings: DecodeSettings) -> list[Completion]:
    """Complete every row, in one batch.

    A row's tokens do not depend on its neighbors: pads are masked, and each row samples from its own
    generator. Rows that have ended leave the batch once they are an eighth of it.

    Returns:
        One completion per row, in the order given.
    """
    steering = BatchSteering([row.interventions for row in rows], model.device)
    sampler = Sampler([row.seed for row in rows], settings.temperature, settings.top_p)
    tokens: list[list[int]] = [[] for _ in rows]
    ended: set[int] = set()
    alive = list(range(len(rows)))
    prompts = [row.prompt_ids for row in rows]
    shared = settings.scope != "all" and min(len(ids) for ids in prompts) > 1
    prefix = tiled_prefix(model, prompts) if shared else None
    with model.hooks(steering.functions()):
        logits, mask, cache = _read_prompts(model, prompts, prefix, steering, settings.scope)
        for step in range(settings.max_new_tokens):
            chosen = sampler.choose(logits, alive)
            for row, token in zip(alive, chosen.tolist(), strict=True):
                if row not in ended:
                    tokens[row].append(token)
                    if token in model.eos_ids:
                        ended.add(row)
            if step + 1 == settings.max_new_tokens or ended.issuperset(alive):
                break
            left = [place for place, row in enumerate(alive) if row not in ended]
            if len(alive) - len(left) >= COMPACT_AT * len(alive):
                kept = torch.tensor(left, device=model.device)
                alive = [alive[place] for place in left]
                cache.reorder_cache(kept)
                steering.keep(kept)
                chosen, mask = chosen[kept], mask[kept]
            mask = torch.cat([mask, mask.new_ones(len(alive), 1)], dim=1)
            steering.positions = torch.ones(len(alive), 1, dtype=torch.bool, device=model.device)
            output = model.forward(chosen.unsqueeze(1), mask, logits="last", cache=cache)
            logits, cache = _last(output.logits), output.cache
    return [Completion(ids=tuple(ids), finish="eos" if row in ended else "length") for row, ids in enumerate(tokens)]


def tiled_prefix(model: Model, prompts: Sequence[tuple[int, ...]]) -> Prefix:
    """Read each distinct prompt once, up to its last token, and tile the cache over the rows.

    Call it with no hooks attached: the batch it runs has one row per distinct prompt.

    Args:
        model: The model to read with.
        prompts: Tokens of the prompt of each row, at least two each.
    """
    place = {ids: i for i, ids in enumerate(dict.fromkeys(prompts))}
    input_ids, mask = (part.to(model.device) for part in pad([ids[:-1] for ids in place], "left"))
    cache = model.forward(input_ids, mask, logits="none", keep_cache=True).cache
    index = torch.tensor([place[ids] for ids in prompts], device=model.device)
    cache.reorder_cache(index)
    return Prefix(cache=cache, mask=mask[index])


def _read_prompts(
    model: Model, prompts: Sequence[tuple[int, ...]], prefix: Prefix | None, steering: BatchSteering, scope: Scope
) -> tuple[Float[Tensor, "row vocab"], Int[Tensor, "row pos"], Any]:
    if prefix is None:
        input_ids, mask = (part.to(model.device) for part in pad(prompts, "left"))
        steering.positions = prompt_positions(mask, scope)
        output = model.forward(input_ids, mask, logits="last", keep_cache=True)
    else:
        last = torch.tensor([[ids[-1]] for ids in prompts], device=model.device)
        mask = torch.cat([prefix.mask, prefix.mask.new_ones(len(prompts), 1)], dim=1)
        steering.positions = prompt_positions(mask, scope)[:, -1:]
        output = model.forward(last, mask, logits="last", cache=prefix.cache)
    return _last(output.logits), mask, output.cache


def _last(logits: Float[Tensor, "row pos vocab"] | None) -> Float[Tensor, "row vocab"]:
    if logits is None:
        raise AssertionError("decoding asked for logits and got none")
    return logits[:, -1].float()
