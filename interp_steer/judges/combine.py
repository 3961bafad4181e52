"""One score from several: high only where all are."""

from collections.abc import Sequence

from interp_steer.errors import JudgeError


def harmonic_mean(scores: Sequence[float | None]) -> float | None:
    """Return ``n / sum(1 / s)``: 0.0 if any score is 0, None if any is None.

    AxBench scores an answer that could not be judged 0; here it stays unscored.

    Args:
        scores: Scores of at least 0, on one scale.

    Raises:
        JudgeError: If there are no scores, or one is negative or not a number.

    Source:
        Wu et al., "AxBench", arXiv:2501.17148 (concept, instruction and fluency, each 0 to 2).
    """
    defined = [score for score in scores if score is not None]
    if not scores or not all(score >= 0 for score in defined):
        raise JudgeError(f"cannot combine {list(scores)}: expected at least one score, none of them negative or NaN")
    if len(defined) < len(scores):
        return None
    if 0 in defined:
        return 0.0
    return len(defined) / sum(1 / score for score in defined)
