"""What each operation does to a residual stream: its law, its limits, and the batch it shares with the others."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.model.protocol import Model
from interp_steer.steering.decode import decode
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.operations import realised
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import OPERATIONS, SCOPES

CPU = torch.device("cpu")
AMOUNTS = {
    "add": 0.4,
    "add_norm_preserving": 0.6,
    "ablate": 1.0,
    "project": 0.3,
    "project_at_least": 0.2,
    "rotate": 30.0,
    "reach": 1.5,
}
PROMPTS = ("Hi", "Name a color.", "How do I boil pasta for two people?")
SEEDS = st.integers(0, 1000)


def unit(seed, width=16):
    vector = np.random.default_rng(seed).standard_normal(width)
    return vector / np.linalg.norm(vector)


def act(resid, *rows, positions=None):
    """Do to each row of a residual what its interventions say; one row's are everybody's."""
    rows = [tuple(row) for row in (rows if len(rows) > 1 else list(rows) * len(resid))]
    steering = BatchSteering(rows, CPU)
    steering.assign(rows, positions)
    found = steering.apply(0, resid)
    return resid if found is None else found


def one(operation, alpha, seed=0, layer=0):
    return Intervention(layer=layer, alpha=alpha, direction=unit(seed), operation=operation)


def stream(seed, scale=1.0):
    return scale * torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(seed))


def projection(resid, seed):
    return (resid.double() @ torch.tensor(unit(seed))) / resid.double().norm(dim=-1)


def angle(resid, seed):
    return torch.rad2deg(torch.arccos(projection(resid, seed).clamp(-1, 1)))


@given(operation=st.sampled_from(["add_norm_preserving", "rotate"]), amount=st.floats(-2, 2), seed=SEEDS)
@settings(deadline=None)
def test_norms_are_preserved_where_the_name_says_so(operation, amount, seed):
    h = stream(seed, scale=50.0)
    after = act(h, [one(operation, 60 * amount if operation == "rotate" else amount, seed)])
    torch.testing.assert_close(after.norm(dim=-1), h.norm(dim=-1), rtol=1e-4, atol=0)


@given(alpha=st.floats(0.01, 2), seed=SEEDS)
@settings(deadline=None)
def test_adding_without_the_norm_points_where_adding_points(alpha, seed):
    h = stream(seed)
    added, kept = (act(h, [one(operation, alpha, seed + 1)]) for operation in ("add", "add_norm_preserving"))
    torch.testing.assert_close(kept, added * (h.norm(dim=-1) / added.norm(dim=-1)).unsqueeze(-1), rtol=1e-3, atol=1e-5)


@given(share=st.floats(-3, 3), seed=SEEDS)
@settings(deadline=None)
def test_ablation_leaves_the_share_it_says_and_what_is_beside(share, seed):
    h, v = stream(seed, scale=20.0), torch.tensor(unit(seed)).float()
    after = act(h, [one("ablate", share, seed)])
    left = (1 - share) * (h @ v)
    torch.testing.assert_close(after @ v, left, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after - left.unsqueeze(-1) * v, h - (h @ v).unsqueeze(-1) * v, rtol=1e-3, atol=1e-3)


def test_ablating_wholly_leaves_nothing_along_the_direction():
    h = stream(0, scale=100.0)
    assert projection(h, 0).abs().max() > 0.1
    assert projection(act(h, [one("ablate", 1.0)]), 0).abs().max() < 1e-6


@given(target=st.floats(-2, 2), seed=SEEDS)
@settings(deadline=None)
def test_projecting_sets_the_projection_and_moves_along_the_direction_only(target, seed):
    h, v = stream(seed), torch.tensor(unit(seed)).float()
    after = act(h, [one("project", target, seed)])
    torch.testing.assert_close(after @ v, target * h.norm(dim=-1), rtol=1e-3, atol=1e-5)
    moved = after - h
    torch.testing.assert_close(moved, (moved @ v).unsqueeze(-1) * v, rtol=1e-3, atol=1e-5)


@given(target=st.floats(-0.5, 0.5), seed=SEEDS)
@settings(deadline=None)
def test_projecting_at_least_raises_what_is_below_and_leaves_the_rest_bit_for_bit(target, seed):
    h = stream(seed)
    below = projection(h, seed) < target
    raised, set_ = (act(h, [one(operation, target, seed)]) for operation in ("project_at_least", "project"))
    assert torch.equal(raised[~below], h[~below])
    torch.testing.assert_close(raised[below], set_[below], rtol=0, atol=0)


def test_a_target_of_zero_is_a_target():
    h = stream(3)
    torch.testing.assert_close(act(h, [one("project", 0.0)]), act(h, [one("ablate", 1.0)]))
    assert not torch.equal(act(h, [one("project", 0.0)]), h)


@given(degrees=st.floats(-20, 20), seed=SEEDS)
@settings(deadline=None)
def test_rotating_changes_the_angle_to_the_direction_and_the_opposite_undoes_it(degrees, seed):
    h = stream(seed)
    before = angle(h, seed)
    inside = (before - degrees > 1) & (before - degrees < 179)
    after = act(h, [one("rotate", degrees, seed)])
    torch.testing.assert_close(angle(after, seed)[inside], (before - degrees)[inside], rtol=0, atol=1e-2)
    torch.testing.assert_close(
        realised(h, after).angle[inside], torch.full_like(before[inside], abs(degrees)), atol=1e-2, rtol=0
    )
    back = act(after, [one("rotate", -degrees, seed)])
    torch.testing.assert_close(back[inside], h[inside], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(("degrees", "end"), [(180.0, 0.0), (-180.0, 180.0)])
def test_rotating_stops_at_the_direction(degrees, end):
    after = act(stream(0), [one("rotate", degrees)])
    torch.testing.assert_close(angle(after, 0), torch.full((2, 3), end).double(), atol=0.1, rtol=0)
    torch.testing.assert_close(act(after, [one("rotate", 0.0)]), after)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_zero_and_the_axis_itself_stay_numbers(operation):
    v = torch.tensor(unit(0)).float()
    h = torch.stack([torch.zeros(16), 3 * v, -3 * v]).unsqueeze(0)
    for amount in (AMOUNTS[operation], 1.0):
        after = act(h, [one(operation, amount)])
        assert torch.isfinite(after).all()
        assert operation == "reach" or torch.equal(after[0, 0], h[0, 0]), "nothing has no direction to be long in"


@pytest.mark.parametrize("operation", ["add", "add_norm_preserving", "ablate", "rotate"])
def test_alpha_zero_gets_no_hook(operation):
    assert BatchSteering([(one(operation, 0.0),)], CPU).functions() == {}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_only_marked_positions_change(operation):
    h, positions = stream(1), torch.tensor([[False, True, False], [True, True, False]])
    after = act(h, [one(operation, AMOUNTS[operation] * (2 if operation == "project_at_least" else 1), seed=5)])
    some = act(h, [one(operation, AMOUNTS[operation] * (2 if operation == "project_at_least" else 1), seed=5)],
               positions=positions)  # fmt: skip
    assert torch.equal(some[~positions], h[~positions])
    assert torch.equal(some[positions], after[positions])
    assert not torch.equal(some, h)


def test_a_row_is_the_same_beside_any_other_and_additions_are_what_they_are_alone():
    chosen = [
        (one("rotate", 20.0),),
        (one("add", 0.3, 1), one("rotate", 20.0), one("add", -0.2, 2)),
        (),
        (one("ablate", 1.0, 3), one("project", 0.4, 4), one("ablate", 1.0, 3)),
        (one("add", 0.3, 1), one("add", 0.2, 2)),
        (one("project_at_least", 0.5, 1), one("add_norm_preserving", 0.5)),
    ]
    h = torch.randn(len(chosen), 4, 16, generator=torch.Generator().manual_seed(0))
    together = act(h, *chosen)
    for row, interventions in enumerate(chosen):
        assert torch.equal(together[row : row + 1], act(h[row : row + 1], interventions))
    push = 0.3 * unit(1).astype(np.float32) + 0.2 * unit(2).astype(np.float32)
    assert torch.equal(together[4], h[4] + torch.linalg.vector_norm(h[4], dim=-1, keepdim=True) * torch.tensor(push))
    # In order: after the additions, each on what the one before left.
    step = act(h[3:4], [one("ablate", 1.0, 3)])
    step = act(step, [one("project", 0.4, 4)])
    torch.testing.assert_close(together[3:4], act(step, [one("ablate", 1.0, 3)]))


def test_a_direction_a_little_off_unit_length_still_ablates_wholly():
    crooked = Intervention(layer=0, alpha=1.0, direction=unit(0) * 1.0009, operation="ablate")
    assert projection(act(stream(0), [crooked]), 0).abs().max() < 1e-6


def test_what_was_realised_by_hand():
    before, after = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]]), torch.tensor([[6.0, 8.0], [0.0, 2.0], [1.0, 0]])
    found = realised(before, after)
    torch.testing.assert_close(found.angle[:2], torch.tensor([0.0, 90.0]).double())
    torch.testing.assert_close(found.norm_ratio[:2], torch.tensor([2.0, 2.0]).double())
    assert found.angle[2].isnan()


def cells(model: Model, push):
    layers = itertools.cycle(range(model.card.n_layers))
    made = []
    for operation in OPERATIONS:
        layer = next(layers)
        direction = push(model, layer, 1.0).direction
        made.append((Intervention(layer=layer, alpha=AMOUNTS[operation], direction=direction, operation=operation),))
    return [*made, (), (*made[5], *made[0], *made[2])]


@pytest.mark.parametrize("scope", SCOPES)
def test_mixed_operations_decode_as_each_alone_and_as_without_a_cache(tiny_and_plain, push, plain_steered, scope):
    model, plain = tiny_and_plain
    rows = [
        DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(PROMPTS[i % 3])), interventions=cell)
        for i, cell in enumerate(cells(model, push))
    ]
    wanted = DecodeSettings(scope=scope, max_new_tokens=8)
    together = decode(model, rows, wanted)
    assert together == [decode(model, [row], wanted)[0] for row in rows]
    expected = [plain_steered(plain, row.prompt_ids, row.interventions, scope, 8, model.eos_ids) for row in rows]
    assert [completion.ids for completion in together] == expected
    unsteered = decode(model, [DecodeRow(prompt_ids=row.prompt_ids) for row in rows], wanted)
    assert sum(a != b for a, b in zip(together, unsteered, strict=True)) >= 4, "or this proves little"


@pytest.mark.parametrize("scope", SCOPES)
def test_operations_that_do_nothing_leave_the_tokens_and_the_prefix_alone(tiny, push, scope):
    direction = push(tiny, 1, 1.0).direction
    nothing = tuple(
        Intervention(layer=1, alpha=0.0, direction=direction, operation=operation)
        for operation in ("add", "add_norm_preserving", "ablate", "rotate")
    )
    ids = tuple(tiny.chat.prompt_ids(PROMPTS[2]))
    rows = [DecodeRow(prompt_ids=ids), DecodeRow(prompt_ids=ids, interventions=nothing)]
    plain, idle = decode(tiny, rows, DecodeSettings(scope=scope, max_new_tokens=8))
    assert plain == idle
    assert BatchSteering([nothing], CPU).first_layer(nothing) is None
