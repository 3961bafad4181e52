"""The work of a sweep: layers x alphas x prompts along random directions, for every side the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from interp_steer.model.protocol import Model
from interp_steer.pairs import read_prompts
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.rows import DecodeRow
from interp_steer.terms import Scope
from interp_steer.vectors.controls import random_direction


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """One layer and alpha.

    Attributes:
        layer: Block after which is steered.
        alpha: Fraction of the residual's norm that is added.
        direction: Unit vector, ``[d_model]``.
    """

    layer: int
    alpha: float
    direction: np.ndarray

    @property
    def push(self) -> torch.Tensor:
        """``alpha * direction`` in float32."""
        return torch.tensor(self.alpha * self.direction, dtype=torch.float32)

    @cached_property
    def interventions(self) -> tuple[Intervention, ...]:
        """The same, as the library takes it; one tuple for all rows of the cell."""
        return (Intervention(layer=self.layer, alpha=self.alpha, direction=self.direction),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Cells x prompts, each completed by ``new_tokens`` tokens."""

    prompts: tuple[tuple[int, ...], ...]
    cells: tuple[Cell, ...]
    new_tokens: int
    scope: Scope = "response"

    @property
    def rows(self) -> list[DecodeRow]:
        """Every cell's prompts, cell by cell."""
        return [
            DecodeRow(prompt_ids=ids, interventions=one.interventions) for one in self.cells for ids in self.prompts
        ]

    def spread(self, n: int) -> list[DecodeRow]:
        """Return ``n`` rows, spread over cells and prompts, as in a sweep; the grid is repeated if it has fewer."""
        at = [round(i * len(self.cells) / min(n, len(self.rows))) % len(self.cells) for i in range(n)]
        return [
            DecodeRow(prompt_ids=self.prompts[i % len(self.prompts)], interventions=self.cells[cell].interventions)
            for i, cell in enumerate(at)
        ]

    def some_cells(self, n: int) -> list[int]:
        """Return the places of ``n`` cells, spread over the grid."""
        return sorted({round(i * (len(self.cells) - 1) / max(1, n - 1)) for i in range(min(n, len(self.cells)))})

    def flop_floor(self, blocks: int, unembedding: int) -> dict[str, float]:
        """Count the arithmetic that no implementation is spared: two operations per weight and token.

        Each distinct prompt is read once, up to its last token; attention itself is left out.

        Args:
            blocks: Parameters of the blocks.
            unembedding: Parameters of the unembedding, needed for generated tokens only.
        """
        generated = len(self.cells) * len(self.prompts) * self.new_tokens
        read = sum(len(ids) - 1 for ids in self.prompts)
        return {
            "prefill": 2.0 * blocks * read,
            "decode": 2.0 * blocks * generated,
            "unembedding": 2.0 * unembedding * generated,
        }


def make_grid(
    model: Model, *, layers: Sequence[int], alphas: Sequence[float], n_prompts: int, new_tokens: int, scope: Scope
) -> Grid:
    """Lay out a grid over the dev prompts of ``refusal``, along one random direction a layer."""
    prompts = read_prompts("refusal", "dev")[:n_prompts]
    return Grid(
        prompts=tuple(tuple(model.chat.prompt_ids(prompt.text)) for prompt in prompts),
        cells=tuple(
            Cell(layer=layer, alpha=alpha, direction=random_direction(model.card.d_model, layer=layer))
            for layer in layers
            for alpha in alphas
        ),
        new_tokens=new_tokens,
        scope=scope,
    )


def spread(n: int, n_layers: int) -> list[int]:
    """Return ``n`` layers, evenly spread, neither the first nor the last."""
    return [round((i + 1) * (n_layers - 1) / (n + 1)) for i in range(n)] if n < n_layers else list(range(n_layers))


def upto_end(ids: Sequence[int], ends: frozenset[int], *, included: bool = True) -> list[int]:
    """Return tokens up to the first that ends a completion."""
    at = next((i for i, token in enumerate(ids) if token in ends), len(ids))
    return list(ids[: at + included])


def agreement(expected: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Compare completions token by token, as far as the expected ones go."""
    equal, different = 0, []
    for one, other in zip(expected, found, strict=True):
        same = [a == b for a, b in zip(one, [*other, *[-1] * len(one)], strict=False)]
        equal += sum(same)
        if not all(same):
            different.append(same.index(False))
    total = sum(len(one) for one in expected)
    return {
        "rows": len(expected),
        "equal_rows": 1 - len(different) / len(expected),
        "equal_tokens": equal / total if total else None,
        "median_first_difference": float(np.median(different)) if different else None,
    }
