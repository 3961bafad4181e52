"""``interp-steer report``: the page people open, and the index over many."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def report_command(
    run: Annotated[Path | None, typer.Argument(help="Run directory.", metavar="RUN")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the page goes; by default `RUN/report.html`.")] = None,
    assets: Annotated[
        Literal["inline", "shared"],
        typer.Option(help="`inline`: one file that holds everything. `shared`: scripts once, beside many pages."),
    ] = "inline",
    index: Annotated[
        Path | None,
        typer.Option(
            help="Write `index.html` over the pages in this folder (see `--out`).",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Write the report of a run, or the index of a folder of reports, and print its path.

    Example: `interp-steer report runs/refusal-smollm2-135m`, `interp-steer report --index reports`
    """
    from interp_steer.report.index import write_index
    from interp_steer.report.render import write_report
    from interp_steer.run import open_run

    if (run is None) == (index is None):
        raise typer.BadParameter("give a run directory, or --index with a folder of reports")
    if run is not None:
        opened = open_run(run)
        with opened.lock():
            typer.echo(write_report(opened, out, assets=assets).resolve())
    if index is not None:
        typer.echo(write_index(index).resolve())
