"""The stages of a run, each of which does what is missing and no more."""

from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from interp_steer.activations.artifact import read_activations, save_activations
from interp_steer.begin import Source, check_unchanged, timed
from interp_steer.behaviors import EvaluationPrompt
from interp_steer.errors import RunError
from interp_steer.files import write_json
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.judges.judge import judge
from interp_steer.outcomes import read_outcomes
from interp_steer.pairs import read_pairs, read_prompts
from interp_steer.records import Cell, from_json, to_json
from interp_steer.run import Run
from interp_steer.sweeps.grid import SweepSpec, confirmation_cells
from interp_steer.terms import Method, ReadPosition, Split
from interp_steer.vectors.fit import fit
from interp_steer.vectors.vector import read_vectors, save_vectors

if TYPE_CHECKING:
    from interp_steer.sweeps.answers import Engine
    from interp_steer.sweeps.halving import Halving


def extract_stage(
    run: Run, behavior: str | Path, source: Source, *, read_position: ReadPosition, first_k: int = 5
) -> None:
    """Read the activations of the run's pairs, unless they are there.

    Raises:
        RunError: If activations are there that were read at another position.
    """
    if run.activations_path.exists():
        card = read_activations(run.activations_path).card
        held = (card.read_position, card.first_k)
        wanted = (read_position, first_k if read_position == "first_k" else None)
        if held != wanted:
            before, now = (f"{position!r}" + (f" (k = {k})" if k else "") for position, k in (held, wanted))
            raise RunError(f"{run.path} holds activations read at {before}, not {now}; choose another --out")
        return
    from interp_steer.activations.extract import extract

    with timed(run, "load model"):
        model = source.model
    with timed(run, "extract"):
        activations = extract(
            model,
            read_pairs(behavior),
            behavior=run.behavior().name,
            pairs_sha256=run.manifest()["pairs"]["sha256"],
            read_position=read_position,
            first_k=first_k,
        )
    run.update_manifest(model=to_json(model.card), read_position=read_position)
    save_activations(activations, run.activations_path)


def fit_stage(run: Run, *, method: Method) -> None:
    """Make the steering vectors, unless those of this method are there.

    Raises:
        RunError: If the run holds generations that were steered with vectors of another method.
    """
    activations = read_activations(run.activations_path)
    held = read_vectors(run.vectors_path).card if run.vectors_path.exists() else None
    if held is not None and held.method == method and held.activations == activations.card:
        return
    swept_with = run.manifest().get("method")
    if run.generations_path.exists() and (held is not None or swept_with != method):
        raise RunError(
            f"{run.path} was swept with other vectors ({swept_with}), not with {method!r} of these activations; "
            "choose another --out"
        )
    with timed(run, "fit"):
        save_vectors(fit(activations, method=method), run.vectors_path)
    run.update_manifest(method=method)


def sweep_stage(
    run: Run, behavior: str | Path, engine: "Callable[[], Engine]", spec: SweepSpec, *, split: Split
) -> None:
    """Generate what is missing of one split: the whole grid on ``dev``, the chosen cells on ``test``.

    Args:
        run: The run directory.
        behavior: Name or folder of the behavior.
        engine: Starts what answers, with the model in it; not called where nothing is missing.
        spec: What the sweep covers.
        split: Which prompts.

    Raises:
        RunError: If ``dev`` was not judged before ``test``, or the run holds another sweep.
        SteeringError: If the specification does not fit the model.
    """
    prompts, cells = sweep_plan(run, behavior, spec, split=split)
    if not missing(run, prompts, cells, spec):
        return
    from interp_steer.sweeps.run_sweep import sweep

    with timed(run, "load model"):
        started = engine()
    with closing(started), timed(run, f"sweep {split}"):
        sweep(run, started, prompts, cells, spec)


