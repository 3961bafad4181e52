"""The judge that reads: every completion scored by Claude beside the unsteered one."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

from interp_steer.claude.client import Claude
from interp_steer.claude.questions import Question, Reply
from interp_steer.judges.account import Account, account_path
from interp_steer.judges.claude_gate import gate_path, pass_gate
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.instrument import instrument_of, scored
from interp_steer.judges.plan import make_plan, questions, read_baselines
from interp_steer.judges.retest import Retested, retest
from interp_steer.judges.verdicts import JudgeSummary, appending
from interp_steer.progress import Advance, progress
from interp_steer.records import Verdict
from interp_steer.run import Run

SAVE_EVERY = 64
"""Replies after which the manifest says what they cost."""


def judge_with_claude(run: Run, spec: ClaudeSpec) -> JudgeSummary:
    """Have every generation of a run scored that has no current verdict by this model and rubric.

    The gate comes first. Verdicts are appended as replies come; stopped at any point, the next call goes on.

    Returns:
        What was scored, what was not and why, what was skipped, and what it cost.

    Raises:
        JudgeError: If there are no unsteered answers to compare with, no key, the model does not order the obvious
            cases, or the limit of the cost is reached.
        RunError: If the run cannot be read or written.
    """
    behavior = run.behavior()
    instrument = instrument_of(behavior, spec.model)
    baselines = read_baselines(run)
    plan = make_plan(run, instrument, baselines, retry_unscored=spec.retry_unscored)
    account = Account(run, instrument)
    told: Counter[str] = Counter()
    n_scored = 0
    if plan.waiting:
        pass_gate(gate_path(run, instrument), behavior, instrument, asking(run, spec, account, gate=True))
    with appending(run.verdicts_path) as append:

        def write(verdict: Verdict) -> None:
            nonlocal n_scored
            append(verdict)
            if verdict.combined is None:
                told[verdict.reason or "no reason given"] += 1
            else:
                n_scored += 1

        for verdict in plan.ready:
            write(verdict)
        if plan.waiting:
            with progress("judge", len(plan.waiting)) as advance:
                replies = asking(run, spec, account, advance=advance)
                for reply in replies(questions(run, instrument, baselines, plan.waiting)):
                    decided = plan.waiting.pop(reply.key)
                    for generation in decided.generations:
                        write(scored(instrument, decided.asked, generation, reply))
                    advance(1, "")
    return JudgeSummary(
        judge=spec.model,
        judge_digest=instrument.digest,
        scored=n_scored,
        unscored=dict(told),
        skipped=plan.skipped,
        asked=account.asked,
        dollars=account.session.dollars,
    )


def retest_with_claude(run: Run, spec: ClaudeSpec, n: int) -> Retested:
    """Ask ``n`` of a judged run's questions again and compare; see :func:`interp_steer.judges.retest.retest`.

    Raises:
        JudgeError: If there are no scores to repeat, no key, or the limit of the cost is reached.
    """
    instrument = instrument_of(run.behavior(), spec.model)
    account = Account(run, instrument)
    return retest(run, instrument, n, asking(run, spec, account, purpose="retest"))


def asking(
    run: Run,
    spec: ClaudeSpec,
    account: Account,
    *,
    gate: bool = False,
    advance: Advance | None = None,
    purpose: str = "judge",
) -> Callable[[Iterable[Question]], Iterator[Reply]]:
    """Return a function that asks questions and puts what they cost on the run's account.

    The few questions of the gate are never batched: somebody waits for them. Others find batches of an earlier session
    again, also where new questions are asked one by one.
    """

    def replies(asked_for: Iterable[Question]) -> Iterator[Reply]:
        claude = Claude(
            spec.model,
            batches=False if gate else spec.batches,
            concurrency=spec.concurrency,
            max_cost=spec.max_cost,
            state=account_path(run),
            purpose="gate" if gate else purpose,
            advance=advance,
        )
        n = 0
        try:
            with closing(claude.answers(asked_for)) as answers:
                for reply in answers:
                    n += 1
                    yield reply
                    if n % SAVE_EVERY == 0:
                        account.save(claude.charges, n)
        finally:
            account.add(claude.spent, n)
            account.save(claude.charges)

    return replies
