"""Which behaviors can be steered at all, and how does that compare with everything that should not work as well?

All on the test split, at the one cell that dev chose. By likelihood: the change of the margin in nats per token,
against random directions, sign-flipped pairs, the opposite push and the system prompt. By generation: the change
of the combined score against the same. The *winner's curse gap* is the score of the chosen cell on dev minus that on
test: how much choosing on noisy numbers flattered it. By likelihood the same gap averaged over all layers is
subtracted, for dev and test are different prompts; by generation it is in there. The *detectable effect* is the
smallest true mean that so many prompts would show with a power of 0.8.

Random directions stand at that one cell, not at the best of a grid of their own: the test pairs did not choose the
cell, so there is no search that random directions would have to be granted too.

What it does not show: that a behavior which is set aside cannot be steered. It was not, by these pairs, here.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analyses.measure import interval_cells
from analyses.study.truths import Subject, over_random, subjects
from analyses.truth import effects_of, ground_truth
from interp_steer.findings import AnalysisResult, Figure, Number, Series, Table
from interp_steer.outcomes import Outcomes, read_outcomes
from interp_steer.run import Run
from interp_steer.stats import detectable, paired_bootstrap


def steerable(runs: Sequence[Run]) -> AnalysisResult:
    """Say which behaviors are steered, by either truth.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    found = subjects(runs)
    by_likelihood = [_likelihood_row(subject) for subject in found]
    outcomes = [read_outcomes(run) for run in runs]
    by_generation = [_generation_row(subject.name, each) for subject, each in zip(found, outcomes, strict=True)]
    return AnalysisResult(
        name="steerable",
        title="Steerable at all?",
        question="Which behaviors does the best cell steer, on prompts that did not choose it?",
        finding=_finding(by_likelihood, by_generation),
        caveats=(
            _at_the_edge(found),
            "Likelihood asks how likely given texts become; generation what is written. They can disagree.",
            "Offline scorers read words, not meaning; the random direction shows how far they are fooled.",
        ),
        tables=(_likelihood_table(by_likelihood), _generation_table(by_generation)),
        figures=(_controls_figure(found), _generation_figure(by_generation)),
    )


_LIKELIHOOD = (
    "behavior", "layer", "alpha", "in natural doses", "change", "low", "high", "over random: low", "steered", "random",
    "strongest random", "sign-flipped", "minus alpha", "prompted", "gap to dev", "detectable", "pairs",
)  # fmt: skip
_GENERATION = (
    "behavior", "layer", "alpha", "change", "low", "high", "over random: low", "steered", "coherence", "random",
    "prompted", "gap to dev", "detectable", "prompts",
)  # fmt: skip


def _likelihood_row(subject: Subject) -> tuple[str | Number | bool, ...]:
    cell, changes = subject.best
    gain, over = paired_bootstrap(changes), over_random(subject)
    random = [float(row.mean()) for _, row in subject.test.of("random")]
    spec = subject.dev.card.spec
    dev = float(subject.dev.mean_change()[spec.layers.index(cell.layer), spec.alphas.index(cell.alpha)])
    return (
        subject.name,
        cell.layer,
        cell.alpha,
        subject.natural_dose(cell.layer, cell.alpha),
        gain.mean,
        gain.low,
        gain.high,
        None if over is None else over.low,
        gain.low > 0 and over is not None and over.low > 0,
        float(np.mean(random)) if random else None,
        max(random) if random else None,
        _mean(subject.mean_of("sign_flipped")),
        _mean(subject.mean_of("minus")),
        float(subject.test.prompted_changes().mean()),
        dev - gain.mean - _mean_gap(subject),
        detectable(changes),
        changes.size,
    )


def _at_the_edge(found: Sequence[Subject]) -> str:
    edge = sum(subject.best[0].alpha == max(subject.dev.card.spec.alphas) for subject in found)
    return (
        f"By likelihood the best cell is at the largest alpha measured for {edge} of {len(found)} behaviors: there the "
        "margin still rises, whatever becomes of the text."
    )


def _mean_gap(subject: Subject) -> float:
    """Return how much higher dev is than test, averaged over every layer's chosen cell."""
    spec, change = subject.dev.card.spec, subject.dev.mean_change()
    gaps = [
        change[spec.layers.index(cell.layer), spec.alphas.index(cell.alpha)] - row.mean()
        for cell, row in subject.test.of("chosen")
    ]
    return float(np.mean(gaps))


