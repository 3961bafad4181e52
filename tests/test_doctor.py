"""The doctor passes sound models and notices each way a model can be broken."""

import copy

import pytest
import torch

from interp_steer.doctor import diagnose
from interp_steer.model.bridge import BridgeModel
from interp_steer.model.chat import Chat
from interp_steer.model.protocol import ForwardOutput


@pytest.fixture
def built(plain_tiny_qwen, tiny_qwen):
    """Function from a kind of BridgeModel to one with the weights of the tiny Qwen."""

    def build(kind):
        return kind(
            copy.deepcopy(plain_tiny_qwen), copy.deepcopy(tiny_qwen.chat.tokenizer), name="broken", revision="local"
        )

    return build


def failed(model):
    return {check.name for check in diagnose(model) if not check.passed}


def test_sound_models_pass(any_model):
    checks = diagnose(any_model)
    assert len(checks) == 7
    assert all(check.passed for check in checks), [check for check in checks if not check.passed]
    assert all(check.detail for check in checks)


def test_the_healthy_kind_passes(built):
    assert failed(built(BridgeModel)) == set()


def test_a_model_that_ignores_the_mask_is_noticed(built):
    class MaskBlind(BridgeModel):
        def forward(self, input_ids, attention_mask, **options):
            return super().forward(input_ids, torch.ones_like(attention_mask), **options)

    assert "padding changes nothing" in failed(built(MaskBlind))


def test_hooks_that_read_but_do_not_write_are_noticed(built):
    class ReadOnly(BridgeModel):
        def hooks(self, functions):
            return super().hooks({layer: lambda r, f=f: (f(r), None)[1] for layer, f in functions.items()})

    assert failed(built(ReadOnly)) >= {"hooks read where they write", "alpha 0.3 changes something"}


def test_hooks_that_write_elsewhere_than_they_read_are_noticed(built):
    class OffByOne(BridgeModel):
        """Reads block l, writes block l + 1."""

        def hooks(self, functions):
            shifted = {}
            for layer, function in functions.items():
                stale = {}
                shifted[layer] = lambda r, f=function, stale=stale: stale.update(new=f(r))
                if layer + 1 < self.card.n_layers:
                    shifted[layer + 1] = lambda _, stale=stale: stale["new"]
            return super().hooks(shifted)

    assert "hooks read where they write" in failed(built(OffByOne))


def test_a_model_that_is_not_repeatable_is_noticed(built):
    class Dropout(BridgeModel):
        def forward(self, *inputs, **options):
            output = super().forward(*inputs, **options)
            noisy = None if output.logits is None else output.logits * (1 + 1e-6 * torch.rand_like(output.logits))
            return ForwardOutput(logits=noisy, cache=output.cache)

    assert "alpha 0 changes nothing" in failed(built(Dropout))


def test_a_cache_that_forgets_is_noticed(built):
    class Forgetful(BridgeModel):
        def forward(self, input_ids, attention_mask, *, cache=None, **options):
            if cache is not None:
                attention_mask = attention_mask.clone()
                attention_mask[:, : -input_ids.shape[1]] = 0
            return super().forward(input_ids, attention_mask, cache=cache, **options)

    assert "cached equals recomputed" in failed(built(Forgetful))


def test_a_template_that_merges_with_the_response_is_noticed(built, smollm2):
    tokenizer = copy.deepcopy(smollm2.chat.tokenizer)
    tokenizer.chat_template = "{{ messages[0]['content'] }} Answer: "  # the blank becomes part of the first word

    class Glued(BridgeModel):
        chat = Chat(tokenizer)

    assert "the prompt is a prefix" in failed(built(Glued))


def test_a_doubled_beginning_of_text_is_noticed(built):
    class Doubled(BridgeModel):
        @property
        def chat(self):
            tokenizer = copy.deepcopy(super().chat.tokenizer)
            tokenizer.bos_token = "<|im_start|>"
            tokenizer.chat_template = "<|im_start|><|im_start|>{{ messages[0]['content'] }}"
            return Chat(tokenizer)

    assert failed(built(Doubled)) == {"one beginning-of-text token"}


def test_a_check_that_raises_has_failed_and_says_why(built):
    class Broken(BridgeModel):
        def forward(self, *_inputs, **_options):
            raise RuntimeError("out of memory")

    checks = {check.name: check for check in diagnose(built(Broken))}
    assert not checks["padding changes nothing"].passed
    assert checks["padding changes nothing"].detail == "RuntimeError: out of memory"
    assert checks["the prompt is a prefix"].passed
