"""Run one analysis from the command line and print its tables: ``python -m analyses.magnitude runs/x``."""

import argparse
import sys
from collections.abc import Callable

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from interp_steer.errors import InterpSteerError
from interp_steer.findings import AnalysisResult, Table, Value
from interp_steer.run import Run, open_run


def main(analysis: Callable[[Run], AnalysisResult]) -> None:
    """Run an analysis on the run directory named on the command line; exit 1 on an expected failure."""
    parser = argparse.ArgumentParser(prog=f"python -m analyses.{analysis.__name__}")
    parser.add_argument("run", help="a run directory, e.g. runs/refusal-smollm2-135m")
    try:
        result = analysis(open_run(parser.parse_args().run))
    except InterpSteerError as error:
        sys.exit(f"error: {error}")
    print_result(result, Console())


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
    return f"{value:.3f}" if isinstance(value, float) else str(value)
