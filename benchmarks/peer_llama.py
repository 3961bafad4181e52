"""llama.cpp with control vectors, in an environment of its own (see peers.py).

    python peer_llama.py NAME FOLDER JOB

A control vector belongs to a context, so the prompts of one cell are the sequences of a batch, cell after cell.
Prompts are read once, without steering, up to their last token; each cell starts from a copy of that cache, and its
vector is added from the last prompt token on. Weights are those of FOLDER, written once as GGUF in the precision NAME
ends with, which is also that of the cache.
"""

import ctypes
import json
import sys
from importlib.metadata import version
from pathlib import Path

import gguf
import llama_cpp as lib
import numpy as np
from peer_loop import serve
from safetensors.numpy import load_file

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@lib.llama_log_callback
def quiet(level, text, data):
    """Say nothing of every context; what fails is told by its caller."""


def convert(folder, path, dtype):
    """Write a Llama checkpoint as GGUF, without a vocabulary: it is asked for tokens only."""
    config = json.loads((folder / "config.json").read_text())
    n_heads, n_kv = config["num_attention_heads"], config["num_key_value_heads"]
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(n_kv)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // n_heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    for name, weights in load_file(folder / "model.safetensors").items():
        stem = name.removesuffix(".weight")
        if stem == "lm_head":  # tied to the embedding
            continue
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            named = f"blk.{layer}.{NAMES[part]}.weight"
        else:
            part, named = stem, f"{NAMES[stem]}.weight"
        if part in ("self_attn.q_proj", "self_attn.k_proj"):  # rotary pairs are neighbors there, halves here
            heads = n_heads if part == "self_attn.q_proj" else n_kv
            weights = weights.reshape(heads, 2, -1, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)
        matrix = weights.ndim == 2
        writer.add_tensor(named, np.ascontiguousarray(weights, dtype=dtype if matrix else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(path)


class Context:
    """A model with room for the prompts of one cell."""

    def __init__(self, path, job, cache):
        """Load the model; sequence ``n + i`` keeps what prompt ``i`` begins with."""
        self.prompts = [
            [token for token, kept in zip(ids, mask, strict=True) if kept]
            for ids, mask in zip(job["input_ids"], job["mask"], strict=True)
        ]
        self.new_tokens = job["new_tokens"]
        lib.llama_backend_init()
        lib.llama_log_set(quiet, None)
        self.model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
        params = lib.llama_context_default_params()
        n, longest = len(self.prompts), max(map(len, self.prompts)) + self.new_tokens
        params.n_ctx, params.n_seq_max = 2 * n * longest, 2 * n
        params.type_k = params.type_v = cache
        params.n_batch = params.n_ubatch = sum(map(len, self.prompts))
        params.n_threads = params.n_threads_batch = job["threads"]
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context")
        self.batch = lib.llama_batch_init(params.n_batch, 0, 1)
        self.width = lib.llama_model_n_embd(self.model)
        self.n_layers = lib.llama_model_n_layer(self.model)
        self.n_vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.model))

    def steer(self, cell):
        """Add a vector after one block, or nothing at all."""
        rows = np.zeros((self.n_layers - 1, self.width), dtype=np.float32)  # the first block has no row
        if cell is not None:
            rows[cell["layer"] - 1] = cell["alpha"] * np.array(cell["vector"], dtype=np.float32)
        layers = (1, self.n_layers - 1) if cell is None else (cell["layer"], cell["layer"])
        data = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        if lib.llama_set_adapter_cvec(self.context, data, rows.size, self.width, *layers):
            raise SystemExit("llama.cpp refuses the control vector")

    def read_prompts(self):
        """Read every prompt but its last token."""
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)
        n = len(self.prompts)
        self.decode(
            [
                (token, place, n + row, False)
                for row, ids in enumerate(self.prompts)
                for place, token in enumerate(ids[:-1])
            ]
        )

    def generate(self):
        """Complete the prompts in one batch, greedily, all to the same length."""
        memory, n = lib.llama_get_memory(self.context), len(self.prompts)
        for row in range(n):
            lib.llama_memory_seq_rm(memory, row, -1, -1)
            lib.llama_memory_seq_cp(memory, n + row, row, -1, -1)
        found = [[] for _ in self.prompts]
        read = [(ids[-1], len(ids) - 1, row, True) for row, ids in enumerate(self.prompts)]
        for step in range(self.new_tokens):
            ends = self.decode(read)
            for row, at in ends.items():
                logits = lib.llama_get_logits_ith(self.context, at)
                found[row].append(int(np.ctypeslib.as_array(logits, (self.n_vocab,)).argmax()))
            read = [(ids[-1], len(self.prompts[row]) + step, row, True) for row, ids in enumerate(found)]
        return found

    def decode(self, read):
        """Run tokens; say where in the batch each sequence's logits are."""
        batch, ends = self.batch, {}
        batch.n_tokens = len(read)
        for at, (token, place, row, last) in enumerate(read):
            batch.token[at], batch.pos[at], batch.logits[at] = token, place, last
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, row
            if last:
                ends[row] = at
        if lib.llama_decode(self.context, batch):
            raise SystemExit("llama.cpp cannot decode")
        return ends


def main():
    """Answer one line with one line."""
    name, folder, job = sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    half = name.endswith("float16")
    path = folder / ("float16.gguf" if half else "float32.gguf")
    if not path.exists():
        convert(folder, path, np.float16 if half else np.float32)
    context = Context(path, job, lib.GGML_TYPE_F16 if half else lib.GGML_TYPE_F32)

    def do(asked):
        found = []
        context.steer(None)
        context.read_prompts()
        for cell in [None] if asked["do"] == "unsteered" else job["cells"]:
            context.steer(cell)
            found.append(context.generate())
        return found

    system = lib.llama_print_system_info().decode().strip(" |")
    serve({"llama-cpp-python": version("llama-cpp-python"), "llama.cpp": system}, do)


if __name__ == "__main__":
    main()
