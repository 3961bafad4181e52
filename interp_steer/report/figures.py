"""Findings drawn with plotly, as JSON for the page.

Colors are CSS variables (``var(--series-1)``): the page resolves them when it paints, so one figure
serves light, dark and print. A reference is grey and dashed; other series differ in dash and marker
as well as in color.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from interp_steer.findings import Figure, Mark, Number, Series
from interp_steer.report.marks import RULE, SMALL, annotate, draw_marks
from interp_steer.report.phrases import number

_COLORS = 5  # --series-1 ... --series-5 in style.css
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
_SEQUENTIAL = [[step / 4, f"var(--heat-{step})"] for step in range(5)]  # lightness is monotone: safe for every eye
_DIVERGING = [[step / 4, f"var(--diverging-{step})"] for step in range(5)]
_TALL = 380  # px
_NARROW = 0.03  # width of a letter, as a share of an axis that has names beside it
_TICKED = 12  # positions that each get a tick: what was measured, not round numbers between


def figure_json(figure: Figure) -> str:
    """Return a figure as plotly JSON, transparent and without a title (the page has a caption)."""
    draw = {"lines": _lines, "bars": _bars, "heatmap": _heatmap}[figure.kind]
    return _json(draw(figure))


def _lines(figure: Figure) -> go.Figure:
    drawn = go.Figure()
    for series, color, dash, symbol in _styled(figure.series):
        for x, y in _bands(figure.x, series):
            drawn.add_scatter(
                x=x, y=y, fill="toself", fillcolor=f"var({color}-band)", line={"width": 0}, mode="lines",
                hoverinfo="skip", showlegend=False, legendgroup=series.name,
            )  # fmt: skip
        drawn.add_scatter(
            x=figure.x, y=series.y, name=series.name, mode="lines+markers", legendgroup=series.name,
            line={"color": f"var({color})", "dash": dash, "width": 2.5 if series.role == "main" else 1.75},
            marker={"symbol": symbol, "size": 6 if series.role == "main" else 5},
            hovertext=_hover(series), hovertemplate="%{hovertext}", error_y=_errors(_alone(series), f"var({color})"),
            connectgaps=series.joined or series.role == "reference",
        )  # fmt: skip
    drawn.update_layout(**_layout(_TALL, figure.x_label, figure.y_label))
    if len(figure.x) <= _TICKED:
        drawn.update_xaxes(tickmode="array", tickvals=list(figure.x))
    drawn.update_layout(showlegend=len(figure.series) > 1)
    annotate(drawn, figure)
    return drawn


def _bars(figure: Figure) -> go.Figure:
    named = any(isinstance(position, str) for position in figure.x)
    levels = [series for series in figure.series if _level(series) is not None]
    drawn = go.Figure()
    for series, color, _, _ in _styled([series for series in figure.series if series not in levels]):
        values = {"y": figure.x, "x": series.y, "orientation": "h"} if named else {"x": figure.x, "y": series.y}
        drawn.add_bar(
            **values, name=series.name, marker={"color": f"var({color})"}, hovertext=_hover(series), showlegend=True,
            hovertemplate="%{hovertext}", **{"error_x" if named else "error_y": _errors(series, "var(--ink)")},
        )  # fmt: skip
    if named:
        # Names read along the line, one below the other: long ones need no rotation, and a phone fits them.
        drawn.update_layout(**_layout(100 + 26 * len(figure.x) * max(1, len(drawn.data)), figure.y_label, ""))
        drawn.update_yaxes(autorange="reversed", showgrid=False, type="category", ticklabelstandoff=6)
        drawn.update_layout(hovermode="y unified")
        drawn.update_layout(showlegend=len(drawn.data) > 1)
        marks = [Mark(x=float(_level(series) or 0.0), label=series.name) for series in levels]
        positions = _extent(figure.series)
        draw_marks(drawn, marks, positions, letter=_NARROW)
        drawn.update_xaxes(range=positions)  # else the labels of the lines count as data where the axis is short
        return drawn
    drawn.update_layout(**_layout(_TALL, figure.x_label, figure.y_label))
    drawn.update_layout(showlegend=len(drawn.data) > 1)
    for series in levels:
        drawn.add_hline(y=_level(series), line=RULE, annotation={"text": series.name, "font": SMALL})
    annotate(drawn, figure)
    return drawn


def _extent(shown: Sequence[Series]) -> list[float]:
    """Return the ends of an axis that holds zero and every value with its interval, with a margin."""
    every = [(series.y, series.low or (), series.high or ()) for series in shown]
    values = [0.0, *(value for parts in every for part in parts for value in part if value is not None)]
    margin = 0.05 * ((max(values) - min(values)) or 1.0)
    return [min(values) - (margin if min(values) < 0 else 0.0), max(values) + margin]


def _level(series: Series) -> Number:
    """Return the one value of a constant reference: a line says it better than a bar each."""
    values = set(series.y)
    return values.pop() if series.role == "reference" and len(values) == 1 and len(series.y) > 1 else None


def _heatmap(figure: Figure) -> go.Figure:
    rows = [series.y for series in figure.series]
    hover = [
        [f"{figure.x_label} {x}<br>{series.name}<br>{figure.y_label} <b>{number(y)}</b>"
         for x, y in zip(figure.x, series.y, strict=True)]
        for series in figure.series
    ]  # fmt: skip
    drawn = go.Figure(_colored(figure.x, [series.name for series in figure.series], rows, hover))
    drawn.update_layout(**_layout(110 + max(18 * len(rows), 60), figure.x_label, ""))
    drawn.update_yaxes(autorange="reversed", showgrid=False, type="category")
    drawn.update_layout(hovermode="closest")
    annotate(drawn, figure)
    return drawn


def _colored(
    x: Sequence[float | int | str],
    y: Sequence[str],
    z: Sequence[Sequence[Number]],
    hover: Sequence[Sequence[str]],
) -> go.Heatmap:
    values = [value for row in z for value in row if value is not None]
    diverging = bool(values) and min(values) < 0 < max(values)
    return go.Heatmap(
        x=list(x), y=list(y), z=z, zmid=0 if diverging else None,
        colorscale=_DIVERGING if diverging else _SEQUENTIAL, xgap=1, ygap=1, hoverongaps=False,
        hovertext=hover, hovertemplate="%{hovertext}<extra></extra>",
        colorbar={"thickness": 10, "outlinewidth": 0, "nticks": 4, "tickfont": {"color": "var(--muted)"}},
    )  # fmt: skip


def _styled(series: Sequence[Series]) -> list[tuple[Series, str, str, str]]:
    """Pair every series with a color variable, a dash and a marker; references are grey."""
    colored = references = 0
    found = []
    for item in series:
        if item.role == "reference":
            found.append((item, "--reference", _DASHES[2 - references % 2], _SYMBOLS[references % len(_SYMBOLS)]))
            references += 1
        else:
            place = colored % _COLORS
            found.append((item, f"--series-{place + 1}", _DASHES[colored // _COLORS % len(_DASHES)], _SYMBOLS[place]))
            colored += 1
    return found


def _bands(x: Sequence[Any], series: Series) -> list[tuple[list[Any], list[Any]]]:
    """Return one closed outline per stretch of defined intervals: a gap in the data stays a gap."""
    if series.low is None or series.high is None:
        return []
    points = list(zip(x, series.low, series.high, strict=True))
    outlines = []
    for defined, stretch in groupby(points, key=lambda point: point[1] is not None and point[2] is not None):
        if defined:
            there = list(stretch)
            back = there[::-1]
            outlines.append(([p[0] for p in (*there, *back)], [p[1] for p in there] + [p[2] for p in back]))
    return outlines


def _alone(series: Series) -> Series:
    """Keep the intervals of points without a neighbor: a band has no width there."""
    low, high = series.low or (None,) * len(series.y), series.high or (None,) * len(series.y)
    defined = [False, *(a is not None and b is not None for a, b in zip(low, high, strict=True)), False]
    alone = [not before and not after for before, after in zip(defined, defined[2:], strict=False)]
    return replace(
        series,
        low=tuple(value if single else None for value, single in zip(low, alone, strict=True)),
        high=tuple(value if single else None for value, single in zip(high, alone, strict=True)),
    )


def _errors(series: Series, color: str) -> dict[str, Any] | None:
    if series.low is None or series.high is None:
        return None
    points = list(zip(series.y, series.low, series.high, strict=True))
    return {
        "type": "data",
        "array": [None if y is None or high is None else high - y for y, _, high in points],
        "arrayminus": [None if y is None or low is None else y - low for y, low, _ in points],
        "color": color,
        "thickness": 1.2,
        "width": 3,
    }


def _hover(series: Series) -> list[str]:
    low, high = series.low or (None,) * len(series.y), series.high or (None,) * len(series.y)
    return [
        number(y) if lo is None or hi is None else f"{number(y)} [{number(lo)}, {number(hi)}]"
        for y, lo, hi in zip(series.y, low, high, strict=True)
    ]


def _layout(height: int, x_label: str, y_label: str) -> dict[str, Any]:
    label = {"size": 13, "color": "var(--ink)"}
    axis = {
        "gridcolor": "var(--grid)", "zerolinecolor": "var(--grid)", "linecolor": "var(--rule)", "automargin": True,
        "fixedrange": True, "tickfont": {"color": "var(--muted)"}, "zeroline": True,
    }  # fmt: skip
    return {
        "template": "none",
        "height": height,
        "xaxis": {**axis, "title": {"text": _wrapped(x_label), "standoff": 10, "font": label}},
        "yaxis": {**axis, "title": {"text": _wrapped(y_label), "standoff": 12, "font": label}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink)"},
        "hoverlabel": {
            "bgcolor": "var(--panel)", "bordercolor": "var(--rule)", "font": {"color": "var(--ink)"}, "align": "left",
        },
        "hovermode": "x unified",
        "dragmode": False,
        "margin": {"l": 8, "r": 8, "t": 12, "b": 8},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "barmode": "group",
        "bargap": 0.4,
    }  # fmt: skip


def _wrapped(label: str) -> str:
    """Break a label where a phone would cut it off."""
    return "<br>".join(wrap(label, 42))


def _json(figure: go.Figure) -> str:
    text: str = figure.to_json()
    return text
