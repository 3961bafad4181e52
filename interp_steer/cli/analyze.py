"""``interp-steer analyze``: heuristics, and how they compare with the sweep."""

import json
from pathlib import Path
from typing import Annotated

import typer

from interp_steer.cli.options import JsonOption


def analyze_command(
    name: Annotated[str, typer.Argument(help="Name of an analysis, or `all`; an unknown name lists them.")],
    run: Annotated[Path, typer.Argument(help="Run directory.", metavar="RUN")],
    as_json: JsonOption = False,
) -> None:
    """Run one analysis, or all of them, on a run directory and print what they found.

    Example: `interp-steer analyze magnitude runs/refusal-smollm2-135m`
    """
    from interp_steer.analysis import analyze, find_analyses
    from interp_steer.records import to_json
    from interp_steer.run import open_run

    opened = open_run(run)
    with opened.lock():
        for one in find_analyses() if name == "all" else [name]:
            for result in analyze(opened, [one]):  # each is told as it is stored: a later one may fail
                said = json.dumps(to_json(result), ensure_ascii=False)
                typer.echo(said if as_json else f"{result.title}: {result.finding}")
