"""``interp-steer judge``: scores for every generation."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from interp_steer.cli.claude_options import (
    BatchesOption,
    ConcurrencyOption,
    JudgeModelOption,
    JudgeOption,
    MaxCostOption,
    claude_spec,
)
from interp_steer.cli.options import UNSCORED, JsonOption, RunArgument, exit_if_unscored

if TYPE_CHECKING:
    from interp_steer.judges.retest import Retested


def judge_command(
    run: RunArgument,
    judge: JudgeOption = "local",
    judge_model: JudgeModelOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what Claude would be asked and what it costs. Needs no key.")
    ] = False,
    max_cost: MaxCostOption = None,
    batches: BatchesOption = None,
    concurrency: ConcurrencyOption = None,
    retry_unscored: Annotated[
        bool, typer.Option("--retry-unscored", help="Ask Claude again what was refused, cut off or unreadable.")
    ] = False,
    retest: Annotated[
        int, typer.Option(min=0, help="Then ask Claude this many of the questions again: how steady is it?")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Score every generation of a run that has no current verdict.

    `local` scores by rules, offline. `claude` reads each completion beside the unsteered one; it needs an API key in
    ANTHROPIC_API_KEY. Rubric, gate and scorer are those that `behavior.toml` has now. Look at `--dry-run` first, and
    set `--max-cost`. Exit code 3 says that some could not be scored; the reasons are printed and kept, and those that
    pass (overloaded, timeout) are tried again by the next run.

    Example: `interp-steer judge runs/refusal-smollm2-135m --judge claude --dry-run`
    """
    from interp_steer.begin import current_behavior
    from interp_steer.judges.judge import judge as judge_run
    from interp_steer.records import to_json
    from interp_steer.run import open_run

    claude = claude_spec(judge, judge_model, max_cost, batches, concurrency, retry_unscored=retry_unscored)
    if claude is None and (dry_run or retest):
        raise typer.BadParameter("it goes with --judge claude", param_hint="--dry-run" if dry_run else "--retest")
    opened = open_run(run)
    if claude is not None and dry_run:
        from interp_steer.judges.preview import preview

        found = preview(opened, claude, current_behavior(opened)[0])
        typer.echo(json.dumps(to_json(found)) if as_json else found.in_words())
        return
    with opened.lock():
        behavior, why = current_behavior(opened)
        if why is None:
            opened.update_manifest(behavior=to_json(behavior))
        else:
            typer.echo(f"rubric, gate and scorer are those that the run was made with: {why}", err=True)
        summary = judge_run(opened, judge, claude)
        repeated = None
        if claude is not None and retest:
            from interp_steer.judges.claude import retest_with_claude

            repeated = retest_with_claude(opened, claude, retest)
    if as_json:
        typer.echo(json.dumps({**to_json(summary), "retest": None if repeated is None else to_json(repeated)}))
    else:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in summary.unscored.items())
        unscored = f"{sum(summary.unscored.values())} ({reasons or 'none'})"
        typer.echo(f"scored {summary.scored}, unscored {unscored}, up to date {summary.skipped}")
        if summary.asked:
            cost = "an unknown price" if summary.dollars is None else f"${summary.dollars:.4f}"
            typer.echo(f"{summary.judge} answered {summary.asked} questions for {cost}")
        for line in [] if repeated is None else _repeated(repeated):
            typer.echo(line)
    exit_if_unscored(opened)
    if repeated is not None and repeated.unscored:
        raise typer.Exit(UNSCORED)


def _repeated(found: "Retested") -> Iterator[str]:
    for each in found.scales:
        rank = "undefined" if each.spearman is None else f"{each.spearman:.2f}"
        yield (
            f"asked again, {each.scale}: {each.n} questions, sd {each.sd:.2f} of 10, Spearman {rank}, "
            f"{each.within_one:.0%} within 1"
        )
    for reason, count in found.unscored.items():
        yield f"asked again without a score: {count} ({reason})"
