"""Places of small drawings that need no plotting library: whiskers, and the curves of one layer."""

from collections.abc import Sequence
from itertools import groupby

from interp_steer.findings import Number
from interp_steer.report.content import Contrast

_LEFT, _RIGHT, _TOP, _BOTTOM = 4.0, 96.0, 4.0, 56.0  # of a panel of 100 by 60


def whiskers(contrasts: tuple[Contrast, ...]) -> list[dict[str, float] | None]:
    """Return each effect as percentages of a common axis that holds every interval and zero."""
    effects = [contrast.effect for contrast in contrasts]
    low = min([0.0, *(effect.low for effect in effects if effect)])
    high = max([0.0, *(effect.high for effect in effects if effect)])
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(2 + 96 * (value - low) / span, 2)

    return [
        {"zero": at(0.0), "low": at(effect.low), "mean": at(effect.mean), "high": at(effect.high)} if effect else None
        for effect in effects
    ]


def curve_dots(x: Sequence[float], y: Sequence[Number]) -> list[tuple[float, float]]:
    """Return where the defined points of a curve of scores in [0, 1] lie in a panel of 100 by 60."""
    return [(left, top) for left, top in _places(x, y) if top is not None]


def curve_path(x: Sequence[float], y: Sequence[Number]) -> str:
    """Return the same curve as an SVG path; where a value is undefined the line breaks."""
    strokes = []
    for defined, stretch in groupby(_places(x, y), key=lambda place: place[1] is not None):
        if defined:
            strokes.append("M" + "L".join(f"{left} {top}" for left, top in stretch))
    return "".join(strokes)


def _places(x: Sequence[float], y: Sequence[Number]) -> list[tuple[float, float | None]]:
    low, high = min(x), max(x)
    span = (high - low) or 1.0
    return [
        (
            round(_LEFT + (_RIGHT - _LEFT) * (position - low) / span, 1),
            None if value is None else round(_BOTTOM - (_BOTTOM - _TOP) * value, 1),
        )
        for position, value in zip(x, y, strict=True)
    ]