def _mean(changes: Float[np.ndarray, " pair"] | None) -> Number:
    return None if changes is None else float(changes.mean())


def _generation_row(name: str, outcomes: Outcomes) -> tuple[str | Number | bool, ...]:
    truth = ground_truth(outcomes)
    effects, cell = effects_of(outcomes, truth), truth.chosen
    there = outcomes.outcome(truth.split, cell)
    dev = outcomes.outcome("dev", cell).combined
    return (
        name,
        cell.layer,
        cell.alpha,
        *interval_cells(effects.gain),
        None if effects.over_random is None else effects.over_random.low,
        effects.steerable,
        there.coherence,
        None if effects.random is None else effects.random.mean,
        None if effects.prompted is None else effects.prompted.mean,
        None if dev is None or there.combined is None or truth.split == "dev" else dev - there.combined,
        effects.detectable,
        0 if effects.gain is None else effects.gain.n,
    )


def _likelihood_table(rows: Sequence[tuple[str | Number | bool, ...]]) -> Table:
    return Table(
        title="By likelihood",
        columns=_LIKELIHOOD,
        rows=tuple(rows),
        notes=(
            "mean change of log p(positive) - log p(negative) over test pairs, nats per token; 95 % intervals",
            "over random: the best cell minus the strongest of the random directions there, lower end",
            "a natural dose is the alpha that equals one class difference (the magnitude ratio)",
        ),
    )


def _generation_table(rows: Sequence[tuple[str | Number | bool, ...]]) -> Table:
    return Table(
        title="By generation",
        columns=_GENERATION,
        rows=tuple(rows),
        notes=("change of the combined score (behavior and coherence) on test prompts, paired with unsteered answers",),
    )


def _controls_figure(found: Sequence[Subject]) -> Figure:
    def column(role: str) -> tuple[Number, ...]:
        return tuple(_mean(subject.mean_of(role)) for subject in found)  # type: ignore[arg-type]

    gains = [paired_bootstrap(subject.best[1]) for subject in found]
    return Figure(
        kind="bars",
        title="The best cell and its controls, by likelihood",
        x_label="Behavior",
        y_label="Change of the margin, nats per token",
        x=tuple(subject.name for subject in found),
        series=(
            Series(
                name="steering vector",
                y=tuple(gain.mean for gain in gains),
                low=tuple(gain.low for gain in gains),
                high=tuple(gain.high for gain in gains),
            ),
            Series(
                name="system prompt", y=tuple(float(one.test.prompted_changes().mean()) for one in found), role="other"
            ),
            Series(name="random directions", y=column("random"), role="reference"),
            Series(name="sign-flipped pairs", y=column("sign_flipped"), role="reference"),
        ),
    )


def _generation_figure(rows: Sequence[tuple[str | Number | bool, ...]]) -> Figure:
    def column(name: str) -> tuple[Number, ...]:
        at = _GENERATION.index(name)
        return tuple(value if isinstance(value := row[at], float) else None for row in rows)

    return Figure(
        kind="bars",
        title="The best cell and its controls, by generation",
        x_label="Behavior",
        y_label="Change of the combined score",
        x=tuple(str(row[0]) for row in rows),
        series=(
            Series(name="steering vector", y=column("change"), low=column("low"), high=column("high")),
            Series(name="system prompt", y=column("prompted"), role="other"),
            Series(name="random direction", y=column("random"), role="reference"),
        ),
    )


def _finding(
    likelihood: Sequence[tuple[str | Number | bool, ...]], generation: Sequence[tuple[str | Number | bool, ...]]
) -> str:
    steered = {
        name: [str(row[0]) for row in rows if row[columns.index("steered")]]
        for name, rows, columns in (("likelihood", likelihood, _LIKELIHOOD), ("generation", generation, _GENERATION))
    }
    both = [name for name in steered["likelihood"] if name in steered["generation"]]
    missing = [str(row[0]) for row in likelihood if row[0] not in steered["generation"]]
    return (
        f"Of {len(likelihood)} behaviors, {len(steered['likelihood'])} are steered by likelihood and "
        f"{len(steered['generation'])} in what the model writes ({len(both)} by both). "
        f"Not in writing: {', '.join(missing) or 'none'}."
    )
