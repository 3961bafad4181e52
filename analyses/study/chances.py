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
    random = {name: pick_p(one, name) for name in one.names}
    compared = [name for name in one.names if kind_of(name) == "heuristic"]
    corrected = dict(zip(compared, holm([random[name] for name in compared]), strict=True))
    return {
        name: Chances(random=random[name], shift=shift_p(one, name), holm=corrected.get(name)) for name in one.names
    }


def pick_p(one: Contest, name: str) -> float | None:
    """Return the p-value of a selector's mean regret if every behavior's layer were drawn at random."""
    observed = mean(one.regrets(name))
    return None if observed is None else random_pick_p([truth.mean for truth in one.truths], observed)


def shift_p(one: Contest, name: str) -> float | None:
    """Return the p-value of a selector's mean regret against shifts of its scores that all behaviors share."""
    return shared_shift_p([scores[name] for scores in one.scores], [truth.mean for truth in one.truths])
