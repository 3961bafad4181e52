"""The numbers behind everything that is drawn, as tables: to read, and to download."""

from collections.abc import Sequence

from interp_steer.findings import Figure, Table, Value
from interp_steer.report.content import Grid, LayerCurves
from interp_steer.report.tokens import TokenText, TokenView


def figure_table(figure: Figure) -> Table:
    """Return the numbers behind a figure: one row per position, one column per series (and interval)."""
    columns: list[str] = [figure.x_label]
    cells: list[Sequence[Value]] = [figure.x]
    for series in figure.series:
        columns.append(series.name)
        cells.append(series.y)
        if series.low is not None and series.high is not None:
            columns += [f"{series.name}: low", f"{series.name}: high"]
            cells += [series.low, series.high]
    return Table(
        title=f"Numbers of the figure: {figure.title}", columns=tuple(columns), rows=tuple(zip(*cells, strict=True))
    )


def grid_table(grids: Sequence[Grid], axis: str) -> Table:
    """Return the maps as one long table: a row per cell, a score with its interval in three columns.

    Args:
        grids: The maps.
        axis: What their alphas are, with the unit.
    """
    first = grids[0]
    rows: list[tuple[Value, ...]] = []
    for a, alpha in enumerate(first.alphas):
        for i, layer in enumerate(first.layers):
            if first.n[a][i]:
                scores = [value for grid in grids for value in (grid.values[a][i], grid.low[a][i], grid.high[a][i])]
                rows.append((layer, alpha, *scores, first.n[a][i]))
    names = [name for grid in grids for name in (grid.score, f"{grid.score}: low", f"{grid.score}: high")]
    return Table(title="Scores by layer and alpha", columns=("layer", axis, *names, "n"), rows=tuple(rows))


def panel_table(curves: LayerCurves) -> Table:
    """Return the strength curves of every layer as one long table."""
    rows: list[tuple[Value, ...]] = [
        (panel.layer, alpha, behavior, coherence)
        for panel in curves.panels
        for alpha, behavior, coherence in zip(curves.alphas, panel.behavior, panel.coherence, strict=True)
        if behavior is not None or coherence is not None
    ]
    return Table(
        title="Scores by alpha at every layer",
        columns=("layer", curves.axis, "behavior", "coherence"),
        rows=tuple(rows),
    )


def token_table(view: TokenView, text: TokenText) -> Table:
    """Return the cosines of one text: a row per token, a column per layer."""
    columns = ("token", *(f"layer {layer}" for layer in view.layers))
    rows = tuple((token, *values) for token, *values in zip(text.tokens, *text.cosines, strict=True))
    return Table(title=text.title, columns=columns, rows=rows)


def promoted_table(view: TokenView) -> Table:
    """Return the promoted tokens of every layer, strongest first."""
    rows: list[tuple[Value, ...]] = [
        (layer, name, rank, token, value)
        for layer, item in zip(view.layers, view.promoted, strict=True)
        for name, side in (("raised", item.up), ("lowered", item.down))
        for rank, (token, value) in enumerate(side, start=1)
    ]
    return Table(title="Promoted tokens", columns=("layer", "logit", "rank", "token", "by"), rows=tuple(rows))
