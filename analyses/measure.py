"""A statistic that may be undefined, and the table by layer that says why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from interp_steer.findings import Number, Table
from interp_steer.stats import Interval


@dataclass(frozen=True)
class Measure:
    """A number, or None with the reason why it is undefined."""

    value: Number
    reason: str = ""

    def map(self, change: Callable[[float], float]) -> "Measure":
        """Return the measure of ``change(value)``; an undefined one stays undefined, with its reason."""
        return self if self.value is None else Measure(change(self.value))


def undefined(reason: str) -> Measure:
    """Return a measure that has no value."""
    return Measure(None, reason)


def values(measures: Iterable[Measure]) -> tuple[Number, ...]:
    """Return the numbers alone, None where undefined."""
    return tuple(measure.value for measure in measures)


def interval_cells(interval: Interval | None) -> tuple[Number, Number, Number]:
    """Return the mean and both ends of an interval as cells of a table, all None where there is none."""
    return (None, None, None) if interval is None else (interval.mean, interval.low, interval.high)


def with_ends(column: str) -> tuple[str, str, str]:
    """Return the names of the columns that :func:`interval_cells` fills, where a table has several intervals."""
    return column, f"{column}: low", f"{column}: high"


def table_by_layer(title: str, columns: Mapping[str, Sequence[Measure]], notes: Sequence[str] = ()) -> Table:
    """Lay measures out with one row per layer; why some are undefined goes into the notes.

    Args:
        title: Title of the table.
        columns: One measure per layer under each column's name.
        notes: Notes that come first.
    """
    rows = [(layer, *values(row)) for layer, row in enumerate(zip(*columns.values(), strict=True))]
    return Table(
        title=title,
        columns=("layer", *columns),
        rows=tuple(rows),
        notes=(*notes, *(note for name, column in columns.items() for note in _reasons(name, column))),
    )


def top_layers(scores: Sequence[Number]) -> list[int]:
    """Return every layer that has the highest score; several when they tie, none when no score is defined."""
    defined = [score for score in scores if score is not None]
    return [layer for layer, score in enumerate(scores) if defined and score == max(defined)]


def layer_names(layers: Sequence[int]) -> str:
    """Name layers in a sentence: ``layer 3``, ``layers 3 and 5``, ``12 tied layers``, ``no layer``."""
    if not layers:
        return "no layer"
    if len(layers) > 3:
        return f"{len(layers)} tied layers"
    return ("layer " if len(layers) == 1 else "layers ") + " and ".join(str(layer) for layer in layers)


def show(value: Number, digits: int = 2) -> str:
    """Write a number in a sentence; ``undefined`` for None."""
    return "undefined" if value is None else f"{value:.{digits}f}"


def _reasons(name: str, column: Sequence[Measure]) -> list[str]:
    layers: dict[str, list[int]] = {}
    for layer, measure in enumerate(column):
        if measure.value is None:
            layers.setdefault(measure.reason, []).append(layer)
    return [
        f"{name} is undefined at {'every layer' if len(found) == len(column) else _listed(found)}: {reason}"
        for reason, found in layers.items()
    ]


def _listed(layers: Sequence[int]) -> str:
    return ("layer " if len(layers) == 1 else "layers ") + ", ".join(str(layer) for layer in layers)
