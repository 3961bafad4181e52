"""Where in a text the direction is present, and which tokens it promotes, layer by layer.

Texts are read by the *unsteered* model, also those that steering produced: what is colored is the text,
not the vector that was added while it was written. The measure is the cosine of every response token with the
direction.

Promoted tokens are the logit lens of the direction itself: it goes through the final norm and the unembedding as if it
were the whole residual stream, ``W_U norm(direction)``, minus the mean over the vocabulary. That shows the direct path
to the output only; the blocks above the layer, through which steering mostly works, are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from interp_steer.errors import TemplateError
from interp_steer.model.protocol import Model, ResidualHook
from interp_steer.outcomes import UNSTEERED, read_outcomes
from interp_steer.pairs import read_pairs, read_prompts
from interp_steer.run import Run
from interp_steer.vectors.vector import SteeringVectors

READ_PAIRS = 2
READ_PROMPTS = 2
N_PROMOTED = 12


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A response to color.

    Attributes:
        title: What the reader sees above it.
        group: Whether it is one side of a contrastive pair or a generation.
        side: Which side, or how it was made.
        prompt: What was asked.
        response: What was answered.
    """

    title: str
    group: Literal["pair", "generation"]
    side: Literal["positive", "negative", "unsteered", "steered"]
    prompt: str
    response: str


@dataclass(frozen=True, kw_only=True)
class ProjectedText:
    """A response with the cosine of each of its tokens, ``cosines[layer][token]``."""

    title: str
    group: str
    side: str
    tokens: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class PromotedTokens:
    """The tokens whose logits the direction of one layer raises and lowers most, strongest first.

    ``up`` and ``down`` pair a token with its logit, above the mean over the vocabulary.
    """

    up: tuple[tuple[str, float], ...]
    down: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Projections:
    """Projected texts, the layers they were read at, and the tokens that each layer's direction promotes."""

    layers: tuple[int, ...]
    texts: tuple[ProjectedText, ...]
    promoted: tuple[PromotedTokens, ...] = ()


def project(model: Model, vectors: SteeringVectors, readings: Sequence[Reading]) -> Projections:
    """Read every text once and compare each response token with the direction of every layer.

    Responses that have no token, or that merge with the prompt, are left out.

    Raises:
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    texts = []
    for reading in readings:
        try:
            ids, n_prompt = model.chat.pair_ids(reading.prompt, reading.response)
        except TemplateError:
            continue
        cosines = _cosines(model, vectors, ids)[:, n_prompt:]
        texts.append(
            ProjectedText(
                title=reading.title,
                group=reading.group,
                side=reading.side,
                tokens=tuple(model.chat.pieces(ids[n_prompt:])),
                cosines=tuple(tuple(round(value, 4) for value in row) for row in cosines.tolist()),
            )
        )
    return Projections(
        layers=tuple(range(vectors.n_layers)), texts=tuple(texts), promoted=promoted_tokens(model, vectors)
    )


def promoted_tokens(model: Model, vectors: SteeringVectors, n: int = N_PROMOTED) -> tuple[PromotedTokens, ...]:
    """Return the ``n`` tokens that each layer's direction raises and lowers most, by the direct path to the output.

    Directions have the root mean square 1, as residual streams have behind the final norm.

    Raises:
        VectorError: If the vectors belong to another model.

    Source:
        nostalgebraist, "interpreting GPT: the logit lens" (2020).
    """
    return tuple(
        PromotedTokens(up=_listed(model, row, n, largest=True), down=_listed(model, row, n, largest=False))
        for row in lens_logits(model, vectors)
    )


def lens_logits(model: Model, vectors: SteeringVectors) -> Float[Tensor, "layer vocab"]:
    """Return ``W_U norm(direction)`` of every layer, less its mean over the vocabulary; zero without a direction.

    Raises:
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    directions = torch.as_tensor(vectors.direction, device=model.device).float()
    resid = directions / directions.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-12)
    like = torch.zeros(1, vectors.n_layers, dtype=torch.long, device=model.device)
    dtype = getattr(torch, model.card.dtype)
    # One position a layer, entering behind the last block: only the final norm and the unembedding run.
    logits = model.forward(
        like, torch.ones_like(like), logits="all", start=(model.card.n_layers, resid[None].to(dtype))
    ).logits
    assert logits is not None  # noqa: S101 (asked for)
    return (logits[0].float() - logits[0].float().mean(dim=-1, keepdim=True)).cpu()


def _listed(model: Model, row: Float[Tensor, " vocab"], n: int, *, largest: bool) -> tuple[tuple[str, float], ...]:
    values, ids = row.topk(min(n, row.numel()), largest=largest)
    pieces = model.chat.pieces(ids.tolist())
    return tuple((piece, round(value, 3)) for piece, value in zip(pieces, values.tolist(), strict=True))


def run_readings(run: Run, behavior: str | Path) -> list[Reading]:
    """Choose what a report colors: the first pairs, and the first test prompts unsteered and at the best dev cell."""
    found = []
    for i, pair in enumerate(read_pairs(behavior)[:READ_PAIRS], start=1):
        found += [
            Reading(
                title=f"Pair {i}, positive", group="pair", side="positive", prompt=pair.prompt, response=pair.positive
            ),
            Reading(
                title=f"Pair {i}, negative", group="pair", side="negative", prompt=pair.prompt, response=pair.negative
            ),
        ]
    outcomes = read_outcomes(run)
    best = outcomes.best_cell("dev")
    shown = {prompt.id for prompt in read_prompts(behavior, "test")[:READ_PROMPTS]}
    for one in [*outcomes.judged("test", UNSTEERED), *(outcomes.judged("test", best) if best else [])]:
        generation = one.generation
        if generation.prompt_id in shown and generation.text:
            side: Literal["unsteered", "steered"] = "unsteered" if generation.cell == UNSTEERED else "steered"
            title = f"{generation.prompt} ({side})"
            found.append(
                Reading(title=title, group="generation", side=side, prompt=generation.prompt, response=generation.text)
            )
    return found


def _cosines(model: Model, vectors: SteeringVectors, ids: list[int]) -> Float[Tensor, "layer pos"]:
    found: dict[int, Tensor] = {}

    def reader(layer: int) -> ResidualHook:
        direction = torch.as_tensor(vectors.direction[layer])

        def read(resid: Float[Tensor, "batch pos d_model"]) -> None:
            one = resid[0].float()
            norm = torch.linalg.vector_norm(one, dim=-1).clamp(min=torch.finfo(torch.float32).tiny)
            found[layer] = ((one @ direction.to(one.device)) / norm).cpu()

        return read

    input_ids = torch.tensor([ids], device=model.device)
    with model.hooks({layer: reader(layer) for layer in range(vectors.n_layers)}):
        model.forward(input_ids, torch.ones_like(input_ids), logits="none")
    return torch.stack([found[layer] for layer in range(vectors.n_layers)])
