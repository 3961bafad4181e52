"""What stands behind and above the curves of a figure: tinted positions, vertical lines, their labels."""

from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go

from interp_steer.findings import Figure, Mark

RULE = {"color": "var(--muted)", "width": 1, "dash": "dot"}
SMALL = {"size": 12, "color": "var(--muted)"}
LETTER = 0.014  # width of a letter, as a share of the axis of a figure on half a screen
_ROW = 16  # px


def annotate(drawn: go.Figure, figure: Figure) -> None:
    """Tint the shaded positions of a figure and draw its marks."""
    positions = sorted(float(position) for position in figure.x if not isinstance(position, str))
    half = min((b - a for a, b in pairwise(positions) if b > a), default=1.0) / 2
    for position in figure.shaded:
        drawn.add_vrect(x0=position - half, x1=position + half, fillcolor="var(--shade)", line_width=0, layer="below")
    draw_marks(drawn, figure.marks, positions)


def draw_marks(drawn: go.Figure, marks: Sequence[Mark], positions: Sequence[float], *, letter: float = LETTER) -> None:
    """Draw vertical lines, their labels in as few rows as keep them apart, and make room for the rows.

    A label near an end of the axis reads inwards, so that it neither leaves the figure nor widens the axis.

    Args:
        drawn: The figure; its height grows by the rows.
        marks: Where the lines are.
        positions: Positions of the data on the same axis.
        letter: Width of a letter, as a share of the axis.
    """
    everything = [*positions, *(mark.x for mark in marks)]
    low, high = min(everything, default=0.0), max(everything, default=1.0)
    span = (high - low) or 1.0
    ends: list[float] = []  # right end of the last label in each row, as a share of the axis
    for mark in sorted(marks, key=lambda mark: mark.x):
        share, width = (mark.x - low) / span, len(mark.label) * letter
        anchor, left = ("left", share) if share < 1 / 3 else ("center", share - width / 2)
        if share > 2 / 3:
            anchor, left = "right", share - width
        row = next((i for i, end in enumerate(ends) if left > end), len(ends))
        ends[row : row + 1] = [left + width]
        drawn.add_vline(x=mark.x, line=RULE)
        drawn.add_annotation(
            x=mark.x, y=1, yref="paper", xanchor=anchor, yanchor="bottom", yshift=2 + _ROW * row, text=mark.label,
            showarrow=False, font=SMALL,
        )  # fmt: skip
    drawn.update_layout(margin={"t": 12 + _ROW * len(ends)}, height=drawn.layout.height + _ROW * len(ends))
