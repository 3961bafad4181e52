"""What the sweep showed: generations joined with their verdicts, cell by cell.

Cells are chosen on the ``dev`` prompts and reported on the ``test`` prompts. A score that could not be
given is left out and counted; a cell without any scored generation scores None.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from interp_steer.files import read_records
from interp_steer.records import Cell, Generation, Verdict, text_sha256
from interp_steer.run import Run
from interp_steer.stats import Interval, paired_bootstrap

Score = Literal["behavior", "coherence", "combined"]

MIN_SCORED = 0.9
"""Share of a cell's generations that must have a score for the cell to be chosen."""

MIN_PROMPTS = 6
"""Prompts without which no interval is evidence."""

UNSTEERED = Cell(control="unsteered")
PROMPTED = Cell(control="prompted")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One generation with its verdict."""

    generation: Generation
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class CellOutcome:
    """The scores of one cell on one split, averaged over its generations."""

    cell: Cell
    split: str
    n: int
    n_unscored: int
    behavior: float | None
    coherence: float | None
    combined: float | None


class Outcomes:
    """Every judged generation of a run, addressable by split and cell."""

    def __init__(self, judged: Sequence[Judged]) -> None:
        """Group the judged generations by split and cell."""
        self._groups: dict[tuple[str, Cell], list[Judged]] = defaultdict(list)
        for item in judged:
            self._groups[item.generation.split, item.generation.cell].append(item)

    @property
    def n_unscored(self) -> int:
        """Number of generations without a combined score."""
        return sum(item.verdict.combined is None for group in self._groups.values() for item in group)

    def cells(self, split: str, control: str | None = None) -> list[Cell]:
        """Return the cells of a split, sorted by control, layer and alpha."""
        found = [cell for (name, cell) in self._groups if name == split and control in (None, cell.control)]
        return sorted(found, key=lambda cell: (cell.control, -1 if cell.layer is None else cell.layer, cell.alpha))

    def judged(self, split: str, cell: Cell) -> list[Judged]:
        """Return the generations of a cell with their verdicts, in prompt order."""
        return sorted(self._groups.get((split, cell), []), key=_prompt_order)

    def scores(self, split: str, cell: Cell, score: Score) -> dict[str, float | None]:
        """Return one score per prompt: the mean over its samples, None where none was scored."""
        by_prompt: dict[str, list[float | None]] = defaultdict(list)
        for item in self.judged(split, cell):
            by_prompt[item.generation.prompt_id].append(getattr(item.verdict, score))
        return {prompt: mean(values) for prompt, values in by_prompt.items()}

    def outcome(self, split: str, cell: Cell) -> CellOutcome:
        """Return the averaged scores of a cell."""
        judged = self.judged(split, cell)
        return CellOutcome(
            cell=cell,
            split=split,
            n=len(judged),
            n_unscored=sum(item.verdict.combined is None for item in judged),
            behavior=mean(list(self.scores(split, cell, "behavior").values())),
            coherence=mean(list(self.scores(split, cell, "coherence").values())),
            combined=mean(list(self.scores(split, cell, "combined").values())),
        )

    def best_cell(self, split: str = "dev", score: Score = "combined", layer: int | None = None) -> Cell | None:
        """Return the steered cell with the highest mean score, at one layer or at any.

        Only positive alphas compete: the question is which cell shows the behavior. So do only cells with at
        least ``MIN_SCORED`` of their generations scored: one that mostly falls silent must not win by the rest.
        Ties go to the smaller alpha, then to the earlier layer.
        """
        best: tuple[float, float, int] | None = None
        chosen: Cell | None = None
        for cell in self.cells(split, "steered"):
            value = mean(list(self.scores(split, cell, score).values()))
            if cell.layer is None or cell.alpha <= 0 or value is None or layer not in (None, cell.layer):
                continue
            judged = self.judged(split, cell)
            if sum(item.verdict.combined is not None for item in judged) < MIN_SCORED * len(judged):
                continue
            rank = (value, -cell.alpha, -cell.layer)
            if best is None or rank > best:
                best, chosen = rank, cell
        return chosen

    def effect(self, split: str, cell: Cell, score: Score, baseline: Cell = UNSTEERED) -> Interval | None:
        """Return mean(cell - baseline) over the prompts both answered, with a 95 % paired bootstrap interval.

        None if no prompt was scored in both.
        """
        differences = self.differences(split, cell, score, baseline)
        return paired_bootstrap(differences) if differences.size else None

    def differences(
        self, split: str, cell: Cell, score: Score, baseline: Cell = UNSTEERED
    ) -> Float[np.ndarray, " prompt"]:
        """Return cell minus baseline for every prompt that was scored in both."""
        ours, theirs = self.scores(split, cell, score), self.scores(split, baseline, score)
        return np.array(
            [
                value - reference
                for prompt, value in ours.items()
                if value is not None and (reference := theirs.get(prompt)) is not None
            ],
            dtype=np.float64,
        )


def current_judge(run: Run) -> str | None:
    """Return the judge whose scores count: the one that finished last; before any has, that of the last verdict."""
    if (held := run.manifest().get("judge")) is not None:
        return str(held)
    judge = None
    for verdict in read_records(run.verdicts_path, Verdict):
        judge = verdict.judge
    return judge


def finished_digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return, by judge, the digest of its judging that finished last.

    Manifests that do not keep them hold that of the current judge only.
    """
    held = dict(manifest.get("finished", {}))
    if manifest.get("judge") and manifest.get("judge_digest"):
        held[manifest["judge"]] = manifest["judge_digest"]
    return held


