"""What an analysis says: a finding in words, tables, figures and caveats. No plotting library here.

Figures are described, not drawn: the report turns a :class:`Figure` into a plot and a table, so an
analysis needs nothing but its numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Literal

Number = float | int | None
Value = Number | str | bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under named columns; an undefined value is None and its reason a note."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line (or set of bars) of a figure, with an optional interval around it.

    ``y``, ``low`` and ``high`` are as long as the figure's ``x``. ``role`` says what the reader
    should see: the ``main`` quantity, a ``reference`` (a null or baseline: drawn grey) or ``other``. ``joined`` says
    that the series has positions of its own among ``x``: its line runs on over those it has no value at.
    """

    name: str
    y: tuple[Number, ...]
    low: tuple[Number, ...] | None = None
    high: tuple[Number, ...] | None = None
    role: Literal["main", "other", "reference"] = "main"
    joined: bool = False


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A vertical line at ``x`` with a short label, e.g. the best layer of the sweep."""

    x: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure as data.

    Attributes:
        kind: ``lines`` and ``bars`` plot every series over ``x``; ``heatmap`` plots one series per row
            (its name is the row's label) over ``x``.
        title: What is shown.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis (of the color, for a heat map).
        x: Positions on the horizontal axis: numbers, or names for bars.
        series: What is plotted.
        marks: Vertical lines.
        shaded: Positions on ``x`` whose background is tinted, e.g. full-attention blocks.
        shaded_label: What the tint means.
    """

    kind: Literal["lines", "bars", "heatmap"]
    title: str
    x_label: str
    y_label: str
    x: tuple[float | int | str, ...]
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()
    shaded: tuple[float | int, ...] = ()
    shaded_label: str = ""


@dataclass(frozen=True, kw_only=True)
class AnalysisResult:
    """The outcome of one analysis on one run.

    Attributes:
        name: Name of the analysis, e.g. ``magnitude``.
        title: Heading in the report.
        question: What it asks, as one sentence.
        finding: What it found, as one or two sentences with numbers.
        caveats: What the number does not show.
        tables: Numbers by layer, pair or heuristic.
        figures: What people look at first.
        scores: Per-layer score of each heuristic the analysis offers for choosing a layer: the
            heuristic picks the layer with the highest score. None where undefined.
    """

    name: str
    title: str
    question: str
    finding: str
    caveats: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    scores: Mapping[str, tuple[Number, ...]] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: question, finding, caveats, and the tables, folded."""
        tables = "".join(_table_html(table) for table in self.tables)
        caveats = "".join(f"<li>{escape(caveat)}</li>" for caveat in self.caveats)
        return (
            f"<p style='opacity: 0.75; margin: 0'>{escape(self.question)}</p>"
            f"<p style='font-size: 1.2em; margin: 0 0 0.5em'><b>{escape(self.finding)}</b></p>"
            f"{tables}<ul>{caveats}</ul>"
        )


def _table_html(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{_shown(value)}</td>' for value in row)}</tr>" for row in table.rows)
    notes = "".join(f"<p style='margin: 0'>{escape(note)}</p>" for note in table.notes)
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"
    return f"<details><summary>{escape(table.title)}</summary>{body}</details>"


def _shown(value: Value) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else escape(str(value))
