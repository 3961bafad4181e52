"""Operations in a sweep: which rows they make, what a run refuses, and records older than they are."""

import numpy as np
import pytest

from interp_steer.activations.artifact import read_activations
from interp_steer.behaviors import Pair
from interp_steer.errors import RunError, SteeringError
from interp_steer.records import Cell, from_json, to_json
from interp_steer.sweeps.directions import cell_interventions
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.margins import PropensitySpec
from interp_steer.sweeps.propensity import propensity
from interp_steer.sweeps.rows import check_spec, claim_spec
from interp_steer.sweeps.run_sweep import sweep
from interp_steer.vectors.vector import read_vectors

TURN = SweepSpec(layers=(0, 2), alphas=(20.0, 40.0), random_alphas=(20.0,), max_new_tokens=4, operation="rotate")


@pytest.mark.parametrize("control", ["steered", "random", "sign_flipped"])
def test_cells_and_controls_carry_the_operation(run, control):
    vectors, activations = read_vectors(run.vectors_path), read_activations(run.activations_path)
    cell = Cell(control=control, layer=1, alpha=30.0, more_layers=(2,))
    for one in cell_interventions(cell, vectors, activations, 0, "rotate"):
        assert (one.operation, one.alpha) == ("rotate", 30.0)


def test_a_sweep_turns_what_an_addition_leaves(run, tiny_llama, prompts):
    sweep(run, tiny_llama, prompts, TURN.dev_cells(), TURN)
    texts = {generation.key: generation.text for generation in run.generations()}
    assert texts["dev-1/unsteered/0"] != texts["dev-1/steered@2:+40/0"] != texts["dev-1/steered@2:+20/0"]
    with pytest.raises(RunError, match="operation: 'rotate' -> 'add'"):
        sweep(run, tiny_llama, prompts, [], SweepSpec(layers=TURN.layers, alphas=(0.2,), max_new_tokens=4))


def test_a_run_from_before_there_were_operations_added(run):
    spec = SweepSpec(layers=(0,), alphas=(0.2,))
    claim_spec(run, spec, started=False)
    held = run.manifest()["sweep"]
    del held["operation"]
    run.update_manifest(sweep=held)
    assert from_json(SweepSpec, run.manifest()["sweep"]).operation == "add"
    check_spec(run, spec)


@pytest.mark.parametrize(
    ("operation", "alpha", "message"),
    [
        ("rotate", 181.0, "alpha 181 is out of range: expected a nonzero angle in degrees between -180 and 180"),
        ("add", 11.0, "alpha 11 is out of range: expected a nonzero fraction of the norm between -10 and 10"),
        ("ablate", 0.0, "alpha 0 is out of range: expected a nonzero share of the component"),
        ("project", 0.0, "to remove the component, use 'ablate'"),
    ],
)
def test_amounts_out_of_an_operations_range_are_refused(operation, alpha, message):
    grid = {**to_json(SweepSpec(layers=(0,), alphas=(1.0,))), "alphas": (alpha,), "operation": operation}
    with pytest.raises(SteeringError, match=message):
        SweepSpec(**{**grid, "layers": (0,), "random_alphas": ()}).check(4, "tiny")


def test_propensity_of_an_ablation_is_that_of_a_projection_to_zero_and_not_of_adding(tiny_llama, random_vectors):
    vectors = random_vectors(tiny_llama)
    pairs = [Pair(prompt="Why?", positive="Because I say so.", negative="I do not know.")]

    def change(operation, alpha):
        spec = PropensitySpec(layers=(1, 3), alphas=(alpha,), operation=operation)
        return propensity(tiny_llama, vectors, pairs, spec).changes()

    ablated = change("ablate", 1.0)
    np.testing.assert_allclose(ablated, change("project", 1e-9), atol=1e-5)
    assert np.abs(ablated).max() > 1e-4
    assert not np.allclose(ablated, change("add", 1.0), atol=1e-2)