def judged_by(run: Run, judge: str | None = None) -> list[Judged]:
    """Join a run's generations with the verdicts of one judge, as it judged last.

    Verdicts of another digest of that judge, or of another text, are passed over: scores are never mixed. The digest is
    that of its judging that finished last, so that one that broke off replaces nothing.

    Args:
        run: The run directory.
        judge: Name of the judge; by default the current one.
    """
    judge = judge or current_judge(run)
    manifest = run.manifest() if run.manifest_path.exists() else {}
    generations = {generation.key: generation for generation in run.generations()}
    ours = [verdict for verdict in read_records(run.verdicts_path, Verdict) if verdict.judge == judge]
    digest = finished_digests(manifest).get(str(judge)) or (ours[-1].judge_digest if ours else None)
    current = {
        verdict.generation: verdict
        for verdict in ours
        if verdict.judge_digest == digest
        and verdict.generation in generations
        and verdict.text_sha256 == text_sha256(generations[verdict.generation].text)
    }
    return [Judged(generation=generations[key], verdict=verdict) for key, verdict in current.items()]


def read_outcomes(run: Run, judge: str | None = None) -> Outcomes:
    """Return the outcomes of a run by one judge; see :func:`judged_by`."""
    return Outcomes(judged_by(run, judge))


def steers(outcomes: Outcomes, split: str, cell: Cell) -> bool:
    """Whether a cell is shown to steer: its combined score is above the unsteered model's *and* a random direction's.

    Both differences are paired over prompts, with 95 % intervals above zero on at least ``MIN_PROMPTS``
    prompts. Without a random control at that layer and alpha nothing is shown.
    """
    random = Cell(control="random", layer=cell.layer, alpha=cell.alpha)
    effects = [outcomes.effect(split, cell, "combined", baseline) for baseline in (UNSTEERED, random)]
    return all(effect is not None and effect.low > 0 and effect.n >= MIN_PROMPTS for effect in effects)


def _prompt_order(item: Judged) -> tuple[int, str, int]:
    prompt = item.generation.prompt_id
    number = prompt.rpartition("-")[2]
    return (int(number) if number.isdigit() else 0, prompt, item.generation.sample)


def mean(values: Sequence[float | None]) -> float | None:
    """Average what is defined; None if nothing is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
