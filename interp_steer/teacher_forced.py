"""The stages of a run that only read: each is measured once, kept, and measured anew where what it rests on changed."""

import json
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from interp_steer.activations.artifact import read_activations
from interp_steer.begin import Source, timed
from interp_steer.errors import RunError
from interp_steer.files import write_json
from interp_steer.pairs import read_pairs, read_prompts
from interp_steer.records import digest, from_json, to_json
from interp_steer.run import Run
from interp_steer.sweeps.calibrate import calibrate
from interp_steer.sweeps.calibration import Calibration, CalibrationSpec
from interp_steer.sweeps.confirm import Cell, confirm, confirm_rest, directed_cells, missing_cells
from interp_steer.sweeps.doses import Doses, read_doses
from interp_steer.sweeps.heldout import HeldOut, read_held_out, save_held_out
from interp_steer.sweeps.margins import (
    Propensity,
    PropensitySpec,
    propensity_card,
    read_propensity,
    save_propensity,
    vectors_digest,
)
from interp_steer.sweeps.measure_doses import measure_doses
from interp_steer.sweeps.propensity import propensity
from interp_steer.sweeps.rows import claim_model
from interp_steer.vectors.vector import SteeringVectors, read_vectors

CALIBRATION_PROMPTS = 4
NEAR_ENOUGH = 0.1
"""Largest relative error of the KL with which a layer counts as equally disturbed on held-out pairs."""

Note = Callable[[str], None]


def _silent(_: str) -> None:
    return None


def held_propensity(run: Run) -> Propensity | None:
    """Return what was measured before; nothing if it cannot be read, since it can be measured again."""
    try:
        return read_propensity(run.propensity_path)
    except RunError:
        return None


def propensity_stage(run: Run, source: Source, spec: PropensitySpec, note: Note = _silent) -> Propensity:
    """Measure the propensity of a run's dev pairs, unless it holds what is asked for.

    Args:
        run: A run with vectors.
        source: The model; not loaded if nothing needs measuring.
        spec: What to measure.
        note: Told if an earlier measurement is replaced.

    Raises:
        RunError: If the run was begun with another model.
        SteeringError: If the specification does not fit.
    """
    vectors = read_vectors(run.vectors_path)
    spec.check(vectors)
    pairs = read_pairs(run.manifest()["behavior_source"], "dev")
    if held := held_propensity(run):
        if held.card.basis == propensity_card(run.model_card(), vectors, pairs, spec).basis:
            return held
        note(f"{run.propensity_path} was measured with other settings, vectors or pairs: measuring anew")
    _claim(run, source)
    with timed(run, "propensity"):
        found = propensity(source.model, vectors, pairs, spec)
    save_propensity(found, run.propensity_path)
    return found


def held_calibration(run: Run) -> Calibration | None:
    """Return what was solved before; nothing if it cannot be read, since it can be solved again."""
    try:
        return from_json(Calibration, json.loads(run.calibration_path.read_bytes()))
    except (FileNotFoundError, ValueError, ValidationError):
        return None


def calibrate_stage(run: Run, source: Source, spec: CalibrationSpec, note: Note = _silent) -> Calibration:
    """Find the alpha of equal disturbance at each layer on the first dev prompts, unless the run holds it.

    Args:
        run: A run with vectors.
        source: The model; not loaded if nothing needs solving.
        spec: What to solve for.
        note: Told if an earlier solution is replaced.

    Raises:
        RunError: If the run was begun with another model.
        SteeringError: If the specification does not fit.
    """
    vectors = read_vectors(run.vectors_path)
    spec.check(vectors)
    prompts = _calibration_prompts(run)
    if held := held_calibration(run):
        if (held.spec, held.prompts, held.vectors) == (spec, digest(prompts), vectors_digest(vectors)):
            return held
        note(f"{run.calibration_path} was solved with other settings, vectors or prompts: solving anew")
    _claim(run, source)
    with timed(run, "calibrate"):
        found = calibrate(source.model, vectors, prompts, spec)
    write_json(run.calibration_path, to_json(found))
    return found


def _calibration_prompts(run: Run) -> list[str]:
    return [prompt.text for prompt in read_prompts(run.manifest()["behavior_source"], "dev")[:CALIBRATION_PROMPTS]]


def held_doses(run: Run) -> Doses | None:
    """Return what was measured before; nothing if it cannot be read, since it can be measured again."""
    try:
        return read_doses(run.doses_path)
    except RunError:
        return None


