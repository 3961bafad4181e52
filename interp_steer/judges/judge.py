"""Judge a run: the one door to every judge."""

from collections.abc import Callable

from interp_steer.errors import JudgeError
from interp_steer.judges.local import judge_locally
from interp_steer.judges.verdicts import JudgeSummary
from interp_steer.run import Run

JUDGES: dict[str, Callable[[Run], JudgeSummary]] = {"local": judge_locally}


def judge(run: Run, judge: str = "local") -> JudgeSummary:
    """Give every generation of a run a verdict, unless it has a current one.

    Args:
        run: A run whose sweep has written generations.
        judge: Name of the judge.

    Returns:
        What was scored, what was not and why, and what was skipped.

    Raises:
        JudgeError: If the judge is unknown; the message lists those that exist.
    """
    if judge not in JUDGES:
        raise JudgeError(f"unknown judge {judge!r}: expected one of {', '.join(JUDGES)}")
    return JUDGES[judge](run)
