"""The offline judge: the behavior's own scorer, and coherence by measurement. No network, no model."""

from interp_steer.behaviors import ScorerSpec
from interp_steer.files import append_records
from interp_steer.judges.coherence import Thresholds, coherence, fit_thresholds, likelihood, measure
from interp_steer.judges.combine import harmonic_mean
from interp_steer.judges.gate import require_scorer
from interp_steer.judges.scorers import score_behavior
from interp_steer.judges.verdicts import JudgeSummary, pending, summarize
from interp_steer.records import Generation, Verdict, digest, text_sha256, to_json
from interp_steer.run import Run

NAME = "local"
VERSION = 2  # raise it when the scores of a text change: what was judged before is then judged again
_BATCH = 256  # verdicts per write


def judge_locally(run: Run) -> JudgeSummary:
    """Judge every generation of a run that has no current verdict, and append the verdicts to the run.

    Coherence is calibrated on the run's own unsteered answers to dev prompts; the thresholds are kept in the manifest
    under ``judges``. If they change, every generation is judged again.

    Returns:
        What was scored, what was not and why, and what was skipped.

    Raises:
        JudgeError: If the unsteered answers to dev prompts are not there yet, or the behavior has no scorer that
            passes its gate.
        BehaviorError: If the behavior names an unknown scorer or option.
        RunError: If the run cannot be read or written.
    """
    behavior = run.behavior()
    require_scorer(behavior)
    generations = run.generations()
    thresholds = fit_thresholds(generations, behavior.coherence.reference)
    decisive = {"version": VERSION, "scorer": to_json(behavior.scorer), "thresholds": to_json(thresholds)}
    judge_digest = digest(decisive)
    todo = pending(run, generations, NAME, judge_digest)
    if todo:
        judges = run.manifest().get("judges", {})
        run.update_manifest(judges={**judges, NAME: {"digest": judge_digest, **decisive}})
    verdicts: list[Verdict] = []
    for start in range(0, len(todo), _BATCH):
        batch = [
            _verdict(generation, behavior.scorer, thresholds, judge_digest)
            for generation in todo[start : start + _BATCH]
        ]
        append_records(run.verdicts_path, batch)
        verdicts += batch
    return summarize(NAME, judge_digest, verdicts, skipped=len(generations) - len(todo))


def _verdict(generation: Generation, scorer: ScorerSpec, thresholds: Thresholds, judge_digest: str) -> Verdict:
    nll = likelihood(generation, thresholds.reference)
    measures = measure(generation.text)
    shown = makes_sense = reason = None
    if not generation.text.strip():
        reason = "empty answer"
    else:
        shown = score_behavior(scorer, generation.text)
        makes_sense = coherence(measures, nll, thresholds, looped=generation.finish == "loop")
        reason = "no likelihood" if makes_sense is None else None
    return Verdict(
        generation=generation.key,
        text_sha256=text_sha256(generation.text),
        judge=NAME,
        judge_digest=judge_digest,
        behavior=shown,
        coherence=makes_sense,
        combined=harmonic_mean([shown, makes_sense]),
        reason=reason,
        measures={**measures, "nll": nll},
    )