def dose_stage(run: Run, source: Source) -> Doses:
    """Measure how strongly every alpha disturbs the predictions at the layer dev chose, unless the run holds it.

    Args:
        run: A run with vectors, propensity and calibration; its prompts and length of texts are the calibration's.
        source: The model; not loaded if nothing needs measuring.

    Raises:
        RunError: If the run lacks a stage, or was begun with another model.
    """
    vectors, dev = read_vectors(run.vectors_path), read_propensity(run.propensity_path)
    solved, prompts = _calibration(run), _calibration_prompts(run)
    layer, _ = best_cell(dev)
    cells = tuple((layer, alpha) for alpha in dev.card.spec.alphas)
    wanted = (cells, dev.card.spec.scope, solved.spec.n_tokens, digest(prompts), vectors_digest(vectors))
    held = held_doses(run)
    if held is not None and held.basis == wanted:
        return held
    _claim(run, source)
    with timed(run, "doses"):
        found = measure_doses(
            source.model, vectors, prompts, cells, scope=dev.card.spec.scope, n_tokens=solved.spec.n_tokens
        )
    write_json(run.doses_path, to_json(found))
    return found


def best_cells(found: Propensity) -> dict[int, Cell]:
    """Return the positive alpha with the largest mean change at each layer: what dev chose by likelihood."""
    spec = found.card.spec
    positive = [i for i, alpha in enumerate(spec.alphas) if alpha > 0]
    change = found.mean_change()[:, positive]
    return {
        layer: (layer, spec.alphas[positive[int(row.argmax())]]) for layer, row in zip(spec.layers, change, strict=True)
    }


def best_cell(found: Propensity) -> Cell:
    """Return the cell with the largest mean change on the dev pairs among the positive alphas."""
    spec, change = found.card.spec, found.mean_change()
    return max(
        best_cells(found).values(), key=lambda cell: change[spec.layers.index(cell[0]), spec.alphas.index(cell[1])]
    )


def held_out_stage(
    run: Run,
    source: Source,
    others: dict[str, Run],
    *,
    methods: Sequence[tuple[int, float]],
    n_random: int,
    n_flipped: int,
) -> HeldOut:
    """Measure on the test pairs what dev chose, with its controls and other behaviors' vectors, unless it is there.

    Args:
        run: A run with activations, vectors, propensity and calibration.
        source: The model; not loaded if nothing needs measuring.
        others: Runs of other behaviors on the same model, as far.
        methods: Layers and alphas at which ways to make a vector are compared.
        n_random: Number of random directions at the best cell.
        n_flipped: Number of sign flips of the pairs there.

    Raises:
        RunError: If a run lacks a stage, or was begun with another model.
        PairsError: If the test prompts have no pair of responses.
    """
    dev, vectors = read_propensity(run.propensity_path), read_vectors(run.vectors_path)
    calibration = _calibration(run)
    directed = directed_cells(
        vectors,
        read_activations(run.activations_path),
        best=best_cell(dev),
        chosen=list(best_cells(dev).values()),
        equal_kl=[
            (one.layer, alpha)
            for one in calibration.layers
            if (alpha := one.nearest(calibration.spec.target_kl, within=NEAR_ENOUGH)) is not None
        ],
        methods=methods,
        others={name: _steered_best(other) for name, other in others.items()},
        n_random=n_random,
        n_flipped=n_flipped,
    )
    behavior, scope = run.behavior(), dev.card.spec.scope
    pairs = read_pairs(run.manifest()["behavior_source"], "test")
    held = read_held_out(run.held_out_path) if run.held_out_path.exists() else None
    if held is not None and not missing_cells(run.model_card(), behavior, pairs, directed, scope, held):
        return held
    _claim(run, source)
    with timed(run, "held-out pairs"):
        if held is None:
            found = confirm(source.model, behavior, pairs, directed, scope)
        else:
            found = confirm_rest(source.model, behavior, pairs, directed, scope, held)
    save_held_out(found, run.held_out_path)
    return found


def _calibration(run: Run) -> Calibration:
    found = held_calibration(run)
    if found is None:
        raise RunError(f"{run.path} holds no calibration; run 'interp-steer calibrate {run.path}' first")
    return found


def _steered_best(run: Run) -> tuple[SteeringVectors, Cell]:
    return read_vectors(run.vectors_path), best_cell(read_propensity(run.propensity_path))


def _claim(run: Run, source: Source) -> None:
    with timed(run, "load model"):
        model = source.model
    claim_model(run, model.card)
