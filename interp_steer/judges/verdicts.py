"""What every judge shares: which generations still need its verdict, and what it says when it is done."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interp_steer.records import Generation, Verdict, text_sha256
from interp_steer.run import Run


@dataclass(frozen=True, kw_only=True)
class JudgeSummary:
    """What a judge did to a run.

    Attributes:
        judge: Name of the judge.
        judge_digest: Digest of everything that decides its scores.
        scored: New verdicts with a combined score.
        unscored: New verdicts without one, by reason.
        skipped: Generations that already had this judge's verdict.
    """

    judge: str
    judge_digest: str
    scored: int
    unscored: Mapping[str, int]
    skipped: int


def summarize(judge: str, judge_digest: str, verdicts: Sequence[Verdict], skipped: int) -> JudgeSummary:
    """Count the new verdicts of a judge."""
    unscored = Counter(verdict.reason or "no reason given" for verdict in verdicts if verdict.combined is None)
    return JudgeSummary(
        judge=judge,
        judge_digest=judge_digest,
        scored=len(verdicts) - unscored.total(),
        unscored=dict(unscored),
        skipped=skipped,
    )


def pending(run: Run, generations: Sequence[Generation], judge: str, judge_digest: str) -> list[Generation]:
    """Return the generations that lack a current verdict of a judge, in order.

    A verdict is current if it is the judge's latest on that generation (the latest is the one that counts), has this
    digest, and is about this very text.
    """
    latest = {verdict.generation: verdict for verdict in run.verdicts() if verdict.judge == judge}
    current = {
        (verdict.generation, verdict.text_sha256) for verdict in latest.values() if verdict.judge_digest == judge_digest
    }
    return [generation for generation in generations if (generation.key, text_sha256(generation.text)) not in current]
