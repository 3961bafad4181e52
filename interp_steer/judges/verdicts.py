"""What every judge shares: which generations still need its verdict, and what it says when it is done."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from interp_steer.errors import RunError
from interp_steer.files import append_records
from interp_steer.records import Generation, Verdict, text_sha256, to_json
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
        asked: Questions that were answered, the gate's included; one may decide many generations.
        dollars: What they cost; None for a model without a known price.
    """

    judge: str
    judge_digest: str
    scored: int
    unscored: Mapping[str, int]
    skipped: int
    asked: int = 0
    dollars: float | None = 0.0


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


@contextmanager
def appending(path: Path, every: int = 64) -> Iterator[Callable[[Verdict], None]]:
    """Give a function that appends one verdict to a file.

    A verdict outlives the process as soon as the function returns; the disk is waited for at every 64th and at the end.

    Raises:
        RunError: If the file cannot be written.
    """
    append_records(path, [])  # cuts off a torn last line
    written = 0
    with path.open("ab") as file:

        def append(verdict: Verdict) -> None:
            nonlocal written
            line = json.dumps(to_json(verdict), ensure_ascii=False, allow_nan=False).encode() + b"\n"
            try:
                file.write(line)
                file.flush()
                written += 1
                if written % every == 0:
                    os.fsync(file.fileno())
            except OSError as error:
                raise RunError(
                    f"cannot append to {path}: {error.strerror or error}; free space and run again to continue"
                ) from error

        try:
            yield append
        finally:
            os.fsync(file.fileno())
