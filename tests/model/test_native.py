"""Passes through the original modules: same numbers, fewer calls, and the bridge is whole again after each."""

import pytest
import torch
from transformer_lens.hook_points import HookPoint


def inputs(model, text="Name a color."):
    ids = torch.tensor([model.chat.prompt_ids(text)])
    return ids, torch.ones_like(ids)


@pytest.fixture
def calls(tiny):
    """Function that counts the calls of all hook points while something runs."""
    count = [0]
    points = [module for module in tiny.bridge.original_model.modules() if isinstance(module, HookPoint)]
    handles = [point.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1)) for point in points]

    def run(something):
        count[0] = 0
        something()
        return count[0]

    yield run
    for handle in handles:
        handle.remove()


def test_a_pass_calls_the_hook_points_in_use_and_no_other(tiny, calls):
    ids, mask = inputs(tiny)
    assert calls(lambda: tiny.forward(ids, mask, logits="last")) == 0
    with tiny.hooks({1: lambda _: None, 2: lambda r: 1.1 * r}):
        assert calls(lambda: tiny.forward(ids, mask, logits="last")) == 2


def test_the_bridge_is_whole_again_after_a_pass(tiny, calls):
    modules = [id(module) for module in tiny.bridge.original_model.modules()]
    ids, mask = inputs(tiny)
    tiny.forward(ids, mask, logits="last")
    assert [id(module) for module in tiny.bridge.original_model.modules()] == modules
    with pytest.raises(RuntimeError), tiny.hooks({1: lambda _: torch.zeros(3)}):
        tiny.forward(ids, mask, logits="last")
    assert [id(module) for module in tiny.bridge.original_model.modules()] == modules
    assert calls(lambda: tiny.bridge.original_model(ids)) > tiny.card.n_layers * 4


def test_another_hook_point_in_use_is_honored_and_changes_no_number(any_model):
    ids, mask = inputs(any_model)
    plain = any_model.forward(ids, mask, logits="all").logits
    seen = []
    with any_model.bridge.hooks(fwd_hooks=[("blocks.1.mlp.hook_out", lambda value, **_: seen.append(value.shape))]):
        bridged = any_model.forward(ids, mask, logits="all").logits
    assert seen == [(*ids.shape, any_model.card.d_model)]
    assert torch.equal(bridged, plain)
    any_model.forward(ids, mask, logits="all")
    assert len(seen) == 1


def test_a_hook_of_transformer_lens_on_the_residual_stream_fires(tiny):
    ids, mask = inputs(tiny)
    plain = tiny.forward(ids, mask, logits="all").logits
    with tiny.bridge.hooks(fwd_hooks=[("blocks.1.hook_resid_post", lambda resid, **_: 2 * resid)]):
        doubled = tiny.forward(ids, mask, logits="all").logits
    with tiny.hooks({1: lambda resid: 2 * resid}):
        assert torch.equal(tiny.forward(ids, mask, logits="all").logits, doubled)
    assert not torch.equal(doubled, plain)


@pytest.mark.parametrize("bridged", [False, True])
def test_a_pass_that_starts_at_a_block_is_the_rest_of_the_whole_pass(any_model, bridged):
    ids, mask = inputs(any_model)
    last = any_model.card.n_layers - 1
    hooks = [("blocks.0.mlp.hook_out", lambda _, **__: None)] if bridged else []
    for layer in sorted({0, last // 2, last - 1}):
        seen = {}
        with any_model.hooks({layer: lambda r, seen=seen: seen.update(resid=r.clone())}):
            whole = any_model.forward(ids, mask, logits="all", keep_cache=True)
        fired = []
        with (
            any_model.bridge.hooks(fwd_hooks=hooks),
            any_model.hooks({one: lambda _, one=one, fired=fired: fired.append(one) for one in range(last + 1)}),
        ):
            rest = any_model.forward(
                torch.zeros_like(ids), mask, logits="all", keep_cache=True, start=(layer + 1, seen["resid"])
            )
        assert torch.equal(rest.logits, whole.logits), "the tokens are not read, only the residual stream"
        assert fired == list(range(layer + 1, last + 1))
        for index in range(layer + 1, last + 1):
            ours, theirs = rest.cache.layers[index], whole.cache.layers[index]
            if getattr(theirs, "keys", None) is not None:
                assert torch.equal(ours.keys, theirs.keys)
            else:
                assert torch.equal(ours.recurrent_states[0], theirs.recurrent_states[0])
