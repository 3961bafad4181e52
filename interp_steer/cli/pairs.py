"""``interp-steer pairs``: the behaviors there are, and whether their pairs are sound."""

import json
from typing import Annotated

import typer

from interp_steer.cli.options import JsonOption
from interp_steer.cli.pairs_generate import generate_command
from interp_steer.cli.pairs_import import import_command
from interp_steer.cli.pairs_plan import plan_command

pairs_app = typer.Typer(no_args_is_help=True, help="List behaviors, make new ones, check and plan their pairs.")
pairs_app.command("import")(import_command)
pairs_app.command("plan")(plan_command)
pairs_app.command("generate")(generate_command)


@pairs_app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the built-in behaviors and those in `./pairs`.

    Example: `interp-steer pairs list`
    """
    from rich.console import Console
    from rich.table import Table

    from interp_steer.pairs import behavior_folder, list_behaviors, read_behavior, read_pairs, read_prompts

    table = Table("behavior", "pairs", "dev", "test", "what the positive side does")
    rows = []
    for name in list_behaviors():
        behavior = read_behavior(name)
        written = (behavior_folder(name) / "train.jsonl").exists()  # not yet, of a trait that was imported
        counts = [
            len(read_pairs(name)) if written else 0,
            len(read_prompts(name, "dev")),
            len(read_prompts(name, "test")),
        ]
        rows.append(
            {
                "behavior": name,
                "pairs": counts[0],
                "dev": counts[1],
                "test": counts[2],
                "description": behavior.description,
            }
        )
        table.add_row(name, *map(str, counts), behavior.description)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
    else:
        Console().print(table)


@pairs_app.command("check")
def check_command(
    behaviors: Annotated[list[str] | None, typer.Argument(help="Names or folders; by default all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check pairs and prompts: syntax, empty or equal sides, duplicates, leakage between splits, content, gate.

    Exit code 1 says that there are errors; warnings alone do not fail.

    Example: `interp-steer pairs check refusal`
    """
    from interp_steer.judges.gate import check_measure
    from interp_steer.pair_checks import check_behavior
    from interp_steer.pairs import behavior_folder, list_behaviors, read_behavior
    from interp_steer.records import to_json

    found = [(name, issue) for name in behaviors or list_behaviors() for issue in check_behavior(name)]
    broken = {name for name, issue in found if issue.severity == "error"}
    for name in behaviors or list_behaviors():
        if name not in broken:
            where = str(behavior_folder(name) / "behavior.toml")
            found += [(name, issue) for issue in check_measure(read_behavior(name), where)]
    if as_json:
        typer.echo(json.dumps([{"behavior": name, **to_json(issue)} for name, issue in found], ensure_ascii=False))
    else:
        for _, issue in found:
            typer.echo(f"{issue.where}: {issue.severity}: {issue.message}")
        errors = sum(issue.severity == "error" for _, issue in found)
        typer.echo(f"{errors} errors, {len(found) - errors} warnings")
    if any(issue.severity == "error" for _, issue in found):
        raise typer.Exit(1)
