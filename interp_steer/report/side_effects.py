"""What else steering changed: length, endings, loops, likelihood, and whatever the judge scored beside the behavior."""

from collections.abc import Callable, Sequence

import numpy as np

from interp_steer.findings import Table, Value
from interp_steer.outcomes import UNSTEERED, Judged, Outcomes, mean
from interp_steer.records import Cell
from interp_steer.report.content import Headline, SideEffects
from interp_steer.report.phrases import capital, fixed, number

_MEASURES: tuple[tuple[str, Callable[[Judged], float | None]], ...] = (
    ("tokens", lambda item: float(item.generation.n_tokens)),
    ("ended by itself", lambda item: float(item.generation.finish == "eos")),
    ("stopped in a loop", lambda item: float(item.generation.finish == "loop")),
    ("empty", lambda item: float(not item.generation.text.strip())),
    ("nats per token", lambda item: item.generation.nll),
    ("follows the prompt", lambda item: item.verdict.instruction),
)
_ALL = 0.999  # shares are rounded
_NOTES = (
    "Means over the n completions of a condition; shares run from 0 to 1.",
    "Nats per token: how unlikely the text is to the unsteered model given the plain prompt (higher is stranger).",
)


def side_effects(outcomes: Outcomes, headline: Headline | None) -> SideEffects | None:
    """Return the means of every measure under the headline's conditions; None without a headline."""
    if headline is None:
        return None
    measured = {
        item.cell: [_mean(outcomes, headline.split, item.cell, read) for _, read in _MEASURES]
        for item in headline.contrasts
    }
    kept = [i for i in range(len(_MEASURES)) if any(row[i] is not None for row in measured.values())]
    rows: list[tuple[Value, ...]] = [
        (capital(item.name), item.n, *(measured[item.cell][i] for i in kept)) for item in headline.contrasts
    ]
    return SideEffects(
        finding=_finding(measured.get(UNSTEERED), measured[headline.cell]),
        table=Table(
            title="What else changed",
            columns=("condition", "n", *(_MEASURES[i][0] for i in kept)),
            rows=tuple(rows),
            notes=_NOTES,
        ),
    )


def _mean(outcomes: Outcomes, split: str, cell: Cell, read: Callable[[Judged], float | None]) -> float | None:
    value = mean([read(item) for item in outcomes.judged(split, cell)])
    return None if value is None else float(np.round(value, 4))


def _finding(before: Sequence[float | None] | None, after: Sequence[float | None]) -> str:
    if before is None:
        return "The unsteered model did not answer these prompts, so nothing can be compared"
    length, ended, looped, _, nll, _ = [(a or 0.0, b or 0.0) for a, b in zip(before, after, strict=True)]
    parts = [f"{_percent(ended[1])} of steered answers end before they are cut off ({_percent(ended[0])} unsteered)"]
    if min(a + b for a, b in zip(ended, looped, strict=True)) > _ALL:  # the length of what is cut off says nothing
        before_and_after = f"{number(length[1], 0)} tokens long on average ({number(length[0], 0)} unsteered)"
        parts = [f"steered answers are {before_and_after}"]
    if looped[1]:
        parts.append(f"{_percent(looped[1])} run in a loop ({_percent(looped[0])})")
    if None not in (before[4], after[4]):
        parts.append(f"a token surprises the unsteered model by {fixed(nll[1])} nats on average ({fixed(nll[0])})")
    return capital(", and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
