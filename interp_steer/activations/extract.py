"""Contrastive pairs to pooled activations: every layer in one pass, every prompt once.

The two responses of a pair go on from one reading of their prompt, and the prompts from one reading of what they all
begin with (a template's system prompt). The residual stream is pooled inside the
hook, so what is kept is one vector per text and layer however long the texts are. Pads and the first token
(the attention sink) are in no pool and in no norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor, nn

from interp_steer.activations.artifact import Activations
from interp_steer.batches import Batch, length_sorted_batches
from interp_steer.behaviors import Pair
from interp_steer.errors import PairsError
from interp_steer.model.protocol import Model, ResidualHook
from interp_steer.model.tiling import tile
from interp_steer.progress import progress
from interp_steer.records import ActivationCard
from interp_steer.terms import READ_POSITIONS, ReadPosition

TOKENS_PER_BATCH = {"cpu": 512}  # fewer at a time are padded less, and matrix products are no slower
TOKENS_PER_BATCH_ELSEWHERE = 4096
LINEAR_ROWS_PER_BATCH = 32  # linear attention keeps megabytes a row, however short
VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Text:
    prompt: tuple[int, ...]
    response: tuple[int, ...]


def extract(
    model: Model,
    pairs: Sequence[Pair],
    *,
    behavior: str,
    pairs_sha256: str = "",
    read_position: ReadPosition = "mean_response",
    first_k: int = 5,
    tokens_per_batch: int | None = None,
) -> Activations:
    """Read the residual stream of every pair at every layer.

    Args:
        model: The model to read.
        pairs: Contrastive pairs.
        behavior: Name for the card.
        pairs_sha256: Hash of the file the pairs are from, for the card.
        read_position: ``mean_response`` pools all response tokens, ``first_k`` the first ``first_k`` of
            them, ``last_response`` takes the last one, ``last_prompt`` the last token before the response.
        first_k: Number of response tokens of ``first_k``.
        tokens_per_batch: Padded tokens of one forward pass; bounds the memory. By default 512 on the CPU, else 4096.

    Returns:
        Activations in float32, whatever the dtype of the model.

    Raises:
        PairsError: If there are no pairs, or the read position is unknown.
        TemplateError: If a pair cannot be tokenized with a clean seam.
    """
    if not pairs:
        raise PairsError(f"behavior {behavior!r} has no pairs to extract")
    if read_position not in READ_POSITIONS:
        raise PairsError(f"read position {read_position!r} is not known; expected one of {', '.join(READ_POSITIONS)}")
    if first_k < 1:
        raise PairsError(f"first_k is {first_k}; expected at least 1")
    texts = []
    for pair in pairs:
        for response in (pair.positive, pair.negative):
            ids, n = model.chat.pair_ids(pair.prompt, response)
            texts.append(_Text(prompt=tuple(ids[:n]), response=tuple(ids[n:])))
    if read_position == "last_prompt" and any(len(text.prompt) == 1 for text in texts):
        raise PairsError("a prompt of a single token has no position to read that is not the attention sink")
    shape = (model.card.n_layers, len(texts))
    pooled = np.empty((*shape, model.card.d_model), dtype=np.float32)
    norms = np.empty(shape, dtype=np.float32)
    prompts = list(dict.fromkeys(text.prompt for text in texts))
    linear = "linear_attention" in model.card.layer_types
    most = LINEAR_ROWS_PER_BATCH if linear else None
    tokens_per_batch = tokens_per_batch or TOKENS_PER_BATCH.get(model.device.type, TOKENS_PER_BATCH_ELSEWHERE)
    # Linear attention has no positions to mask: no pads may come between what is shared and what follows.
    shared = 0 if linear else _n_shared(prompts)
    with progress("activations", len(texts)) as advance:
        opening = _opening(model, prompts[0][:shared])
        remainders = [ids[shared:] for ids in prompts]
        for batch in length_sorted_batches(remainders, tokens_per_batch, "left", rows_per_batch=most):
            prompt_mask = nn.functional.pad(batch.attention_mask, (shared, 0), value=1)
            prefix, last = _read_prompts(model, batch, prompt_mask, opening, keep_last=read_position == "last_prompt")
            place = {prompts[which]: row for row, which in enumerate(batch.rows)}
            members = [i for i, text in enumerate(texts) if text.prompt in place]
            if last is not None:
                pooled[:, members] = last[:, [place[texts[i].prompt] for i in members]]
            responses = [texts[i].response for i in members]
            for part in length_sorted_batches(responses, tokens_per_batch, rows_per_batch=most):
                rows = [members[i] for i in part.rows]
                index = torch.tensor([place[texts[i].prompt] for i in rows], device=model.device)
                weights = _weights(part.attention_mask, read_position, first_k)
                found, norms[:, rows] = _read(model, part, tile(prefix, index), prompt_mask[index.cpu()], weights)
                if last is None:
                    pooled[:, rows] = found
                advance(len(rows), "")
    counts = np.array([len(text.response) for text in texts], dtype=np.float32)
    return Activations(
        positive=pooled[:, 0::2],
        negative=pooled[:, 1::2],
        positive_norms=norms[:, 0::2],
        negative_norms=norms[:, 1::2],
        positive_tokens=counts[0::2],
        negative_tokens=counts[1::2],
        card=ActivationCard(
            model=model.card,
            behavior=behavior,
            pairs_sha256=pairs_sha256,
            read_position=read_position,
            first_k=first_k if read_position == "first_k" else None,
            versions={name: version(name) for name in VERSIONED},
        ),
    )


def _weights(mask: Int[Tensor, "text pos"], position: ReadPosition, first_k: int) -> Float[Tensor, "text pos"]:
    """Weigh the response tokens that are pooled, summing to 1 in each text."""
    order = mask.cumsum(dim=1)
    pool = mask.bool()
    if position == "first_k":
        pool = pool & (order <= first_k)
    elif position == "last_response":
        pool = pool & (order == mask.sum(dim=1, keepdim=True))
    return pool.float() / pool.sum(dim=1, keepdim=True)


def _n_shared(prompts: Sequence[tuple[int, ...]]) -> int:
    """Return how many tokens all prompts begin with, leaving each at least one of its own."""
    alike = takewhile(lambda tokens: len(set(tokens)) == 1, zip(*prompts, strict=False))
    return min(sum(1 for _ in alike), min(map(len, prompts)) - 1)


def _opening(model: Model, ids: Sequence[int]) -> Any:
    """Return the cache of what all prompts begin with; None if that is nothing."""
    if not ids:
        return None
    input_ids = torch.tensor([ids], device=model.device)
    return model.forward(input_ids, torch.ones_like(input_ids), logits="none", keep_cache=True).cache


def _read_prompts(
    model: Model, batch: Batch, mask: Int[Tensor, "prompt past_and_pos"], opening: Any, *, keep_last: bool
) -> tuple[Any, Float[np.ndarray, "layer prompt d_model"] | None]:
    """Return the cache of left-padded prompts and, if asked for, the residual at their last token."""
    last: dict[int, Tensor] = {}

    def reader(layer: int) -> ResidualHook:
        def read(resid: Float[Tensor, "prompt pos d_model"]) -> None:
            last[layer] = resid[:, -1].float().cpu()

        return read

    layers = range(model.card.n_layers) if keep_last else ()
    with model.hooks({layer: reader(layer) for layer in layers}):
        ids = batch.input_ids.to(model.device)
        past = None if opening is None else tile(opening, torch.zeros(len(ids), dtype=torch.long, device=ids.device))
        cache = model.forward(ids, mask.to(ids.device), logits="none", cache=past, keep_cache=True).cache
    return cache, torch.stack([last[layer] for layer in layers]).numpy() if keep_last else None


def _read(
    model: Model,
    batch: Batch,
    prefix: Any,
    prefix_mask: Int[Tensor, "text past"],
    weights: Float[Tensor, "text pos"],
) -> tuple[Float[np.ndarray, "layer text d_model"], Float[np.ndarray, "layer text"]]:
    """Return the pooled residual of right-padded responses, and the mean norm of all their tokens."""
    everywhere = _weights(batch.attention_mask, "mean_response", 0)
    pooled: dict[int, Tensor] = {}
    norms: dict[int, Tensor] = {}

    def reader(layer: int) -> ResidualHook:
        def read(resid: Float[Tensor, "text pos d_model"]) -> None:
            wide = resid.float()
            pooled[layer] = einsum(wide, weights.to(wide.device), "text pos d_model, text pos -> text d_model").cpu()
            token_norms = torch.linalg.vector_norm(wide, dim=-1)
            norms[layer] = einsum(token_norms, everywhere.to(wide.device), "text pos, text pos -> text").cpu()

        return read

    layers = range(model.card.n_layers)
    mask = torch.cat([prefix_mask, batch.attention_mask], dim=1).to(model.device)
    with model.hooks({layer: reader(layer) for layer in layers}):
        model.forward(batch.input_ids.to(model.device), mask, logits="none", cache=prefix)
    return (
        torch.stack([pooled[layer] for layer in layers]).numpy(),
        torch.stack([norms[layer] for layer in layers]).numpy(),
    )
