"""Contrastive pairs to pooled activations: one forward pass per batch reads every layer.

The residual stream is pooled inside the hook, so what is kept is one vector per text and layer however
long the texts are. Pads and the first token (the attention sink) are in no pool and in no norm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

from interp_steer.activations.artifact import Activations
from interp_steer.batches import Batch, length_sorted_batches
from interp_steer.errors import PairsError
from interp_steer.model.protocol import Model, ResidualHook
from interp_steer.progress import progress
from interp_steer.records import ActivationCard, Pair
from interp_steer.terms import READ_POSITIONS, ReadPosition

TOKENS_PER_BATCH = 4096
VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Text:
    ids: list[int]
    n_prompt: int


def extract(
    model: Model,
    pairs: Sequence[Pair],
    *,
    behavior: str,
    pairs_sha256: str = "",
    read_position: ReadPosition = "mean_response",
    first_k: int = 5,
    tokens_per_batch: int = TOKENS_PER_BATCH,
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
        tokens_per_batch: Padded tokens of one forward pass; bounds the memory.

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
    texts = [
        _Text(ids=ids, n_prompt=n)
        for pair in pairs
        for ids, n in (model.chat.pair_ids(pair.prompt, response) for response in (pair.positive, pair.negative))
    ]
    shape = (model.card.n_layers, len(texts))
    pooled = np.empty((*shape, model.card.d_model), dtype=np.float32)
    norms = np.empty(shape, dtype=np.float32)
    batches = length_sorted_batches([text.ids for text in texts], tokens_per_batch)
    with progress("activations", len(texts)) as advance:
        for batch in batches:
            members = [texts[i] for i in batch.rows]
            pool = _span(batch, members, read_position, first_k).to(model.device)
            response = _span(batch, members, "mean_response", first_k).to(model.device)
            pooled[:, batch.rows], norms[:, batch.rows] = _read(model, batch, pool, response)
            advance(len(batch.rows), "")
    if read_position == "last_prompt":
        pooled[:, 1::2] = pooled[:, 0::2]  # one prompt, two batches: what would differ is rounding
    counts = np.array([len(text.ids) - text.n_prompt for text in texts], dtype=np.float32)
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


def _span(batch: Batch, texts: Sequence[_Text], position: ReadPosition, first_k: int) -> Bool[Tensor, "text pos"]:
    """Mark the tokens that are pooled, never the first of a text (the attention sink)."""
    span = torch.zeros(batch.input_ids.shape, dtype=torch.bool)
    for row, text in enumerate(texts):
        start, end = text.n_prompt, len(text.ids)
        if position == "first_k":
            end = min(end, start + first_k)
        elif position == "last_response":
            start = end - 1
        elif position == "last_prompt":
            start, end = start - 1, start
        span[row, max(start, 1) : end] = True
        if not span[row].any():
            raise PairsError("a prompt of a single token has no position to read that is not the attention sink")
    return span


def _read(
    model: Model, batch: Batch, pool: Bool[Tensor, "text pos"], response: Bool[Tensor, "text pos"]
) -> tuple[Float[np.ndarray, "layer text d_model"], Float[np.ndarray, "layer text"]]:
    weights = pool.float() / pool.sum(dim=1, keepdim=True)
    norm_weights = response.float() / response.sum(dim=1, keepdim=True)
    pooled: dict[int, Tensor] = {}
    norms: dict[int, Tensor] = {}

    def reader(layer: int) -> ResidualHook:
        def read(resid: Float[Tensor, "text pos d_model"]) -> None:
            wide = resid.float()
            pooled[layer] = einsum(wide, weights.to(wide.device), "text pos d_model, text pos -> text d_model").cpu()
            token_norms = torch.linalg.vector_norm(wide, dim=-1)
            norms[layer] = einsum(token_norms, norm_weights.to(wide.device), "text pos, text pos -> text").cpu()

        return read

    layers = range(model.card.n_layers)
    with model.hooks({layer: reader(layer) for layer in layers}):
        model.forward(batch.input_ids.to(model.device), batch.attention_mask.to(model.device), logits="none")
    return (
        torch.stack([pooled[layer] for layer in layers]).numpy(),
        torch.stack([norms[layer] for layer in layers]).numpy(),
    )
