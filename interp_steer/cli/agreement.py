"""``interp-steer agreement``: how far the judges of a run agree.

A command of its own beside ``judge``, as ``audit`` is: under ``judge`` they would stand where RUN stands.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from interp_steer.cli.options import JsonOption, RunArgument

if TYPE_CHECKING:
    from interp_steer.judges.agreement import Agreement, Estimate, PositionEffect


def agreement_command(
    run: RunArgument,
    judges: Annotated[
        str | None, typer.Option(help="Judges separated by commas, e.g. `local,claude-haiku-4-5,human`; else all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare each two judges: rank correlation, and Cohen's kappa of scoring at least 0.5, with 95 % intervals.

    Whoever filled in the sheet of `interp-steer audit` is the judge `human`. For judges that compare two texts, it
    also says what standing first does to a score.

    Example: `interp-steer agreement runs/refusal-smollm2-135m --judges local,claude-haiku-4-5`
    """
    from interp_steer.judges.agreement import agreement, position_effects
    from interp_steer.records import to_json
    from interp_steer.run import open_run

    opened = open_run(run)
    found = agreement(opened, [name.strip() for name in judges.split(",")] if judges else [])
    names = dict.fromkeys(name for each in found for name in (each.first, each.second))
    effects = [effect for name in names for effect in position_effects(opened, name)]
    if as_json:
        typer.echo(
            json.dumps(
                {"agreement": [to_json(each) for each in found], "position": [to_json(each) for each in effects]}
            )
        )
    else:
        _print(found, effects)


def _print(found: "list[Agreement]", effects: "list[PositionEffect]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("judges", "score", "n", "Spearman", "kappa at 0.5", "weighted kappa")
    for each in found:
        statistics = (each.spearman, each.kappa, each.weighted_kappa)
        table.add_row(f"{each.first}, {each.second}", each.score, str(each.n), *map(_interval, statistics))
    Console().print(table)
    if effects:
        shown = Table("judge", "score", "n first, second", "score when first minus when second")
        for effect in effects:
            shown.add_row(
                effect.judge, effect.score, f"{effect.n_first}, {effect.n_second}", _interval(effect.difference)
            )
        Console().print(shown)


def _interval(estimate: "Estimate") -> str:
    if estimate.value is None:
        return "undefined"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
