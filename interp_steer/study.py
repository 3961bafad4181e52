"""Many behaviors on one model: every heuristic, against two ground truths, with every control.

Each behavior is a run of its own in the study's folder. First by likelihood, at every layer: what dev pairs choose is
confirmed on test pairs. Then by generation, at the layers that likelihood prefers and at others spread over depth,
so that the second truth does not rest on the first one's word. Every stage is kept, so a stopped study goes on.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from interp_steer.analysis import analyze, analyze_study
from interp_steer.begin import Source, begin_run, timed
from interp_steer.errors import RunError, SteeringError
from interp_steer.files import parsed, record_of, write_json
from interp_steer.findings import AnalysisResult
from interp_steer.judges.gate import require_scorer
from interp_steer.outcomes import read_outcomes
from interp_steer.pairs import read_behavior, read_pairs, read_prompts
from interp_steer.progress import progress
from interp_steer.records import Cell, from_json, to_json
from interp_steer.run import Run
from interp_steer.stages import extract_stage, fit_stage, held_halving, judge_stage, missing, sweep_stage
from interp_steer.sweeps.calibration import CalibrationSpec
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.halving import shortlisted
from interp_steer.sweeps.margins import PropensitySpec, read_propensity
from interp_steer.sweeps.pushes import default_spec, run_pushes
from interp_steer.sweeps.rows import claim_spec
from interp_steer.sweeps.run_sweep import sweep as sweep_rows
from interp_steer.teacher_forced import calibrate_stage, dose_stage, held_out_stage, propensity_stage
from interp_steer.terms import Control, Scope
from interp_steer.vectors.vector import read_vectors

FILE = "study.json"
OTHER_METHODS: tuple[Control, ...] = ("pca", "pca_centered")


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """What a study measures, the behaviors aside.

    Attributes:
        alphas: Strengths measured by likelihood on the dev pairs at every layer, negative ones too; the positive ones
            are generated at.
        scope: Positions that are steered.
        random_alpha: Strength of the random direction at every layer that is generated at, and of the vectors by
            which ways to make one are compared.
        target_kl: The disturbance at which layers are compared with equal side effects, in nats.
        n_random: Random directions at the best cell, on the test pairs.
        n_flipped: Sign flips of the pairs there.
        n_best: Layers generated at because likelihood prefers them.
        n_spread: Layers generated at because they are spread over depth; ways to make a vector are compared there.
        max_new_tokens: Longest completion.
        seed: Seed of whatever is random.
    """

    alphas: tuple[float, ...] = (-0.2, 0.15, 0.3, 0.45)
    scope: Scope = "response"
    random_alpha: float = 0.3
    target_kl: float = 1.0
    n_random: int = 20
    n_flipped: int = 5
    n_best: int = 5
    n_spread: int = 6
    max_new_tokens: int = 32
    seed: int = 0


def run_study(behaviors: Sequence[str | Path], source: Source, folder: Path, spec: StudySpec) -> list[AnalysisResult]:
    """Do what is missing of a study, and answer its questions.

    Args:
        behaviors: Names or folders of behaviors; each needs an offline scorer, and pairs in all splits.
        source: The model.
        folder: Where the study is kept: ``study.json``, a run for each behavior, and ``analyses/``.
        spec: What is measured.

    Returns:
        The result of each question, in order.

    Raises:
        RunError: If the folder holds another study, naming what differs.
        InterpSteerError: Whatever stops a stage; what was done stays, and the same call continues.
    """
    names = [read_behavior(behavior).name for behavior in behaviors]
    if len(set(names)) < len(names) or len(names) < 2:
        raise SteeringError(f"a study compares behaviors; expected at least two different ones, got {', '.join(names)}")
    for behavior in behaviors:  # now, not hours later
        require_scorer(read_behavior(behavior))
        for split in ("train", "dev", "test"):
            read_pairs(behavior, split)
    _claim(folder, source.name, spec)
    runs = {name: Run(folder / name) for name in names}
    by_name = dict(zip(names, behaviors, strict=True))
    with progress("study", 4 * len(names)) as advance:
        for name, run in runs.items():
            with run.lock():
                _read(run, by_name[name], source, spec)
            advance(1, f"{name}: likelihoods")
        for name, run in runs.items():
            others = {other: theirs for other, theirs in runs.items() if other != name}
            with run.lock():
                _held_out(run, source, others, spec)
            advance(1, f"{name}: held-out pairs")
        for name, run in runs.items():
            with run.lock():
                _generate(run, by_name[name], source, spec)
            advance(1, f"{name}: generations")
        for name, run in runs.items():
            with run.lock(), timed(run, "analyze"):
                analyze(run)
            advance(1, f"{name}: analyses")
    about = {"model": source.name, "spec": to_json(spec), "behaviors": names}
    write_json(folder / FILE, {**about, "card": to_json(next(iter(runs.values())).model_card())})
    return analyze_study(list(runs.values()), folder)


def _read(run: Run, behavior: str | Path, source: Source, spec: StudySpec) -> None:
    """Everything that is measured by reading, on the training pairs, neutral prompts and the dev pairs."""
    begin_run(run.path, behavior, source.name)
    extract_stage(run, behavior, source, read_position="mean_response")
    fit_stage(run, method="mean_difference")
    vectors = read_vectors(run.vectors_path)
    pushed = replace(default_spec(run, vectors), scope=spec.scope)
    if run.model_card().dtype != "float32":  # a push of a hundredth of the norm drowns in the rounding of the stream
        pushed = replace(pushed, least_alpha=pushed.alpha)
    propensity = PropensitySpec(
        layers=pushed.layers,
        alphas=spec.alphas,
        scope=spec.scope,
        random_alpha=spec.random_alpha,
        seed=spec.seed,
    )
    propensity_stage(run, source, propensity)
    calibrate_stage(run, source, CalibrationSpec(layers=pushed.layers, target_kl=spec.target_kl, scope=spec.scope))
    with timed(run, "pushes"):
        run_pushes(run, lambda: source.model, pushed)


def _held_out(run: Run, source: Source, others: dict[str, Run], spec: StudySpec) -> None:
    """What dev chose, on the test pairs, and how strongly it disturbs; methods are compared where none chose to be."""
    methods = [(layer, spec.random_alpha) for layer in _spread(run.model_card().n_layers, spec.n_spread)]
    held_out_stage(run, source, others, methods=methods, n_random=spec.n_random, n_flipped=spec.n_flipped)
    dose_stage(run, source)


def _spread(n_layers: int, n: int) -> list[int]:
    return sorted({round((i + 0.5) * n_layers / n) for i in range(n)})


def _generate(run: Run, behavior: str | Path, source: Source, spec: StudySpec) -> None:
    """The second truth: texts, at the layers that likelihood prefers and at some spread over depth."""
    measured, n_layers = read_propensity(run.propensity_path), run.model_card().n_layers
    sweep = SweepSpec(
        layers=tuple(range(n_layers)),
        alphas=tuple(alpha for alpha in spec.alphas if alpha > 0),
        random_alphas=(spec.random_alpha,),
        scope=spec.scope,
        max_new_tokens=spec.max_new_tokens,
        seed=spec.seed,
        strategy="halving",
    )
    if held_halving(run, sweep) is None:
        chosen = shortlisted(measured, sweep, n_best=spec.n_best, also=_spread(n_layers, spec.n_spread))
        claim_spec(run, sweep, started=run.generations_path.exists())
        run.update_manifest(halving=to_json(chosen))
    for split in ("dev", "test"):
        sweep_stage(run, behavior, source.engine, sweep, split=split)
        judge_stage(run)
    best = read_outcomes(run).best_cell("dev")
    if best is None:
        return
    prompts = read_prompts(behavior, "test")
    others = [Cell(control=method, layer=best.layer, alpha=best.alpha) for method in OTHER_METHODS]
    if missing(run, prompts, others, sweep):
        with closing(source.engine()) as engine, timed(run, "sweep test"):
            sweep_rows(run, engine, prompts, others, sweep)
        judge_stage(run)


def _claim(folder: Path, model: str, spec: StudySpec) -> None:
    """Record what the study is, or refuse one that differs from what the folder was begun with."""
    path = folder / FILE
    wanted = {"model": model, "spec": to_json(spec)}
    if not path.exists():
        write_json(path, wanted)
        return
    remedy = "choose another --out, or delete the file"
    held = record_of(dict, parsed(path.read_bytes(), str(path), remedy), str(path), remedy)
    before = {"model": held.get("model"), **to_json(from_json(StudySpec, held.get("spec", {})))}
    now = {"model": model, **to_json(spec)}
    if changed := [f"{name}: {before[name]!r} -> {now[name]!r}" for name in now if before[name] != now[name]]:
        raise RunError(f"{folder} holds another study ({'; '.join(changed)}); use the same settings, or another --out")
