"""What rows have read before they decode: each prompt up to its last token.

Unless the prompt itself is steered (scope ``all``), the rows of a prompt share it. With scope ``all``, rows
share what lies below the first layer they steer: the prompt is read once unsteered, and each row starts
from that residual stream, at its own layer.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.model.protocol import Model
from interp_steer.model.readings import Prefix, Reading
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.rows import DecodeRow
from interp_steer.steering.scope import prompt_positions
from interp_steer.terms import Scope

TOKENS_PER_READING = 2048
ROWS_PER_READING = 32  # linear attention keeps megabytes a row, however short


def read_prefixes(
    model: Model, rows: Sequence[DecodeRow], scope: Scope, steering: BatchSteering, *, tokens: int = TOKENS_PER_READING
) -> Iterator[tuple[int, Prefix]]:
    """Yield the position of each row and what it has read, in an order in which rows share most.

    A prompt is read when the first of its rows is asked for, together with the next ones, and kept until its
    last row has passed. Call it with the hooks of ``steering`` attached; it reassigns them.

    Args:
        model: The model to read with.
        rows: Prompts and interventions.
        scope: Which positions are steered.
        steering: Knows the interventions of every row.
        tokens: Most padded tokens of one forward pass; a longer prompt gets one of its own.
    """
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for place in sorted(range(len(rows)), key=lambda i: (len(rows[i].prompt_ids), rows[i].prompt_ids)):
        by_prompt.setdefault(rows[place].prompt_ids, []).append(place)
    prompts = list(by_prompt)
    while prompts:
        size = 1
        most = min(len(prompts), ROWS_PER_READING)
        while size < most and (size + 1) * len(prompts[size]) <= tokens:
            size += 1
        together, prompts = prompts[:size], prompts[size:]
        for ids in together:
            if len(ids) == 1:
                yield from ((place, Prefix(length=0)) for place in by_prompt[ids])
        longer = [ids for ids in together if len(ids) > 1]
        members = [(which, place) for which, ids in enumerate(longer) for place in by_prompt[ids]]
        if members:
            yield from _read(model, [ids[:-1] for ids in longer], members, rows, steering, scope, tokens)


def _read(
    model: Model,
    prompts: Sequence[tuple[int, ...]],
    members: Sequence[tuple[int, int]],
    rows: Sequence[DecodeRow],
    steering: BatchSteering,
    scope: Scope,
    tokens: int,
) -> Iterator[tuple[int, Prefix]]:
    """Read prompts; ``members`` says which of them each row begins with."""
    input_ids, mask = (part.to(model.device) for part in pad(prompts, "left"))
    with steering.capturing(keep=scope == "all") as captured:
        cache = model.forward(input_ids, mask, logits="none", keep_cache=True).cache
    pads = tuple((mask == 0).sum(dim=1).tolist())
    unsteered = Reading(cache=cache, pads=pads)
    by_layer: dict[int, dict[tuple[int, tuple[int, ...]], list[int]]] = {}  # places that share prompt and push
    for which, place in members:
        pushes = rows[place].interventions
        layer = steering.first_layer(pushes) if scope == "all" else None
        if layer is None or layer + 1 == model.card.n_layers:  # the last block's output is in no cache
            yield place, Prefix(length=len(prompts[which]), sources=((unsteered, which),))
        else:
            by_layer.setdefault(layer, {}).setdefault((which, tuple(map(id, pushes))), []).append(place)
    for layer in sorted(by_layer):
        size = max(1, min(ROWS_PER_READING, tokens // input_ids.shape[1]))
        alike = [(which, places) for (which, _), places in by_layer[layer].items()]
        for at in range(0, len(alike), size):
            batch = alike[at : at + size]
            index = torch.tensor([which for which, _ in batch], device=model.device)
            pushed = [rows[places[0]].interventions for _, places in batch]
            steering.assign(pushed, prompt_positions(mask[index], "all"))
            resid = captured[layer].index_select(0, index.to(captured[layer].device))
            after = steering.apply(layer, resid)
            start = (layer + 1, resid if after is None else after)
            above = model.forward(input_ids[index], mask[index], logits="none", keep_cache=True, start=start).cache
            reading = Reading(cache=above, pads=tuple(pads[which] for which, _ in batch), first_layer=layer + 1)
            for row, (which, places) in enumerate(batch):
                prefix = Prefix(length=len(prompts[which]), sources=((unsteered, which), (reading, row)))
                yield from ((place, prefix) for place in places)


def tiled_prefix(model: Model, prompts: Sequence[tuple[int, ...]]) -> tuple[object, Int[Tensor, "row pos"]]:
    """Read each distinct prompt once, up to its last token, and tile the cache over the rows.

    Call it with no hooks attached: the batch it runs has one row per distinct prompt.

    Args:
        model: The model to read with.
        prompts: Tokens of the prompt of each row, at least two each.

    Returns:
        A cache with one entry per row, and its mask: 1 for real tokens, 0 for the pads on the left.
    """
    place = {ids: i for i, ids in enumerate(dict.fromkeys(prompts))}
    input_ids, mask = (part.to(model.device) for part in pad([ids[:-1] for ids in place], "left"))
    cache = model.forward(input_ids, mask, logits="none", keep_cache=True).cache
    index = torch.tensor([place[ids] for ids in prompts], device=model.device)
    cache.reorder_cache(index)
    return cache, mask[index]
