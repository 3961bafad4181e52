"""What a sweep covers: layers x alphas x prompts, and the controls that go with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp_steer.errors import SteeringError
from interp_steer.records import Cell
from interp_steer.steering.intervention import check_amount
from interp_steer.terms import Operation, Scope, Strategy


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """Everything that decides the rows of a sweep.

    Attributes:
        layers: Blocks to steer.
        alphas: Fractions of the residual's norm to add, or amounts of another operation in its own unit; either sign,
            zero excluded.
        random_alphas: Alphas at which every layer is also steered along a random direction.
        scope: Positions that are steered.
        max_new_tokens: Longest completion.
        temperature: 0 decodes greedily.
        top_p: Mass of the nucleus when sampling.
        samples: Completions per prompt and cell (more than one needs a temperature).
        seed: Seed of the sampling and of the random directions.
        strategy: ``full`` generates at every cell; ``halving`` at those that likelihoods have not ruled out.
        operation: What is done along the direction: :mod:`interp_steer.steering.intervention`.
    """

    layers: tuple[int, ...]
    alphas: tuple[float, ...]
    random_alphas: tuple[float, ...] = ()
    scope: Scope = "response"
    max_new_tokens: int = 48
    temperature: float = 0.0
    top_p: float = 1.0
    samples: int = 1
    seed: int = 0
    strategy: Strategy = "full"
    operation: Operation = "add"

    def check(self, n_layers: int, model: str) -> None:
        """Refuse a specification that does not fit the model.

        Raises:
            SteeringError: Saying which value, and what was expected.
        """
        if not self.layers or not self.alphas:
            raise SteeringError("a sweep needs at least one layer and one alpha")
        for layer in self.layers:
            if not 0 <= layer < n_layers:
                raise SteeringError(f"layer {layer} does not exist: {model!r} has layers 0 to {n_layers - 1}")
        for alpha in (*self.alphas, *self.random_alphas):
            check_amount(alpha, self.operation)
        if not any(alpha > 0 for alpha in self.alphas):
            raise SteeringError(
                "every alpha is negative: a sweep looks for the cell that shows the behavior, so it needs a positive "
                "one; add it, or steer away with 'interp-steer steer'"
            )
        for name, fits, expected in (
            ("max_new_tokens", self.max_new_tokens >= 1, "at least 1"),
            ("temperature", self.temperature >= 0, "0 or more"),
            ("top_p", 0 < self.top_p <= 1, "a share above 0 and up to 1"),
            ("samples", self.samples >= 1, "at least 1"),
        ):
            if not fits:
                raise SteeringError(f"{name} is {getattr(self, name)}; expected {expected}")
        if self.samples > 1 and self.temperature == 0:
            raise SteeringError(
                f"{self.samples} samples at temperature 0 would be the same text; set --temperature above 0"
            )

    def dev_cells(self, shortlist: Sequence[Cell] | None = None) -> list[Cell]:
        """Return every cell of the grid with its controls: the search over layers and alphas.

        Args:
            shortlist: The steered cells that are left of the grid; all of them if not given.
        """
        grid = shortlist or [
            Cell(control="steered", layer=layer, alpha=alpha) for layer in self.layers for alpha in self.alphas
        ]
        layers = dict.fromkeys(cell.layer for cell in grid)
        random = [Cell(control="random", layer=layer, alpha=alpha) for layer in layers for alpha in self.random_alphas]
        return [Cell(control="unsteered"), Cell(control="prompted"), *grid, *random]


def confirmation_cells(best_by_layer: Sequence[Cell], best: Cell, *, n_pairs: int) -> list[Cell]:
    """Return the cells to answer held-out prompts with, once dev has chosen.

    Args:
        best_by_layer: The best cell of each layer on dev: the ground truth by layer.
        best: The best of these, which gets the controls: random direction, sign-flipped pairs, minus alpha.
        n_pairs: Number of contrastive pairs behind the vectors.
    """
    controls = [
        Cell(control="random", layer=best.layer, alpha=best.alpha),
        Cell(control="steered", layer=best.layer, alpha=-best.alpha),
    ]
    if n_pairs > 1:  # the flip of a single pair is the vector itself
        controls.append(Cell(control="sign_flipped", layer=best.layer, alpha=best.alpha))
    return [Cell(control="unsteered"), Cell(control="prompted"), *best_by_layer, *controls]
