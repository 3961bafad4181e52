"""What the number called alpha is under each operation: its unit on an axis, behind a number, and in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from interp_steer.terms import Operation


@dataclass(frozen=True, kw_only=True)
class Strength:
    """How the alphas of an operation are written.

    Attributes:
        axis: Label of an axis.
        meaning: What follows ``Alpha is``.
        suffix: Unit behind a number; empty where it has none.
    """

    axis: str
    meaning: str
    suffix: str = ""


_FRACTION = "alpha (fraction of the norm)"
STRENGTHS: Mapping[Operation, Strength] = {
    "add": Strength(axis=_FRACTION, meaning="the fraction of the residual stream’s norm that is added"),
    "add_norm_preserving": Strength(
        axis=_FRACTION,
        meaning="the fraction of the residual stream’s norm that is added before the norm is set back to what it was",
    ),
    "ablate": Strength(
        axis="alpha (share of the component removed)",
        meaning="the share of the component along the direction that is taken away: 1 removes it, 2 mirrors it",
    ),
    "project": Strength(
        axis="alpha (target projection over norm)",
        meaning="the projection on the direction, over the norm, that every token is moved to",
    ),
    "project_at_least": Strength(
        axis="alpha (least projection over norm)",
        meaning="the projection on the direction, over the norm, below which no token is left",
    ),
    "rotate": Strength(
        axis="alpha (degrees)",
        meaning="the angle in degrees by which every token is turned toward the direction",
        suffix="°",
    ),
    "reach": Strength(
        axis="alpha (least projection)",
        meaning="the projection on the direction, in units of the residual stream, below which no token is left",
    ),
}

ADDED = STRENGTHS["add"]


def strength_of(manifest: Mapping[str, Any]) -> Strength:
    """Return how the alphas of a run are written; a run that names no operation added."""
    return STRENGTHS[(manifest.get("sweep") or {}).get("operation") or "add"]
