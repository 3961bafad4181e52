"""The push itself: how long the residual becomes, which rows and positions it reaches, what the logits are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.batches import pad
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.scope import prompt_positions

CPU = torch.device("cpu")


def unit(seed, width=16):
    vector = np.random.default_rng(seed).standard_normal(width)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def steer(rows, resid, positions=None):
    """Push a residual of ``[batch, pos, d_model]`` at layer 0, everywhere unless told."""
    rows = [tuple(row) for row in rows]
    steering = BatchSteering(rows, CPU)
    steering.assign(rows, positions)
    functions = steering.functions()
    return functions[0](resid) if functions else resid


@given(alpha=st.floats(-2, 2).filter(bool), seed=st.integers(0, 1000), scale=st.floats(1e-2, 1e4))
@settings(deadline=None)
def test_the_new_norm_follows_from_alpha_and_the_angle(alpha, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    resid = scale * torch.randn(2, 3, 16, generator=generator)
    direction = unit(seed)
    after = steer([[Intervention(layer=0, alpha=alpha, direction=direction)]] * 2, resid)
    cosine = (resid @ torch.tensor(direction)) / resid.norm(dim=-1)
    expected = torch.sqrt(torch.clamp(1 + 2 * alpha * cosine + alpha**2, min=0))
    torch.testing.assert_close(after.norm(dim=-1) / resid.norm(dim=-1), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        (after - resid).norm(dim=-1), abs(alpha) * resid.norm(dim=-1), rtol=1e-3, atol=1e-4 * scale
    )


def test_the_push_by_hand():
    resid = torch.tensor([[[3.0, 4.0]]])
    after = steer([[Intervention(layer=0, alpha=0.2, direction=np.array([0.0, 1.0]))]], resid)
    torch.testing.assert_close(after, torch.tensor([[[3.0, 5.0]]]))


def test_minus_alpha_pushes_the_other_way():
    resid = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    there, back = (steer([[Intervention(layer=0, alpha=alpha, direction=unit(0))]], resid) for alpha in (0.4, -0.4))
    torch.testing.assert_close(there + back, 2 * resid)


def test_two_pushes_at_a_layer_add_up():
    resid = torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))
    one, other = (Intervention(layer=0, alpha=alpha, direction=unit(i)) for i, alpha in enumerate((0.4, -0.3)))
    both = steer([[one, other]], resid)
    torch.testing.assert_close(both, steer([[one]], resid) + steer([[other]], resid) - resid)


def test_only_marked_positions_of_steered_rows_change():
    resid = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]]).bool()
    push = Intervention(layer=0, alpha=0.5, direction=unit(0))
    after = steer([[push], [], [push]], resid, positions)
    changed = (after != resid).any(dim=-1)
    assert changed.tolist() == [[False, False, True, True], [False] * 4, [False, True, False, False]]


def test_the_residual_it_was_given_is_not_changed_in_place():
    resid = torch.randn(1, 2, 16, generator=torch.Generator().manual_seed(0))
    before = resid.clone()
    steer([[Intervention(layer=0, alpha=0.5, direction=unit(0))]], resid)
    assert torch.equal(resid, before)


def test_layers_that_steer_no_row_get_no_hook():
    rows = [
        (Intervention(layer=2, alpha=0.5, direction=unit(0)), Intervention(layer=5, alpha=0.0, direction=unit(0))),
        (),
    ]
    assert list(BatchSteering(rows, CPU).functions()) == [2]


def test_bfloat16_is_pushed_in_float32_and_rounded_once():
    resid = (100 * torch.randn(1, 3, 16, generator=torch.Generator().manual_seed(0))).bfloat16()
    push = Intervention(layer=0, alpha=0.3, direction=unit(0))
    after = steer([[push]], resid)
    assert after.dtype == torch.bfloat16
    assert torch.equal(after, steer([[push]], resid.float()).bfloat16())


@given(kept=st.lists(st.integers(0, 4), unique=True, min_size=1))
@settings(deadline=None)
def test_rows_keep_their_push_as_the_batch_changes(kept):
    resid = torch.randn(5, 1, 16, generator=torch.Generator().manual_seed(0))
    rows = [(Intervention(layer=0, alpha=0.1 * i, direction=unit(i)),) for i in range(5)]  # row 0 is not steered
    steering = BatchSteering(rows, CPU)
    steering.assign(rows)
    whole = steering.functions()[0](resid)
    steering.assign([rows[i] for i in kept])
    shrunk = steering.functions()[0](resid[kept])
    assert torch.equal(resid[kept] if shrunk is None else shrunk, whole[kept])


def left_padded(model):
    ids, mask = pad([model.chat.prompt_ids(text) for text in ("Hi", "Name a color.")], "left")
    return ids, mask


@pytest.mark.parametrize("scope", ["response", "all"])
def test_alpha_zero_gives_bit_identical_logits(any_model, push, scope):
    ids, mask = left_padded(any_model)
    plain = any_model.forward(ids, mask, logits="all").logits

    def steered(alphas):
        rows = [(push(any_model, 1, alpha),) for alpha in alphas]
        steering = BatchSteering(rows, any_model.device)
        steering.assign(rows, prompt_positions(mask, scope))
        with any_model.hooks(steering.functions()):
            return any_model.forward(ids, mask, logits="all").logits

    assert torch.equal(steered([0.0, 0.0]), plain)
    beside = steered([0.0, 0.5])
    assert torch.equal(beside[0], plain[0]), "a steered neighbor does not reach it"
    assert not torch.equal(beside[1], plain[1])


def test_steering_the_last_block_is_the_head_on_the_pushed_residual(any_and_plain, push, plain_residuals):
    model, plain = any_and_plain
    ids = model.chat.prompt_ids("Name a color.")
    one = push(model, model.card.n_layers - 1, 0.4)
    steering = BatchSteering([(one,)], model.device)
    steering.assign([(one,)])
    with model.hooks(steering.functions()):
        found = model.forward(torch.tensor([ids]), torch.ones(1, len(ids)).long(), logits="all").logits[0]
    h = plain_residuals(plain, ids)[-1]
    with torch.inference_mode():
        expected = plain.lm_head(plain.model.norm(h + 0.4 * h.norm(dim=-1, keepdim=True) * torch.tensor(one.direction)))
        unsteered = plain.lm_head(plain.model.norm(h))
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    assert float((unsteered - expected).norm() / expected.norm()) > 1e-2


def test_later_layers_are_pushed_by_the_norm_of_the_steered_stream(tiny, push):
    ids = torch.tensor([tiny.chat.prompt_ids("Hi")])
    mask, seen = torch.ones_like(ids), {}
    both = (push(tiny, 0, 2.0), push(tiny, 1, 0.5))
    steering = BatchSteering([both], tiny.device)
    steering.assign([both])
    first = {0: steering.functions()[0]}
    with tiny.hooks(first), tiny.hooks({1: lambda r: seen.update(before=r.clone())}):
        tiny.forward(ids, mask, logits="none")
    with tiny.hooks(steering.functions()), tiny.hooks({1: lambda r: seen.update(after=r.clone())}):
        tiny.forward(ids, mask, logits="none")
    added = (seen["after"] - seen["before"]).norm(dim=-1)
    torch.testing.assert_close(added, 0.5 * seen["before"].norm(dim=-1), rtol=1e-3, atol=0)
