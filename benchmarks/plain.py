"""Steering as one writes it by hand: a forward hook on a Hugging Face model, and its own ``generate``."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from grid import Cell, Grid
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.terms import Scope


@contextmanager
def steered(hf: Any, cell: Cell, scope: Scope, mask: Tensor) -> Iterator[None]:
    """Steer every row of a left-padded batch alike.

    Args:
        hf: Plain Hugging Face model.
        cell: Where, along what, how strongly.
        scope: Which positions are steered.
        mask: Attention mask of the prompts.
    """
    push = cell.push.to(mask.device)
    prompt = torch.zeros_like(mask, dtype=torch.bool)
    if scope == "response":
        prompt[:, -1] = True
    elif scope == "all":
        prompt = (mask.cumsum(1) > 1) & mask.bool()

    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        before = output[0] if isinstance(output, tuple) else output
        wide = before.float()
        after = (wide + wide.norm(dim=-1, keepdim=True) * push).to(before.dtype)
        if before.shape[1] > 1:
            after = torch.where(prompt.unsqueeze(-1), after, before)
        return (after, *output[1:]) if isinstance(output, tuple) else after

    handle = hf.model.layers[cell.layer].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def steered_by_row(hf: Any, cells: Sequence[Cell]) -> Iterator[None]:
    """Steer each row at a layer of its own from the last prompt token on: the mixed batch, by hand."""
    handles = []
    device = hf.get_input_embeddings().weight.device
    for layer in sorted({cell.layer for cell in cells}):
        members = [row for row, cell in enumerate(cells) if cell.layer == layer]
        rows = torch.tensor(members, device=device)
        push = torch.stack([cells[row].push for row in members]).to(device)

        def hook(_module: Any, _inputs: Any, output: Any, rows: Tensor = rows, push: Tensor = push) -> Any:
            before = output[0] if isinstance(output, tuple) else output
            last = before[rows, -1].float()
            after = before.clone()
            after[rows, -1] = (last + last.norm(dim=-1, keepdim=True) * push).to(before.dtype)
            return (after, *output[1:]) if isinstance(output, tuple) else after

        handles.append(hf.model.layers[layer].register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def generate(hf: Any, prompts: Sequence[tuple[int, ...]], new_tokens: int, *, forced: bool = True) -> list[list[int]]:
    """Complete a left-padded batch greedily with ``generate``.

    Args:
        hf: Plain Hugging Face model.
        prompts: Token ids of each row.
        new_tokens: Longest completion.
        forced: Whether every row must have that many; else it ends with the longest.
    """
    device = hf.get_input_embeddings().weight.device
    input_ids, mask = (part.to(device) for part in pad(prompts, "left"))
    return _generate(hf, input_ids, mask, new_tokens, forced)


def generate_cell(hf: Any, grid: Grid, cell: Cell, prompts: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Complete prompts in one batch, steered as one cell."""
    device = hf.get_input_embeddings().weight.device
    input_ids, mask = (part.to(device) for part in pad(prompts, "left"))
    with steered(hf, cell, grid.scope, mask):
        return _generate(hf, input_ids, mask, grid.new_tokens, forced=True)


def generate_constant(
    hf: Any, prompts: Sequence[tuple[int, ...]], new_tokens: int, layer: int, push: Tensor, *, whole_prompt: bool
) -> list[list[int]]:
    """Complete prompts in one batch with a vector of fixed length added after a block: what the peers say they do.

    Args:
        hf: Plain Hugging Face model.
        prompts: Token ids of each row.
        new_tokens: Length of every row.
        layer: The block.
        push: What is added, ``[d_model]``.
        whole_prompt: Whether it is added at every position of the prompt, or from its last one on.
    """

    def hook(_module: Any, _inputs: Any, output: Any) -> Any:
        before = output[0] if isinstance(output, tuple) else output
        after = before + push
        if before.shape[1] > 1 and not whole_prompt:
            after = torch.cat([before[:, :-1], after[:, -1:]], dim=1)
        return (after, *output[1:]) if isinstance(output, tuple) else after

    handle = hf.model.layers[layer].register_forward_hook(hook)
    try:
        return generate(hf, prompts, new_tokens)
    finally:
        handle.remove()


def _generate(hf: Any, input_ids: Tensor, mask: Tensor, new_tokens: int, forced: bool) -> list[list[int]]:
    lengths = {"max_new_tokens": new_tokens, **({"min_new_tokens": new_tokens} if forced else {})}
    with torch.inference_mode():
        out = hf.generate(input_ids, attention_mask=mask, do_sample=False, pad_token_id=0, **lengths)
    found: list[list[int]] = out[:, input_ids.shape[1] :].tolist()
    return found


def step_seconds(hf: Any, prompts: Sequence[tuple[int, ...]], steps: int, wait: Callable[[], None]) -> list[float]:
    """Time single decode steps of the bare model: a growing cache, the last logits, the likeliest token."""
    device = hf.get_input_embeddings().weight.device
    input_ids, mask = (part.to(device) for part in pad(prompts, "left"))
    seconds = []
    with torch.inference_mode():
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        out = hf(input_ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
        for _ in range(steps):
            wait()
            started = time.perf_counter()
            token = out.logits[:, -1].argmax(-1, keepdim=True)
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            out = hf(
                token,
                attention_mask=mask,
                position_ids=mask.sum(-1, keepdim=True) - 1,
                past_key_values=out.past_key_values,
                use_cache=True,
                logits_to_keep=1,
            )
            wait()
            seconds.append(time.perf_counter() - started)
    return seconds
