"""The bridge reads and writes what plain Hugging Face computes, and leaves nothing behind."""

import copy

import pytest
import torch

from interp_steer.errors import HookError, ModelError, SteeringError
from interp_steer.model.bridge import hook_name, weights_fingerprint
from interp_steer.model.load import wrap_model

PROMPT = "Name a color."


def inputs(model):
    ids = torch.tensor([model.chat.prompt_ids(PROMPT)])
    return ids, torch.ones_like(ids)


def n_hooks(model):
    points = {id(point): point for point in model.bridge.hook_dict.values()}  # a point has several names
    return sum(len(point.fwd_hooks) for point in points.values())


def relative_error(ours, reference):
    return float((ours - reference).norm() / reference.norm())


def read_all(model, ids, mask):
    seen = {}
    with model.hooks(
        {layer: lambda r, layer=layer: seen.update({layer: r.clone()}) for layer in range(model.card.n_layers)}
    ):
        model.forward(ids, mask, logits="none")
    return seen


def test_hooks_read_the_output_of_each_block(any_and_plain):
    model, plain = any_and_plain
    ids, mask = inputs(model)
    with torch.inference_mode():
        hidden = plain(ids, output_hidden_states=True).hidden_states
    seen = read_all(model, ids, mask)
    last = model.card.n_layers - 1
    assert len(hidden) == model.card.n_layers + 1
    for layer in range(last):
        assert relative_error(seen[layer], hidden[layer + 1]) < 1e-5
    # The last of hidden_states is after the final norm: it is not the residual stream.
    assert relative_error(seen[last], hidden[-1]) > 0.1
    with torch.inference_mode():
        assert relative_error(plain.model.norm(seen[last]), hidden[-1]) < 1e-5


def test_logits_are_those_of_plain_hugging_face(any_and_plain):
    model, plain = any_and_plain
    ids, mask = inputs(model)
    with torch.inference_mode():
        expected = plain(ids).logits
    everywhere = model.forward(ids, mask, logits="all")
    assert relative_error(everywhere.logits, expected) < 1e-5
    assert everywhere.logits.shape == (1, ids.shape[1], model.vocab_size)
    assert everywhere.cache is None
    at_the_end = model.forward(ids, mask, logits="last").logits
    assert at_the_end.shape == (1, 1, model.vocab_size)
    assert relative_error(at_the_end[:, 0], everywhere.logits[:, -1]) < 1e-5
    assert model.forward(ids, mask, logits="none").logits is None


def test_every_way_of_asking_for_logits_runs_the_same_blocks(tiny):
    ids, mask = inputs(tiny)
    seen = {}
    for logits in ("none", "last", "all"):
        with tiny.hooks({tiny.card.n_layers - 1: lambda r, logits=logits: seen.update({logits: r.clone()})}):
            tiny.forward(ids, mask, logits=logits)
    assert torch.equal(seen["none"], seen["all"])
    assert torch.equal(seen["last"], seen["all"])


def test_a_continued_cache_is_the_text_in_one_piece(tiny):
    ids, mask = inputs(tiny)
    whole = tiny.forward(ids, mask, logits="all").logits
    head = tiny.forward(ids[:, :7], mask[:, :7], logits="none", keep_cache=True)
    middle = tiny.forward(ids[:, 7:-1], mask[:, :-1], logits="all", cache=head.cache)
    last = tiny.forward(ids[:, -1:], mask, logits="last", cache=middle.cache)
    assert relative_error(middle.logits, whole[:, 7:-1]) < 1e-4
    assert relative_error(last.logits, whole[:, -1:]) < 1e-4


def test_padding_on_either_side_changes_nothing(tiny):
    ids, mask = inputs(tiny)
    alone = tiny.forward(ids, mask, logits="all").logits
    pads = torch.full((1, 5), 77)
    left = tiny.forward(torch.cat([pads, ids], 1), torch.cat([0 * pads, mask], 1), logits="all").logits[:, 5:]
    right = tiny.forward(torch.cat([ids, pads], 1), torch.cat([mask, 0 * pads], 1), logits="all").logits[:, :-5]
    assert relative_error(left, alone) < 1e-4
    assert relative_error(right, alone) < 1e-4
    unmasked = tiny.forward(torch.cat([pads, ids], 1), torch.ones(1, 5 + ids.shape[1]).long(), logits="all").logits[
        :, 5:
    ]
    assert relative_error(unmasked, alone) > 1e-2, "without a mask the pads are read"


def test_what_a_hook_returns_replaces_the_residual(tiny):
    ids, mask = inputs(tiny)
    after = {}
    with tiny.hooks({1: lambda r: torch.zeros_like(r)}), tiny.hooks({1: lambda r: after.update(seen=r.clone())}):
        steered = tiny.forward(ids, mask, logits="all").logits
    assert not after["seen"].any()
    assert n_hooks(tiny) == 0
    assert relative_error(steered, tiny.forward(ids, mask, logits="all").logits) > 0.1


