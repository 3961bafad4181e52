"""How often would chance have done as well? P-values of every selector of a contest."""

from dataclasses import dataclass

from analyses.study.contest import Contest
from analyses.study.nulls import holm, random_pick_p, shared_shift_p
from analyses.study.selectors import kind_of
from interp_steer.outcomes import mean


@dataclass(frozen=True, kw_only=True)
class Chances:
    """P-values of a selector's mean regret at 1.

    Attributes:
        random: Against a layer drawn at random for each behavior.
        shift: Against the same scores shifted by as many layers for all behaviors.
        holm: ``random``, corrected for the number of heuristics; None for what is no heuristic.
    """

    random: float | None
    shift: float | None
    holm: float | None


def chances(one: Contest) -> dict[str, Chances]:
    """Return the p-values of every selector."""
    means, names = [truth.mean for truth in one.truths], one.names
    random = {
        name: None if (observed := mean(one.regrets(name))) is None else random_pick_p(means, observed)
        for name in names
    }
    compared = [name for name in names if kind_of(name) == "heuristic"]
    corrected = dict(zip(compared, holm([random[name] for name in compared]), strict=True))
    return {
        name: Chances(
            random=random[name],
            shift=shared_shift_p([scores[name] for scores in one.scores], means),
            holm=corrected.get(name),
        )
        for name in names
    }
