"""Results on a terminal: what an analysis found, with its tables."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from interp_steer.findings import AnalysisResult, Table, Value


def print_result(result: AnalysisResult, console: Console) -> None:
    """Print question, finding, tables and caveats."""
    console.print(f"[bold]{escape(result.question)}[/bold]\n{escape(result.finding)}")
    for table in result.tables:
        console.print(_drawn(table))
        for note in table.notes:
            console.print(f"  {escape(note)}", style="dim")
    for caveat in result.caveats:
        console.print(f"- {escape(caveat)}")


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(title=escape(table.title), title_justify="left")
    for column in table.columns:
        drawn.add_column(escape(column))
    for row in table.rows:
        drawn.add_row(*(escape(_text(value)) for value in row))
    return drawn


def _text(value: Value) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.1e}" if 0 < abs(value) < 0.0005 else f"{value:.3f}"
