"""How far the judges of a run agree with each other, and with a person.

Spearman's correlation asks whether they order the completions alike; Cohen's kappa whether they fall on the same side
of 0.5 beyond chance, and its weighted form how far apart they are on the scale of 0 to 10. Intervals resample prompts.
Completions with the same text share a question and its answer: each question counts once, whatever it decides.
What it does not show: that either is right. Two judges that share a blind spot agree about it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from interp_steer.errors import JudgeError
from interp_steer.judges.audit import HUMAN, read_human
from interp_steer.outcomes import judged_by
from interp_steer.records import Verdict
from interp_steer.run import Run
from interp_steer.stats import cluster_bootstrap, cohen_kappa, spearman

THRESHOLD = 0.5
SCORES = ("behavior", "coherence", "combined")
FEWEST = 3
RESAMPLES = 500


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic with its 95 % interval; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two judges on one score.

    Attributes:
        first: One judge.
        second: The other.
        score: ``behavior``, ``coherence`` or ``combined``, which each judge combines in its own way.
        n: Distinct questions that both scored: equal completions of one prompt, beside equal baselines, are one.
        spearman: Rank correlation.
        kappa: Cohen's kappa of being at least 0.5.
        weighted_kappa: Quadratically weighted, over the scores rounded to tenths.
    """

    first: str
    second: str
    score: str
    n: int
    spearman: Estimate
    kappa: Estimate
    weighted_kappa: Estimate


@dataclass(frozen=True, kw_only=True)
class PositionEffect:
    """What standing first does to a score.

    Position is drawn by a hash, so the two groups differ by chance only. The interval resamples prompts, as all here
    do: answers to one prompt are alike.

    Attributes:
        judge: A judge that compares.
        score: Which score.
        n_first: Distinct questions whose scored answer stood first.
        n_second: Those where it stood second.
        difference: Mean score when first minus mean score when second.
    """

    judge: str
    score: str
    n_first: int
    n_second: int
    difference: Estimate


def agreement(run: Run, judges: Sequence[str] = ()) -> list[Agreement]:
    """Compare the current verdicts of each two judges, score by score.

    Args:
        run: A judged run.
        judges: Names of judges, ``human`` for what ``interp-steer audit`` read; by default all there are.

    Raises:
        JudgeError: If fewer than two judges are there, one of those named has no verdicts, or two of them judged by
            different rubrics.
    """
    there = _judges(run)
    for name in judges:
        if name not in there:
            raise JudgeError(f"{run.path} holds no verdicts by {name!r}; expected some of {', '.join(there) or 'none'}")
    names = list(dict.fromkeys(judges)) or there
    if len(names) < 2:
        raise JudgeError(
            f"{run.path} holds verdicts by {names[0] if names else 'nobody'} only; agreement takes two judges: "
            "run 'interp-steer judge' with another --judge or --judge-model, or 'interp-steer audit'"
        )
    verdicts = {name: _verdicts(run, name) for name in names}
    _check_rubrics(run, verdicts)
    return [
        _compare(one, verdicts[one], other, verdicts[other], score)
        for one, other in combinations(names, 2)
        for score in SCORES
    ]


def position_effects(run: Run, judge: str) -> list[PositionEffect]:
    """Return what standing first does to the scores of a judge; nothing for one that does not compare."""
    asked = {
        verdict.question: (_prompt(key), verdict)
        for key, verdict in _verdicts(run, judge).items()
        if verdict.shown is not None and verdict.combined is not None
    }
    prompts, verdicts = [prompt for prompt, _ in asked.values()], [verdict for _, verdict in asked.values()]
    first = np.array([float(verdict.shown == "first") for verdict in verdicts])
    n_first = int(first.sum())
    n_second = len(verdicts) - n_first
    if not n_first or not n_second:
        return []
    found = []
    for score in SCORES:
        values = np.array([getattr(verdict, score) for verdict in verdicts])
        ends = cluster_bootstrap(_gap, values, first, prompts, resamples=RESAMPLES)
        difference = Estimate(value=_gap(values, first), low=ends and ends[0], high=ends and ends[1])
        found.append(
            PositionEffect(judge=judge, score=score, n_first=n_first, n_second=n_second, difference=difference)
        )
    return found


