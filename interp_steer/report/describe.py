"""One line under every figure: what its numbers say, for those who look and for those who listen."""

from interp_steer.findings import Figure, Number, Series
from interp_steer.report.phrases import alpha, capital, number

_SAME = 1e-9


def figure_finding(figure: Figure) -> str:
    """Return where the quantity of a figure is highest and lowest, and how far it is from its reference."""
    if figure.kind == "heatmap":
        return _heatmap(figure)
    shown = [series for series in figure.series if series.role != "reference"] or list(figure.series)
    if not shown:
        return "Nothing is drawn."
    alone = len(shown) == 1
    parts = [_extremes(figure, series, alone=alone, beside=len(figure.series) > 1) for series in shown[:3]]
    left = len(shown) - len(parts)
    more = f" {left} more {'curve is' if left == 1 else 'curves are'} in the table." if left else ""
    said = "; ".join(parts)
    return (said if said.startswith("d'") else capital(said)) + "." + more


def _extremes(figure: Figure, series: Series, *, alone: bool, beside: bool) -> str:
    name = series.name
    if alone:
        name = _plain(figure.y_label) or "the value"
        name += f" ({series.name})" if beside and series.name.lower() != name.lower() else ""
    points = [(y, x) for x, y in zip(figure.x, series.y, strict=True) if y is not None]
    if not points:
        return f"{name} is undefined throughout"
    low, high = min(points, key=lambda point: point[0]), max(points, key=lambda point: point[0])
    if high[0] - low[0] < _SAME:
        return f"{name} is {number(high[0])} throughout"
    return f"{name} is highest at {_where(figure, high[1])} ({number(high[0])}), " + (
        f"lowest at {_where(figure, low[1])} ({number(low[0])})"
    )


def _heatmap(figure: Figure) -> str:
    points: list[tuple[float, str]] = [
        (y, f"{_where(figure, x)}, {series.name}")
        for series in figure.series
        for x, y in zip(figure.x, series.y, strict=True)
        if y is not None
    ]
    name = _plain(figure.y_label) or "the value"
    if not points:
        return capital(f"{name} is undefined throughout.")
    low, high = min(points, key=lambda point: point[0]), max(points, key=lambda point: point[0])
    if high[0] - low[0] < _SAME:
        return capital(f"{name} is {number(high[0])} throughout.")
    return capital(f"{name} is highest at {high[1]} ({number(high[0])}) and lowest at {low[1]} ({number(low[0])}).")


def _where(figure: Figure, x: Number | str) -> str:
    if isinstance(x, str):
        return f"“{x}”"
    said, name = number(x) if isinstance(x, int) else alpha(x or 0.0), _plain(figure.x_label)
    return f"{said} {name}" if name.endswith("s") else f"{name} {said}"  # 72 pairs, layer 14


def _plain(label: str) -> str:
    """Return an axis label inside a sentence: without a unit (in brackets, behind a comma), in lower case."""
    text = label.partition(" (")[0].partition(", ")[0].strip()
    head, _, rest = text.partition(" ")
    lowered = head if head[1:] != head[1:].lower() else head.lower()
    return f"{lowered} {rest}".strip()
