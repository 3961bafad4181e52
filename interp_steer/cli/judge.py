"""``interp-steer judge``: scores for every generation."""

import json
from typing import Annotated

import typer

from interp_steer.cli.options import JsonOption, RunArgument, exit_if_unscored


def judge_command(
    run: RunArgument,
    judge: Annotated[str, typer.Option(help="Who scores: `local`.")] = "local",
    as_json: JsonOption = False,
) -> None:
    """Score every generation of a run that has no current verdict.

    Exit code 3 says that some could not be scored; the reasons are printed and kept.

    Example: `interp-steer judge runs/refusal-smollm2-135m`
    """
    from interp_steer.judges.judge import judge as judge_run
    from interp_steer.records import to_json
    from interp_steer.run import open_run

    opened = open_run(run)
    with opened.lock():
        summary = judge_run(opened, judge)
    if as_json:
        typer.echo(json.dumps(to_json(summary)))
    else:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in summary.unscored.items())
        unscored = f"{sum(summary.unscored.values())} ({reasons or 'none'})"
        typer.echo(f"scored {summary.scored}, unscored {unscored}, up to date {summary.skipped}")
    exit_if_unscored(opened)
