"""Heat maps of the sweep as plain SVG: there before any script has run, in either color scheme, and on paper.

The page's code adds what a pointer or the keyboard does with them; ``templates/page/2-maps.js`` reads :func:`map_data`.
"""

from collections.abc import Sequence
from typing import Any

from interp_steer.findings import Number
from interp_steer.report.content import Grid
from interp_steer.report.phrases import alpha
from interp_steer.report.strengths import Strength

_SHADES = 40  # steps of color from 0 to 1: finer than an eye tells apart in squares
_WIDE, _NARROW = 36, 9  # labels of layers that fit side by side, on a desk and on a phone


def shades(grid: Grid) -> list[tuple[str, str]]:
    """Return the cells of a map as few paths: each a CSS color, and the unit squares that have it.

    Layers run rightwards from 0, alphas upwards from the bottom. A cell without a score is in none of them.
    """
    squares: dict[int, str] = {}
    for y, row in enumerate(reversed(grid.values)):
        for x, value in enumerate(row):
            if value is not None:
                shade = round(_SHADES * min(1.0, max(0.0, value)))
                squares[shade] = f"{squares.get(shade, '')}M{x} {y}h1v1h-1z"
    return [(_color(shade / _SHADES), path) for shade, path in sorted(squares.items())]


def unscored(grid: Grid) -> str:
    """Return the cells that were swept but have no score, as one path."""
    rows = list(zip(reversed(grid.values), reversed(grid.n), strict=True))
    return "".join(
        f"M{x} {y}h1v1h-1z"
        for y, (values, counts) in enumerate(rows)
        for x, (value, n) in enumerate(zip(values, counts, strict=True))
        if value is None and n
    )


def layer_labels(layers: Sequence[int]) -> list[tuple[str, str]]:
    """Return the label of every column with a class: empty where it has no room, ``wide`` where a phone has none."""
    wide, narrow = (-(-len(layers) // most) for most in (_WIDE, _NARROW))
    narrow = wide * -(-narrow // wide)  # what a phone shows is among what a desk shows
    return [
        ("" if i % wide else str(layer), "" if i % wide == 0 and i % narrow == 0 else "wide")
        for i, layer in enumerate(layers)
    ]


def map_data(grids: Sequence[Grid], strength: Strength) -> dict[str, Any]:
    """Return what the page's code says of the cells: rows as in the grids, the weakest alpha first."""
    first = grids[0]

    def rounded(rows: Sequence[Sequence[Number]]) -> list[list[Number]]:
        return [[None if value is None else round(value, 3) for value in row] for row in rows]

    return {
        "layers": first.layers,
        "alphas": [alpha(value) + strength.suffix for value in first.alphas],
        "keys": first.keys,
        "n": first.n,
        "scores": {
            grid.score: {"values": rounded(grid.values), "low": rounded(grid.low), "high": rounded(grid.high)}
            for grid in grids
        },
    }


def _color(value: float) -> str:
    step = min(3, int(4 * value))
    share = round(100 * (4 * value - step))
    return f"color-mix(in srgb, var(--heat-{step}), var(--heat-{step + 1}) {share}%)"
