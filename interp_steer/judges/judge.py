"""Judge a run: the one door to every judge."""

from interp_steer.errors import JudgeError
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.local import judge_locally
from interp_steer.judges.verdicts import JudgeSummary
from interp_steer.outcomes import finished_digests
from interp_steer.run import Run

JUDGES = ("local", "claude")


def judge(run: Run, judge: str = "local", claude: ClaudeSpec | None = None) -> JudgeSummary:
    """Give every generation of a run a verdict, unless it has a current one.

    The judge that finished last is the one whose scores count from then on, in reports, analyses and the choice of
    cells; judging again with another that has nothing left to do costs nothing and turns back to it.

    Args:
        run: A run whose sweep has written generations.
        judge: ``local``, the offline judge; or ``claude``, whose verdicts bear the name of its model.
        claude: How Claude judges, e.g. ``ClaudeSpec(max_cost=2.5)``.

    Returns:
        What was scored, what was not and why, and what was skipped.

    Raises:
        JudgeError: If the judge is unknown (the message lists those that exist) or cannot judge.
    """
    if judge not in JUDGES:
        raise JudgeError(f"unknown judge {judge!r}: expected one of {', '.join(JUDGES)}")
    if judge == "local":
        summary = judge_locally(run)
    else:
        from interp_steer.judges.claude import judge_with_claude  # the SDK takes a second to import

        summary = judge_with_claude(run, claude or ClaudeSpec())
    finished = {**finished_digests(run.manifest()), summary.judge: summary.judge_digest}
    run.update_manifest(judge=summary.judge, judge_digest=summary.judge_digest, finished=finished)
    return summary
