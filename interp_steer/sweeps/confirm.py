"""Measure pushes that were chosen elsewhere on held-out pairs, each along a direction of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Literal

import numpy as np
from jaxtyping import Float

from interp_steer.activations.artifact import Activations
from interp_steer.behaviors import Behavior, Pair
from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.records import ModelCard
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.directions import FROM_PAIRS
from interp_steer.sweeps.heldout import HeldOut, HeldOutCard, HeldOutCell, Role, held_out_card
from interp_steer.sweeps.sides import SidesReplay
from interp_steer.terms import Scope
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.vector import SteeringVectors

VERSIONED = ("interp-steer", "torch", "transformers", "transformer-lens")

Cell = tuple[int, float]
"""A layer and an alpha."""

Directed = tuple[HeldOutCell, Float[np.ndarray, " d_model"]]


def directed_cells(
    vectors: SteeringVectors,
    activations: Activations,
    *,
    best: Cell,
    chosen: Sequence[Cell],
    equal_kl: Sequence[Cell],
    methods: Sequence[Cell],
    others: Mapping[str, tuple[SteeringVectors, Cell]],
    n_random: int,
    n_flipped: int,
) -> list[Directed]:
    """Lay out what is measured on held-out pairs; a control whose direction is zero is left out.

    Args:
        vectors: Steering vectors of the behavior.
        activations: The pairs behind them.
        best: The cell that dev chose of all; the controls are there.
        chosen: The best cell of each layer on dev.
        equal_kl: Each layer at the alpha of equal disturbance, where it has one.
        methods: Where mean difference and both forms of PCA are compared; no cell that one of them chose.
        others: Other behaviors' vectors, each with the cell where it steers its own behavior best.
        n_random: Number of random directions.
        n_flipped: Number of sign flips of the pairs.
    """
    layer, alpha = best
    found: list[Directed] = []
    by_layer: tuple[tuple[Role, Sequence[Cell]], ...] = (("chosen", chosen), ("equal_kl", equal_kl))
    for role, cells in by_layer:
        found += [(HeldOutCell(role=role, layer=one, alpha=dose), vectors.at(one)) for one, dose in cells]
    found.append((HeldOutCell(role="minus", layer=layer, alpha=-alpha), vectors.at(layer)))
    for seed in range(n_random):
        direction = random_direction(vectors.direction.shape[1], layer=layer, seed=seed)
        found.append((HeldOutCell(role="random", layer=layer, alpha=alpha, name=str(seed)), direction))
    for seed in range(n_flipped):
        flipped = FROM_PAIRS["sign_flipped"](activations.differences(layer), layer, seed)
        found.append((HeldOutCell(role="sign_flipped", layer=layer, alpha=alpha, name=str(seed)), flipped))
    for one, dose in methods:
        found.append((HeldOutCell(role="mean", layer=one, alpha=dose), vectors.at(one)))
        made: tuple[Literal["pca", "pca_centered"], ...] = ("pca", "pca_centered")
        for method in made:
            direction = FROM_PAIRS[method](activations.differences(one), one, 0)
            found.append((HeldOutCell(role=method, layer=one, alpha=dose), direction))
    for name, (theirs, (other_layer, other_alpha)) in others.items():
        cell = HeldOutCell(role="other", layer=other_layer, alpha=other_alpha, name=name)
        found.append((cell, theirs.at(other_layer)))
    return [(cell, direction) for cell, direction in found if np.any(direction)]


def confirm(
    model: Model, behavior: Behavior, pairs: Sequence[Pair], directed: Sequence[Directed], scope: Scope
) -> HeldOut:
    """Measure how likely both responses of every held-out pair are under every push, and after a system prompt.

    Args:
        model: The model the directions were made on.
        behavior: Whose system prompt is the prompted baseline.
        pairs: Pairs that made no vector and chose no cell.
        directed: What is pushed, and along which direction.
        scope: Positions that are steered.

    Raises:
        SteeringError: If there are no pairs or pushes, or a likelihood is not finite.
        TemplateError: If tokens merge across the seam between a prompt and its response.
    """
    if not pairs or not directed:
        raise SteeringError("held-out likelihoods need at least one pair and one push")
    layers = sorted({cell.layer for cell, _ in directed})
    n_layers = model.card.n_layers
    steered = np.empty((2, len(directed), len(pairs)))
    work = sum(2 * len(pairs) * (n_layers - cell.layer) for cell, _ in directed)
    with progress("held-out pairs", work) as advance:
        prompted = SidesReplay(model, pairs, [], scope, system=behavior.system_prompt).unsteered()
        sides = SidesReplay(model, pairs, layers, scope)
        for layer in layers:
            members = [i for i, (cell, _) in enumerate(directed) if cell.layer == layer]
            pushes = [Intervention(layer=layer, alpha=directed[i][0].alpha, direction=directed[i][1]) for i in members]

            def count(rows: int, layer: int = layer) -> None:
                advance(rows * (n_layers - layer), f"layer {layer}")

            steered[:, members] = sides.steered(pushes, count)
    return HeldOut(
        unsteered=sides.unsteered(),
        prompted=prompted,
        steered=steered,
        tokens=sides.tokens,
        card=confirm_card(model.card, behavior, pairs, directed, scope),
    )


def confirm_rest(
    model: Model, behavior: Behavior, pairs: Sequence[Pair], directed: Sequence[Directed], scope: Scope, held: HeldOut
) -> HeldOut:
    """Do what :func:`confirm` does, but measure only the cells that an earlier measurement lacks.

    A study that one more behavior joins asks every other one about one more vector, and about nothing else.

    Args:
        model: The model the directions were made on.
        behavior: Whose system prompt is the prompted baseline.
        pairs: Pairs that made no vector and chose no cell.
        directed: What is pushed, and along which direction.
        scope: Positions that are steered.
        held: An earlier measurement. If its cells are not all among these, it is of no use.

    Raises:
        SteeringError: As for :func:`confirm`.
        TemplateError: As for :func:`confirm`.
    """
    rest = missing_cells(model.card, behavior, pairs, directed, scope, held)
    if not rest:
        return held
    found = confirm(model, behavior, pairs, rest, scope)
    if len(rest) == len(directed):
        return found
    measured = dict(zip(held.card.cells, held.steered.swapaxes(0, 1), strict=True))
    measured |= dict(zip(found.card.cells, found.steered.swapaxes(0, 1), strict=True))
    return replace(
        held,
        steered=np.stack([measured[cell] for cell, _ in directed], axis=1),
        card=confirm_card(model.card, behavior, pairs, directed, scope),
    )


def missing_cells(
    model: ModelCard,
    behavior: Behavior,
    pairs: Sequence[Pair],
    directed: Sequence[Directed],
    scope: Scope,
    held: HeldOut,
) -> list[Directed]:
    """Return what an earlier measurement lacks: everything if it is of other pairs, directions or another model.

    The order of the cells does not matter.
    """
    wanted = dict(directed)
    same = [(cell, wanted[cell]) for cell in held.card.cells if cell in wanted]
    if not same or (held.card.model, held.card.basis) != (
        model,
        confirm_card(model, behavior, pairs, same, scope).basis,
    ):
        return list(directed)
    return [item for item in directed if item[0] not in set(held.card.cells)]


def confirm_card(
    model: ModelCard, behavior: Behavior, pairs: Sequence[Pair], directed: Sequence[Directed], scope: Scope
) -> HeldOutCard:
    """Return the card of what :func:`confirm` would measure."""
    return held_out_card(
        model,
        behavior.name,
        pairs,
        behavior.system_prompt,
        scope,
        [cell for cell, _ in directed],
        np.stack([direction for _, direction in directed]),
        {name: version(name) for name in VERSIONED},
    )