def test_no_hook_remains_after_an_exception(tiny):
    ids, mask = inputs(tiny)
    before = tiny.forward(ids, mask, logits="all").logits

    def breaks(_):
        raise RuntimeError("out of memory")

    with tiny.hooks({0: lambda r: 2 * r, 1: lambda _: None}):
        assert n_hooks(tiny) == 2
        tiny.forward(ids, mask, logits="none")
    with pytest.raises(RuntimeError, match="out of memory"), tiny.hooks({0: lambda r: 2 * r, 1: breaks}):
        tiny.forward(ids, mask, logits="all")
    assert n_hooks(tiny) == 0
    assert torch.equal(tiny.forward(ids, mask, logits="all").logits, before)


def test_a_hook_that_fires_more_often_than_the_passes_is_an_error(tiny):
    ids, _ = inputs(tiny)
    unheard = r"blocks\.1\.hook_resid_post fired 1 times in 0 forward passes.*doctor"
    with pytest.raises(HookError, match=unheard), tiny.hooks({1: lambda _: None}):
        tiny.bridge.original_model(ids)
    assert n_hooks(tiny) == 0


def test_a_hook_that_a_pass_does_not_reach_is_an_error(tiny):
    ids, mask = inputs(tiny)

    def taken_off():
        with tiny.hooks({1: lambda _: None}):
            tiny.bridge.reset_hooks()
            tiny.forward(ids, mask, logits="none")

    with pytest.raises(HookError, match="fired 0 times in 1 forward passes"):
        taken_off()


@pytest.mark.parametrize("layer", [-1, 4, 8])
def test_a_layer_out_of_range_is_refused(tiny_llama, layer):
    missing = f"layer {layer} does not exist: 'tiny-llama' has layers 0 to 3"
    with pytest.raises(SteeringError, match=missing), tiny_llama.hooks({layer: lambda _: None}):
        pass
    assert n_hooks(tiny_llama) == 0


def test_hook_points_are_named_after_the_block():
    assert hook_name(3) == "blocks.3.hook_resid_post"


def test_a_checkpoint_has_one_fingerprint_in_every_dtype(plain_tiny_qwen, plain_tiny_llama, tiny_qwen):
    narrow = copy.deepcopy(plain_tiny_qwen).to(torch.bfloat16)
    wide_again = copy.deepcopy(narrow).to(torch.float32)
    assert weights_fingerprint(narrow) == weights_fingerprint(wide_again) == weights_fingerprint(plain_tiny_qwen)
    assert tiny_qwen.card.fingerprint == weights_fingerprint(plain_tiny_qwen)
    assert weights_fingerprint(plain_tiny_llama) != weights_fingerprint(plain_tiny_qwen)


def test_a_fine_tuned_model_has_another_fingerprint(plain_tiny_llama):
    tuned = copy.deepcopy(plain_tiny_llama)
    with torch.no_grad():
        tuned.model.layers[2].mlp.down_proj.weight += 0.01
    assert weights_fingerprint(tuned) != weights_fingerprint(plain_tiny_llama)


def test_the_card_describes_the_model(tiny_llama, tiny_qwen):
    assert (tiny_llama.card.n_layers, tiny_llama.card.d_model, tiny_llama.card.dtype) == (4, 64, "float32")
    assert tiny_llama.card.layer_types == ("full_attention",) * 4
    linear = "linear_attention"
    assert tiny_qwen.card.layer_types == (linear, linear, linear, "full_attention") * 2


def test_the_end_of_turn_and_every_configured_end_end_a_completion(plain_tiny_llama, tiny_llama):
    assert tiny_llama.eos_ids == {2}
    several = copy.deepcopy(plain_tiny_llama)
    several.generation_config.eos_token_id = [7, 9]
    assert wrap_model(several, tiny_llama.chat.tokenizer, name="several").eos_ids == {2, 7, 9}


def test_the_tokenizer_is_left_as_it_was(plain_tiny_llama, tiny_llama):
    assert tiny_llama.chat.tokenizer.bos_token is None, "TransformerLens sets one where there is none"
    own = copy.deepcopy(tiny_llama.chat.tokenizer)
    own.bos_token = "<|im_start|>"
    model = wrap_model(
        copy.deepcopy(plain_tiny_llama), own, name="a tokenizer from no folder, with a beginning of text"
    )
    assert model.chat.tokenizer is own
    assert model.chat.prompt_ids("Hi") == tiny_llama.chat.prompt_ids("Hi")


def test_an_unknown_architecture_is_refused(tiny_llama):
    from transformers import XLMConfig, XLMWithLMHeadModel

    config = XLMConfig(vocab_size=259, emb_dim=16, n_layers=1, n_heads=2)
    with pytest.raises(ModelError, match="TransformerLens cannot bridge XLMWithLMHeadModel"):
        wrap_model(XLMWithLMHeadModel(config), tiny_llama.chat.tokenizer, name="xlm")
