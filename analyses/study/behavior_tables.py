"""The behaviors of a contest: where each is steered best and how well that is known, and who was set aside."""

from collections.abc import Sequence

from analyses.study.contest import Contest
from analyses.study.nulls import good_layers, noise_ceiling
from interp_steer.findings import Table


def behavior_table(one: Contest) -> Table:
    """Say where each behavior is steered best, and how well that is known."""
    rows = []
    for truth in one.truths:
        reliability, good = noise_ceiling(truth.values), int(good_layers(truth.values).sum())
        best = truth.layers[int(truth.mean.argmax())]
        rows.append(
            (
                truth.behavior,
                best,
                best / truth.n_layers,
                float(truth.mean.max()),
                float(truth.mean.mean()),
                good,
                len(truth.layers),
                truth.values.shape[1],
                truth.prompted,
                truth.detectable,
                reliability,
                None if reliability is None else max(0.0, reliability) ** 0.5,
            )
        )
    unit = "mean combined score" if one.kind == "generation" else "mean change of the margin, nats per token"
    return Table(
        title=f"Behaviors by {one.kind}",
        columns=(
            "behavior",
            "best layer",
            "depth",
            "there",
            "mean of layers",
            "good layers",
            "of",
            "prompts",
            "system prompt",
            "detectable",
            "reliability",
            "ceiling",
        ),
        rows=tuple(rows),
        notes=(
            f"there, mean of layers, system prompt: {unit}; the system prompt asks for the behavior, without a push",
            "detectable: the smallest true advantage of the best layer over the mean of all that so many prompts show "
            "with a power of 0.8",
            "good layers cannot be told from the best one; where they are most of all, choosing hardly matters",
            "no heuristic can be expected to correlate with the truth by more than the ceiling",
        ),
    )


def aside_table(contests: Sequence[Contest]) -> Table:
    """List the behaviors that leave nothing to choose, by each truth."""
    return Table(
        title="Set aside",
        columns=("truth", "not shown to be steered", "which", "all layers alike", "which "),
        rows=tuple(
            (one.kind, len(one.aside), ", ".join(one.aside) or "none", len(one.flat), ", ".join(one.flat) or "none")
            for one in contests
        ),
        notes=(
            "on the test split the cell that dev chose must beat the unsteered model and random directions: by "
            "likelihood the strongest of all there, by generation the one that was generated",
            "layers are alike where Friedman's test over prompts does not tell them apart at 0.05",
        ),
    )
