"""Texts read without steering, up to where steering begins to matter and on from there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.model.protocol import Model, ResidualHook
from interp_steer.model.tiling import tile
from interp_steer.steering.prefixes import tiled_prefix
from interp_steer.terms import Scope


@dataclass(frozen=True, kw_only=True)
class Text:
    """A prompt and a response to it, in tokens; at least one each."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadTexts:
    """Texts read without steering: the part that may be steered, right-padded, on top of the cached part.

    ``places`` numbers the positions that predict a token of a response over all texts, and is -1 elsewhere.
    """

    input_ids: Int[Tensor, "text pos"]
    mask: Int[Tensor, "text pos"]
    steered: Bool[Tensor, "text pos"]
    places: Int[Tensor, "text pos"]
    cache: Any
    cache_rows: Int[Tensor, " text"]
    cache_mask: Int[Tensor, "text past"]
    resid: dict[int, Float[Tensor, "text pos d_model"]]

    @property
    def width(self) -> int:
        """Most tokens of a row, those in the cache included."""
        return int(self.mask.shape[1] + self.cache_mask.shape[1])


def together(texts: Sequence[Text], scope: Scope, tokens: int) -> Iterator[list[int]]:
    """Yield the positions of texts to be read together: of similar length, all with a part to cache or none."""

    def key(i: int) -> tuple[bool, int, tuple[int, ...], int]:
        text = texts[i]
        return _n_cached(text, scope) == 0, len(text.prompt), text.prompt, len(text.response)

    left = sorted(range(len(texts)), key=key)
    while left:
        size, width = 0, 0
        for i in left:
            width = max(width, len(texts[i].prompt) + len(texts[i].response))
            if size and (key(i)[0] != key(left[0])[0] or (size + 1) * width > tokens):
                break
            size += 1
        yield left[:size]
        left = left[size:]


def _n_cached(text: Text, scope: Scope) -> int:
    return 0 if scope == "all" else len(text.prompt) - 1


def read_texts(model: Model, members: Sequence[tuple[Text, int]], layers: Sequence[int], scope: Scope) -> ReadTexts:
    """Read texts, each given with its first place, and keep the residual stream at these layers."""
    windows, steered, places = [], [], []
    for text, first_place in members:
        n_prompt, n_cached = len(text.prompt), _n_cached(text, scope)
        window = (*text.prompt, *text.response[:-1])[n_cached:]
        first = {"response": max(n_prompt - 1, 1), "generated": n_prompt, "all": 1}[scope]
        windows.append(window)
        steered.append([int(n_cached + i >= first) for i in range(len(window))])
        ahead = [0] * (len(window) - len(text.response))
        places.append([*ahead, *range(first_place + 1, first_place + 1 + len(text.response))])
    input_ids, mask = (part.to(model.device) for part in pad(windows, "right"))
    cache, cache_mask = None, mask[:, :0]
    prompts = list(dict.fromkeys(text.prompt for text, _ in members))
    rows = torch.tensor([prompts.index(text.prompt) for text, _ in members], device=model.device)
    if _n_cached(members[0][0], scope):
        cache, prompt_mask = tiled_prefix(model, prompts)
        cache_mask = prompt_mask[rows]
    with keeping(model, layers) as resid:
        own = None if cache is None else tile(cache, rows)  # a pass goes on in the cache it is given
        model.forward(input_ids, torch.cat([cache_mask, mask], dim=1), logits="none", cache=own)
    return ReadTexts(
        input_ids=input_ids,
        mask=mask,
        steered=pad(steered, "right")[0].bool().to(model.device),
        places=pad(places, "right")[0].to(model.device) - 1,
        cache=cache,
        cache_rows=rows,
        cache_mask=cache_mask,
        resid=resid,
    )


@contextmanager
def keeping(model: Model, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """Keep what leaves these blocks in the passes inside."""
    kept: dict[int, Tensor] = {}

    def keeper(layer: int) -> ResidualHook:
        def keep(resid: Float[Tensor, "batch pos d_model"]) -> None:
            kept[layer] = resid

        return keep

    with model.hooks({layer: keeper(layer) for layer in layers}):
        yield kept
