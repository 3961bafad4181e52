"""Where in a text the direction is present: the cosine of every response token with it, layer by layer.

Texts are read by the *unsteered* model, also those that steering produced: what is colored is the text,
not the vector that was added while it was written.
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
class Projections:
    """Projected texts and the layers they were read at."""

    layers: tuple[int, ...]
    texts: tuple[ProjectedText, ...]


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
    return Projections(layers=tuple(range(vectors.n_layers)), texts=tuple(texts))


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
