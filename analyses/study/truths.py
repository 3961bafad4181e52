"""What each layer is worth for a behavior, prompt by prompt, by three ground truths.

- ``likelihood``: by how much the push at the alpha that dev pairs chose for the layer raises the margin of each test
  pair, in nats per token;
- ``equal KL``: the same at the alpha of equal disturbance, so that a layer that tolerates more is not ahead for it. It
  is the truth that was fixed beforehand for judging heuristics;
- ``generation``: the combined score of what the model writes on each test prompt, at the alpha that dev prompts chose,
  at the layers that were generated at.

A behavior that no layer steers has no best layer; it is set aside. It counts as steerable if on the test split the cell
that dev chose is above the unsteered model and above the strongest of the random directions there (by generation: above
the one random direction), each with a 95 % paired interval; at equal KL, if the layer that dev chose is above the
unsteered model at that dose too. One whose layers are all alike (Friedman's test over prompts) leaves
nothing to choose, and is set aside as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from analyses.study.nulls import is_flat
from analyses.study.ranking import FLAT
from analyses.truth import ground_truth
from interp_steer.findings import AnalysisResult, Number
from interp_steer.outcomes import MIN_PROMPTS, PROMPTED, mean, read_outcomes, steers
from interp_steer.run import Run
from interp_steer.stats import Interval, detectable, paired_bootstrap
from interp_steer.sweeps.heldout import HeldOut, HeldOutCell, Role, read_held_out
from interp_steer.sweeps.margins import Propensity, read_propensity
from interp_steer.vectors.vector import read_vectors

Kind = Literal["likelihood", "equal KL", "generation"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The truth of one behavior.

    Attributes:
        behavior: Its name.
        kind: Which truth.
        n_layers: Number of blocks of the model.
        layers: Layers that have one, ascending.
        values: One number for each of them and each prompt.
        prompted: The same number without a push, after a system prompt that asks for the behavior, averaged over these
            prompts; None where it was not scored.
        steerable: Whether the behavior is shown to be steered at all, by this kind of evidence.
    """

    behavior: str
    kind: Kind
    n_layers: int
    layers: tuple[int, ...]
    values: Float[np.ndarray, "layer prompt"]
    prompted: Number
    steerable: bool

    @property
    def flat(self) -> bool:
        """Whether there is nothing to choose."""
        return is_flat(self.values)

    @property
    def mean(self) -> Float[np.ndarray, " layer"]:
        """The truth of each layer."""
        return np.asarray(self.values.mean(axis=1))

    @property
    def prompted_regret(self) -> Number:
        """The regret of asking in the prompt, in the unit of normalized regret: below 0 no layer is as good."""
        best, span = float(self.mean.max()), float(self.mean.max() - self.mean.mean())
        return None if self.prompted is None or span <= FLAT else (best - self.prompted) / span

    @property
    def detectable(self) -> Number:
        """The smallest true advantage of the best layer over the mean of all that these prompts would show."""
        return detectable(self.values[int(self.mean.argmax())] - self.values.mean(axis=0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A behavior's run, with what a study reads of it; its family are the behaviors with the same scorer."""

    run: Run
    name: str
    family: str
    n_layers: int
    dev: Propensity
    test: HeldOut
    analyses: tuple[AnalysisResult, ...]

    @property
    def best(self) -> tuple[HeldOutCell, Float[np.ndarray, " pair"]]:
        """The cell that dev pairs chose of all, with its changes on the test pairs."""
        at = next(cell for cell, _ in self.test.of("minus"))
        return next(
            (cell, row) for cell, row in self.test.of("chosen") if (cell.layer, cell.alpha) == (at.layer, -at.alpha)
        )

    def natural_dose(self, layer: int, alpha: float) -> float:
        """Return an alpha in units of the layer's magnitude ratio: 1 equals one difference between the sides."""
        return alpha / float(read_vectors(self.run.vectors_path).magnitude_ratio[layer])

    def mean_of(self, role: Role) -> Float[np.ndarray, " pair"] | None:
        """Return the changes averaged over the cells with a role; None if there are none."""
        rows = [row for _, row in self.test.of(role)]
        return np.mean(rows, axis=0) if rows else None


def subjects(runs: Sequence[Run]) -> list[Subject]:
    """Read what the questions of a study share.

    Raises:
        RunError: If a run lacks its propensity, its held-out likelihoods or its analyses.
    """
    return [
        Subject(
            run=run,
            name=run.behavior().name,
            family=run.behavior().scorer.name,
            n_layers=run.model_card().n_layers,
            dev=read_propensity(run.propensity_path),
            test=read_held_out(run.held_out_path),
            analyses=tuple(run.analysis(name) for name in run.analyses()),
        )
        for run in runs
    ]


def truth_of(subject: Subject, kind: Kind) -> Truth:
    """Return the truth of a behavior by one kind of evidence."""
    if kind == "generation":
        return _generated(subject)
    found = sorted(subject.test.of("chosen" if kind == "likelihood" else "equal_kl"), key=lambda item: item[0].layer)
    over = over_random(subject)
    best, changes = subject.best
    gains = [changes] if kind == "likelihood" else [changes, *(row for cell, row in found if cell.layer == best.layer)]
    steers_there = kind == "likelihood" or len(gains) == 2
    return Truth(
        behavior=subject.name,
        kind=kind,
        n_layers=subject.n_layers,
        layers=tuple(cell.layer for cell, _ in found),
        values=np.array([row for _, row in found]),
        prompted=float(subject.test.prompted_changes().mean()),
        steerable=steers_there
        and all(paired_bootstrap(gain).low > 0 for gain in gains)
        and over is not None
        and over.low > 0,
    )


def over_random(subject: Subject) -> Interval | None:
    """Return the best cell minus the strongest of the random directions there; None if there were none."""
    random = [row for _, row in subject.test.of("random")]
    if not random:
        return None
    strongest = max(random, key=lambda row: float(row.mean()))
    return paired_bootstrap(subject.best[1] - strongest)


def _generated(subject: Subject) -> Truth:
    outcomes = read_outcomes(subject.run)
    truth = ground_truth(outcomes)
    scores = {
        layer: outcomes.scores(truth.split, found.cell, "combined") for layer, found in sorted(truth.by_layer.items())
    }
    prompts = [
        prompt
        for prompt in next(iter(scores.values()))
        if all(by_prompt.get(prompt) is not None for by_prompt in scores.values())
    ]
    enough = len(prompts) >= MIN_PROMPTS
    asked = outcomes.scores(truth.split, PROMPTED, "combined")
    return Truth(
        behavior=subject.name,
        kind="generation",
        n_layers=subject.n_layers,
        layers=tuple(scores),
        values=np.array([[by_prompt[prompt] for prompt in prompts] for by_prompt in scores.values()], dtype=float),
        prompted=mean([asked.get(prompt) for prompt in prompts]),
        steerable=enough and steers(outcomes, truth.split, truth.chosen),
    )
