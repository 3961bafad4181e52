"""The report in a terminal: the headline, a colored heat map, and the best and worst completions."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from interp_steer.findings import Number
from interp_steer.report.content import Grid, Headline, Report, Sample
from interp_steer.report.phrases import alpha, capital, fixed, interval

_SHADES = ("#e6ebea", "#b5d0d6", "#6ea6bb", "#2d6f95", "#10375b")  # --heat-0 ... --heat-4 of the page, in the light
_INKS = ("#1a1c20", "#1a1c20", "#1a1c20", "#ffffff", "#ffffff")
_LABEL = 14  # characters left of the map
_LONGEST = 600  # characters of a completion


def print_report(report: Report, console: Console) -> None:
    """Print the headline, its controls, the map of the combined score, and three prompts.

    Model text is printed as text: what would steer the terminal has been made visible.
    """
    console.print(Text(f"{report.behavior.name} on {report.model.name}", style="dim"))
    console.print(Text(report.headline.claim if report.headline else report.summary.headline, style="bold"))
    if report.headline:
        console.print(Text(report.headline.comparison))
        console.print()
        console.print(_controls(report.headline))
    if report.sweep:
        console.print()
        console.print(Text(f"{report.sweep.finding}.", style="bold"))
        console.print(_map(report.sweep.grids[0], report.sweep.unit.suffix, console))
    for example in report.headline.examples if report.headline else ():
        console.print()
        console.print(Text.assemble((f"{example.rank}  ", "dim"), (example.prompt, "bold")))
        for name, sample in zip(example.names, example.samples, strict=True):
            console.print(Text(f"  {name} · {_scores(sample)}", style="dim"))
            console.print(Padding(Text(_shortened(sample), overflow="fold"), (0, 0, 0, 4)))
    for item in report.missing:
        console.print()
        console.print(Text.assemble((f"Not in this run yet: {item.what}. ", "yellow"), item.command))


def _controls(headline: Headline) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("behavior", "change", "coherence", "n"):
        table.add_column(name, justify="right")
    for item in headline.contrasts:
        change = "–" if item.effect is None else interval(item.effect)
        style = "bold" if item.cell == headline.cell else ""
        cells = (capital(item.name), fixed(item.behavior), change, fixed(item.coherence), str(item.n))
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def _map(grid: Grid, unit: str, console: Console) -> Table:
    """Draw the strongest alpha on top, scores in hundredths: 100 is a whole digit wider, and needs the room."""
    widest = max((round(100 * value) for row in grid.values for value in row if value is not None), default=0)
    least = len(str(widest))
    width = least + 1 if (least + 1) * len(grid.layers) + _LABEL <= console.width else least
    plain = console.no_color or console.color_system is None
    table = Table(box=None, pad_edge=False, padding=(0, 0), show_header=False)
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    for a in reversed(range(len(grid.alphas))):
        table.add_row(
            Text(f"alpha {alpha(grid.alphas[a])}{unit}", style="dim"), _row(grid.values[a], width, plain=plain)
        )
    every = 1 if width > 2 else 2
    marks = "".join(f"{layer:>{width * every}}" for layer in grid.layers[every - 1 :: every])
    table.add_row(Text("layer", style="dim"), Text(f" {marks}", style="dim"))
    return table


def _row(values: Sequence[Number], width: int, *, plain: bool) -> Text:
    row = Text(" ")
    for value in values:
        if value is None:
            row.append("·".rjust(width))
            continue
        shade = min(4, int(5 * value))
        style = "" if plain else f"{_INKS[shade]} on {_SHADES[shade]}"
        row.append(f"{round(100 * value):{width}d}", style=style)
    return row


def _scores(sample: Sample) -> str:
    if sample.combined is None:
        return f"unscored{f': {sample.reason}' if sample.reason else ''}"
    return f"behavior {fixed(sample.behavior)}, coherence {fixed(sample.coherence)}"


def _shortened(sample: Sample) -> str:
    text = sample.text or "(empty)"
    rest = len(text) - _LONGEST
    more = f" … ({rest:,} more characters)" if rest > 0 else f" … ({sample.finish})" if sample.finish else ""
    return text[:_LONGEST] + more
