"""What a write-up of steering Qwen3.5-9B found, held against what this study measured, claim by claim.

Each claim becomes one number per behavior, whose mean over behaviors has a 95 % interval (nested bootstrap where it is
a truth over prompts, Student's over behaviors else). It *holds* if the whole interval lies within what is
claimed, *does not hold* if all of it lies outside, and *cannot be told* otherwise, or with fewer than three behaviors
(of each kind, where two kinds are compared). What is claimed, as numbers, is in the table. Shares have Wilson's
interval, a difference between two kinds of behaviors Welch's.

By likelihood, ways to make a vector are compared at layers spread over depth, at one strength: at cells that none of
them chose. By generation they meet at the cell that was best for the mean difference, which favors it.

What it does not show: that the write-up was right or wrong about its own model. This is another one.
"""

from collections.abc import Sequence

from analyses.measure import interval_cells
from analyses.study.geometry_claims import geometry_claims
from analyses.study.steering_claims import steering_claims
from analyses.study.truths import subjects
from interp_steer.activations.artifact import read_activations
from interp_steer.findings import AnalysisResult, Table
from interp_steer.run import Run


def claims(runs: Sequence[Run]) -> AnalysisResult:
    """Hold every claim against the study.

    Raises:
        RunError: If a run lacks a stage of the study.
    """
    found = [*geometry_claims(runs), *steering_claims(subjects(runs))]
    count = {
        verdict: sum(one.verdict == verdict for one in found)
        for verdict in ("holds", "holds, and by chance too", "does not hold", "cannot tell")
    }
    pairs = ", ".join(sorted({str(read_activations(run.activations_path).n_pairs) for run in runs}))
    return AnalysisResult(
        name="claims",
        title="The write-up's claims",
        question="Which findings of the write-up are also found here?",
        finding=(
            f"Of {len(found)} claims {count['holds']} hold on this model where chance does not, "
            f"{count['holds, and by chance too']} where chance does as well; of {count['does not hold']} the opposite "
            f"is shown, and {count['cannot tell']} these behaviors cannot tell."
        ),
        caveats=(
            "Another model than the write-up's, 70 times smaller: what does not hold here may hold there.",
            "Geometry is that of these pairs. Steering is that of behaviors that are steered at all, but for the claim "
            "about entities, which takes all.",
        ),
        tables=(
            Table(
                title="Claim by claim",
                columns=(
                    "claim",
                    "measured here",
                    "claimed",
                    "mean",
                    "low",
                    "high",
                    "by chance",
                    "behaviors",
                    "verdict",
                ),
                rows=tuple(
                    (
                        one.text,
                        one.measure,
                        one.claimed,
                        *interval_cells(one.evidence),
                        one.chance,
                        one.n,
                        one.verdict,
                    )
                    for one in found
                ),
                notes=(
                    "mean over behaviors with its 95 % interval; it must lie within what is claimed, or outside",
                    "where the layer at 80 % of the depth was not generated at, the nearest one stands for it",
                    "by chance: the same mean for these pairs with their sides swapped at random (for the components: "
                    "for as many pairs of noise); what holds by chance too says nothing about behaviors; empty where "
                    "no such null was drawn",
                    f"components to 80 % grow with the number of pairs, here {pairs}",
                ),
            ),
        ),
    )
