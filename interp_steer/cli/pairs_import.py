"""``interp-steer pairs import``: a behavior made of a file of pairs in any of the forms the field uses."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from interp_steer.cli.options import JsonOption

if TYPE_CHECKING:
    from interp_steer.pair_checks import Issue

_SHOWN = 3  # findings of each kind


def import_command(
    file: Annotated[Path, typer.Argument(help="JSON, JSON lines, CSV or TSV.")],
    name: Annotated[str, typer.Option("--as", help="Name of the behavior.")],
    out: Annotated[Path, typer.Option(help="Folder of behaviors.")] = Path("pairs"),
    form: Annotated[
        Literal["auto", "caa", "persona", "steering-bench", "texts", "csv", "jsonl"],
        typer.Option("--format", help="Form of the file; by default it is found out."),
    ] = "auto",
    prompt_column: Annotated[str, typer.Option(help="Key of the prompt, in CSV and JSON lines.")] = "prompt",
    positive_column: Annotated[str, typer.Option(help="Key of the response that shows the behavior.")] = "positive",
    negative_column: Annotated[str, typer.Option(help="Key of the response that does not.")] = "negative",
    letters: Annotated[
        Literal["keep", "expand"], typer.Option(help="Answers such as (A): as they are, or the text of the choice.")
    ] = "keep",
    prompt: Annotated[str | None, typer.Option(help="What `texts` without prompts answer.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts to evaluate on, one a line; all pairs are then for training.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Shares of train, dev and test, e.g. `0.6/0.15/0.25`.")] = None,
    dev: Annotated[int | None, typer.Option(help="Prompts that choose a cell; by default 15 %, 12 at most.")] = None,
    test: Annotated[int | None, typer.Option(help="Prompts that confirm it; by default 25 %, 24 at most.")] = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What the behavior is.")] = None,
    positive: Annotated[str | None, typer.Option(help="What a positive response shows.")] = None,
    negative: Annotated[str | None, typer.Option(help="What a negative response shows.")] = None,
    system_prompt: Annotated[str | None, typer.Option(help="Asks for the behavior (the prompted baseline).")] = None,
    scorer: Annotated[
        str | None, typer.Option(help="Offline scorer, e.g. `refusal`; by default one is learned from the pairs.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite a behavior of that name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a behavior of pairs kept elsewhere: CAA, persona-vector traits, steering-bench, texts, CSV, JSON lines.

    Prompts are divided into train, dev and test by hash, near duplicates together. Nothing is written unless every
    record is understood. The result is checked as `pairs check` does; exit code 1 says that there are errors.

    Example: `interp-steer pairs import sycophancy.json --as sycophantic -d "Agrees with whatever the user thinks"`
    """
    from interp_steer.judges.gate import check_measure
    from interp_steer.pair_checks import Issue, check_behavior
    from interp_steer.pair_import.division import Division
    from interp_steer.pair_import.forms import Reading
    from interp_steer.pair_import.importing import import_pairs
    from interp_steer.pair_import.scaffold import Sheet
    from interp_steer.pairs import numbered_lines
    from interp_steer.records import to_json

    if split is not None and (dev is not None or test is not None):
        raise typer.BadParameter("give either --split, or --dev and --test")
    sized = any(size is not None for size in (split, dev, test))
    done = import_pairs(
        file,
        name,
        out=out,
        reading=Reading(
            form=None if form == "auto" else form,
            prompt_column=prompt_column,
            positive_column=positive_column,
            negative_column=negative_column,
            letters=letters,
            prompt=prompt,
        ),
        division=Division(dev=dev, test=test, shares=split) if sized else None,
        sheet=Sheet(
            description=description, positive=positive, negative=negative, system_prompt=system_prompt, scorer=scorer
        ),
        prompts=[line for _, line in numbered_lines(prompts)] if prompts else (),
        force=force,
    )
    issues: list[Issue] = []
    if done.counts["train"]:  # else nothing can be sound yet
        issues = check_behavior(done.folder) + check_measure(done.behavior, str(done.folder / "behavior.toml"))
    if as_json:
        found = {
            "folder": str(done.folder),
            "form": done.form,
            "counts": done.counts,
            "scorer": done.behavior.scorer.name,
            "notes": done.behavior.notes,
            "remarks": done.remarks,
            "issues": [to_json(issue) for issue in issues],
        }
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        typer.echo(f"form    {done.form}")
        typer.echo("splits  " + ", ".join(f"{n} {split}" for split, n in done.counts.items()))
        for line in (*done.behavior.notes.splitlines(), *done.remarks, *_told(issues), str(done.folder)):
            typer.echo(line)
    if any(issue.severity == "error" for issue in issues):
        raise typer.Exit(1)


def _told(issues: "Sequence[Issue]") -> list[str]:
    """Return a few findings of each kind, and how many more there are."""
    lines, seen = [], Counter[str]()
    for issue in issues:
        seen[issue.kind] += 1
        if seen[issue.kind] <= _SHOWN:
            lines.append(f"{issue.where}: {issue.severity}: {issue.message}")
    lines += [f"{n - _SHOWN} more of {kind}" for kind, n in seen.items() if n > _SHOWN]
    errors = sum(issue.severity == "error" for issue in issues)
    return [*lines, f"{errors} errors, {len(issues) - errors} warnings"] if issues else []