def _judges(run: Run) -> list[str]:
    names = dict.fromkeys(verdict.judge for verdict in run.verdicts())
    return [*names, HUMAN] if read_human(run) else [*names]


def _verdicts(run: Run, judge: str) -> dict[str, Verdict]:
    found = read_human(run) if judge == HUMAN else None
    return found if found is not None else {item.generation.key: item.verdict for item in judged_by(run, judge)}


def _check_rubrics(run: Run, verdicts: Mapping[str, Mapping[str, Verdict]]) -> None:
    """Refuse judges that were not told the same; rules and people, who are told no rubric, go with any of them."""
    told = {
        judge: one
        for judge, found in verdicts.items()
        if (one := next((one for one in found.values() if one.rubric_version is not None), None)) is not None
    }
    versions = {one.rubric_version for one in told.values()}
    texts = {text for one in told.values() if (text := _told(run, one)) is not None}
    if len(versions) > 1 or len(texts) > 1:
        named = ", ".join(f"{judge} by version {one.rubric_version}" for judge, one in told.items())
        raise JudgeError(
            f"the judges of {run.path} went by different rubrics ({named}{'; their texts differ' * (len(texts) > 1)}); "
            "judge again with those that are behind, or name judges of one rubric with --judges"
        )


def _told(run: Run, verdict: Verdict) -> str | None:
    """Return what the judge of a verdict was told, from the manifest; None where that does not hold it any more."""
    entry = run.manifest().get("judges", {}).get(verdict.judge, {})
    return str(entry["system"]) if entry.get("digest") == verdict.judge_digest else None


def _compare(one: str, first: dict[str, Verdict], other: str, second: dict[str, Verdict], score: str) -> Agreement:
    pairs: dict[tuple[str, str], tuple[float, float]] = {}
    for key in first:
        if (
            key in second
            and (a := getattr(first[key], score)) is not None
            and (b := getattr(second[key], score)) is not None
        ):
            pairs.setdefault((_prompt(key), _asked(first[key], second[key])), (a, b))
    a, b = (np.array([pair[i] for pair in pairs.values()], dtype=float) for i in (0, 1))
    prompts = [prompt for prompt, _ in pairs]

    def estimate(statistic: Callable[[np.ndarray, np.ndarray], float | None]) -> Estimate:
        value = statistic(a, b) if len(pairs) >= FEWEST else None
        ends = None if value is None else cluster_bootstrap(statistic, a, b, prompts, resamples=RESAMPLES)
        return Estimate(value=value, low=ends and ends[0], high=ends and ends[1])

    return Agreement(
        first=one,
        second=other,
        score=score,
        n=len(pairs),
        spearman=estimate(spearman),
        kappa=estimate(_kappa),
        weighted_kappa=estimate(_weighted_kappa),
    )


def _asked(first: Verdict, second: Verdict) -> str:
    """Name what two verdicts on one generation are about, the same for each generation that shares it."""
    return first.question or second.question or first.text_sha256


def _kappa(a: np.ndarray, b: np.ndarray) -> float | None:
    return cohen_kappa(a >= THRESHOLD, b >= THRESHOLD)


def _weighted_kappa(a: np.ndarray, b: np.ndarray) -> float | None:
    return cohen_kappa(np.rint(10 * a).astype(int), np.rint(10 * b).astype(int), weighted=True)


def _gap(values: np.ndarray, first: np.ndarray) -> float | None:
    """Return the mean of what stood first (1) minus that of what stood second (0); None without either."""
    if first.all() or not first.any():
        return None
    return float(values[first == 1].mean() - values[first == 0].mean())


def _prompt(generation: str) -> str:
    """Return the prompt of a generation, from its key."""
    return generation.partition("/")[0]
