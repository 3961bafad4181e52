"""``interp-steer report``: the page people open, the index over many, two runs side by side, or text."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def report_command(
    run: Annotated[Path | None, typer.Argument(help="Run directory.", metavar="RUN")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the page goes; by default `RUN/report.html`, or beside the first run.")
    ] = None,
    assets: Annotated[
        Literal["inline", "shared"],
        typer.Option(help="`inline`: one file that holds everything. `shared`: scripts once, beside many pages."),
    ] = "inline",
    text: Annotated[bool, typer.Option("--text", help="Print the result here instead of writing the page.")] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Write a page with two runs side by side.", metavar="RUN RUN"),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            help="Write `index.html` over the pages in this folder and the folders in it (see `--out`).",
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Write the report of a run, compare two, or index a folder of reports, and print the page's path.

    Example: `interp-steer report runs/refusal-smollm2-135m`, `interp-steer report --index reports`,
    `interp-steer report --compare runs/refusal-smollm2-135m runs/refusal-qwen3.5-9b`
    """
    from interp_steer.run import open_run

    if sum(given is not None for given in (run, index, compare)) != 1:
        raise typer.BadParameter("give one of: a run directory, --compare with two, --index with a folder of reports")
    if text and run is None:
        raise typer.BadParameter("--text prints the report of one run: give its directory")
    if run is not None and text:
        from rich.console import Console

        from interp_steer.report.build import build_report
        from interp_steer.report.terminal import print_report

        print_report(build_report(open_run(run)), Console(highlight=False))
    elif run is not None:
        from interp_steer.report.render import write_report

        opened = open_run(run)
        with opened.lock():
            typer.echo(write_report(opened, out, assets=assets).resolve())
    elif compare is not None:
        from interp_steer.report.compare import write_comparison

        typer.echo(write_comparison(open_run(compare[0]), open_run(compare[1]), out).resolve())
    elif index is not None:
        from interp_steer.report.index import write_index

        typer.echo(write_index(index).resolve())
