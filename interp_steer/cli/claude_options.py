"""Options of the commands that judge, and what they mean to Claude."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from interp_steer.judges.claude_spec import ClaudeSpec

JudgeOption = Annotated[
    Literal["local", "claude"],
    typer.Option(help="Who scores: `local` by rules and offline, `claude` through the API."),
]
JudgeModelOption = Annotated[
    str | None,
    typer.Option(help="Claude model that scores, `claude-haiku-4-5` by default; its verdicts bear this name."),
]
MaxCostOption = Annotated[
    float | None,
    typer.Option(help="Most dollars Claude may cost on this run, what it cost before and other models included."),
]
BatchesOption = Annotated[
    bool | None,
    typer.Option("--batches/--no-batches", help="Message batches, at half the price; by default above 50 questions."),
]
ConcurrencyOption = Annotated[
    int | None, typer.Option(help="Questions under way at once without batches, 8 by default.", min=1)
]


def claude_spec(
    judge: Literal["local", "claude"],
    judge_model: str | None = None,
    max_cost: float | None = None,
    batches: bool | None = None,
    concurrency: int | None = None,
    *,
    retry_unscored: bool = False,
) -> "ClaudeSpec | None":
    """Return how Claude judges; None for another judge.

    Raises:
        typer.BadParameter: If an option was given that means nothing to that judge.
    """
    given = {"model": judge_model, "max_cost": max_cost, "batches": batches, "concurrency": concurrency}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if retry_unscored:
        options["retry_unscored"] = True
    if judge != "claude":
        if options:
            raise typer.BadParameter(
                f"--judge {judge} does not know it", param_hint=_claude_option(next(iter(options)))
            )
        return None
    from interp_steer.judges.claude_spec import ClaudeSpec

    return ClaudeSpec(**options)


def _claude_option(name: str) -> str:
    return "--judge-model" if name == "model" else f"--{name.replace('_', '-')}"
