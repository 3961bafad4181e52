"""``interp-steer pairs plan``: how many pairs are needed, and which of those there are to look at again."""

import json

import typer

from interp_steer.cli.options import JsonOption, RunArgument

ANALYSIS = "pair_plan"


def plan_command(run: RunArgument, as_json: JsonOption = False) -> None:
    """Plan the collection of pairs from the activations of those there are; no sweep is needed.

    How many a stable vector takes, which pull it or look mislabelled, and whether length or single words separate the
    sides. The result is kept with the run's other analyses.

    Example: `interp-steer pairs plan runs/refusal-smollm2-135m`
    """
    from rich.console import Console

    from interp_steer.analysis import analyze
    from interp_steer.console import print_result
    from interp_steer.records import to_json
    from interp_steer.run import open_run

    opened = open_run(run)
    with opened.lock():
        (result,) = analyze(opened, [ANALYSIS])
    if as_json:
        typer.echo(json.dumps(to_json(result), ensure_ascii=False))
    else:
        print_result(result, Console())