def sweep_plan(
    run: Run, behavior: str | Path, spec: SweepSpec, *, split: Split, halving: "Halving | None" = None
) -> tuple[list[EvaluationPrompt], list[Cell]]:
    """Return the prompts and cells of one split, once it is certain that the run can hold them.

    Args:
        run: The run directory.
        behavior: Name or folder of the behavior.
        spec: What the sweep covers.
        split: Which prompts.
        halving: The cells of a ``halving`` sweep; by default those the run holds.

    Raises:
        RunError: If ``dev`` was not judged before ``test``, or pairs or prompts have changed.
        SteeringError: If the specification does not fit the model.
    """
    check_unchanged(run, behavior)
    card = run.model_card()
    spec.check(card.n_layers, card.name)
    prompts = read_prompts(behavior, split)
    if split == "test":
        return prompts, chosen_cells(run)
    if spec.strategy == "full":
        return prompts, spec.dev_cells()
    halving = halving or held_halving(run, spec)
    if halving is None:
        raise RunError(f"{run.path}: no cells are chosen for this grid and these vectors yet; run the halving stage")
    return prompts, spec.dev_cells(halving.cells)


def halve_stage(run: Run, behavior: str | Path, source: Source, spec: SweepSpec) -> None:
    """Choose the cells of a ``halving`` sweep by likelihoods, unless they are chosen; nothing to do for ``full``.

    Raises:
        RunError: If the run holds generations of another specification.
        PairsError: If the dev prompts have no pair of responses, which likelihoods compare.
    """
    if spec.strategy == "full" or held_halving(run, spec) is not None:
        return
    from interp_steer.sweeps.rows import claim_model, claim_spec

    claim_spec(run, spec, started=bool(run.generations()))
    with timed(run, "load model"):
        model = source.model
    claim_model(run, model.card)
    with timed(run, "halve"):
        halving = choose_cells(run, behavior, source, spec)
    run.update_manifest(halving=to_json(halving))


def choose_cells(run: Run, behavior: str | Path, source: Source, spec: SweepSpec) -> "Halving":
    """Choose the cells of a ``halving`` sweep, and write nothing."""
    from interp_steer.sweeps.halving import halve

    check_unchanged(run, behavior)
    return halve(source.model, read_vectors(run.vectors_path), read_pairs(behavior, "dev"), spec)


def held_halving(run: Run, spec: SweepSpec) -> "Halving | None":
    """Return the cells that were chosen for this grid and the run's present vectors, if they were."""
    held = run.manifest().get("halving")
    if held is None:
        return None
    from interp_steer.sweeps.halving import Halving
    from interp_steer.sweeps.margins import vectors_digest

    found = from_json(Halving, held)
    current = found.spec == spec and found.vectors == vectors_digest(read_vectors(run.vectors_path))
    return found if current else None


def missing(run: Run, prompts: Sequence[EvaluationPrompt], cells: Sequence[Cell], spec: SweepSpec) -> int:
    """Return how many generations of a sweep are not in the run yet.

    Raises:
        RunError: If the run holds generations of another specification.
    """
    from interp_steer.sweeps.rows import claim_spec, rows_to_do

    generations = run.generations()
    claim_spec(run, spec, started=bool(generations))
    return len(rows_to_do(prompts, cells, spec, {generation.key for generation in generations}))


def chosen_cells(run: Run) -> list[Cell]:
    """Return what the held-out prompts are answered with: each layer's best dev cell, and the controls.

    Raises:
        RunError: If no steered dev generation was scored yet.
    """
    outcomes = read_outcomes(run)
    best = outcomes.best_cell("dev")
    if best is None:
        raise RunError(f"{run.path}: no steered dev generation has a score; run 'interp-steer judge {run.path}' first")
    layers = sorted({cell.layer for cell in outcomes.cells("dev", "steered") if cell.layer is not None})
    by_layer = [cell for layer in layers if (cell := outcomes.best_cell("dev", layer=layer)) is not None]
    return confirmation_cells(by_layer, best, n_pairs=run.manifest()["pairs"]["n"])


def judge_stage(run: Run, judge_name: str = "local", claude: ClaudeSpec | None = None) -> None:
    """Score every generation that has no current verdict."""
    with timed(run, "judge"):
        judge(run, judge_name, claude)


def project_stage(run: Run, behavior: str | Path, source: Source) -> None:
    """Color a few pairs and generations by their cosine with the direction, and list the tokens it promotes.

    Nothing to do where that was done for these generations.
    """
    wanted = f"promoted, {sha256(run.generations_path.read_bytes()).hexdigest()}"
    if run.projections_path.exists() and run.manifest().get("projected") == wanted:
        return
    from interp_steer.projections import project, run_readings

    with timed(run, "project"):
        projections = project(source.model, read_vectors(run.vectors_path), run_readings(run, behavior))
    write_json(run.projections_path, to_json(projections))
    run.update_manifest(projected=wanted)
