"""steering-vectors or repeng, in an environment of its own (see peers.py), which has neither this library nor typer.

    python peer.py NAME FOLDER JOB

Steering is switched on as that library's own documentation does it; the rest is ``generate``.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
import transformers
from peer_loop import serve
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def steered_by_steering_vectors(model, job):
    """Yield the tokens of each cell."""
    from steering_vectors import SteeringVector

    for cell in job["cells"]:
        vector = SteeringVector({cell["layer"]: torch.tensor(cell["vector"])})
        with vector.apply(model, multiplier=cell["alpha"]):
            yield generate(model, job)


def steered_by_repeng(model, job):
    """Yield the tokens of each cell."""
    import numpy as np
    from repeng import ControlModel, ControlVector

    for cell in job["cells"]:
        controlled = ControlModel(model, [cell["layer"]])
        direction = np.array(cell["vector"], dtype=np.float32)
        vector = ControlVector(model_type="llama", directions={cell["layer"]: direction})
        controlled.set_control(vector, cell["alpha"])
        yield generate(controlled, job)
        controlled.reset()
        controlled.unwrap()


def generate(model, job):
    """Complete the prompts of one cell in one batch, greedily, all to the same length."""
    with torch.inference_mode():
        out = model.generate(
            input_ids=torch.tensor(job["input_ids"]),
            attention_mask=torch.tensor(job["mask"]),
            do_sample=False,
            min_new_tokens=job["new_tokens"],
            max_new_tokens=job["new_tokens"],
            pad_token_id=0,
        )
    return out[:, len(job["input_ids"][0]) :].tolist()


def trained_by_steering_vectors(model, tokenizer, job, batch_size):
    """Extract every layer; return the number of vectors."""
    from steering_vectors import train_steering_vector

    pairs = [tuple(pair) for pair in job["pairs"]]
    vector = train_steering_vector(model, tokenizer, pairs, batch_size=batch_size, move_to_cpu=True)
    return len(vector.layer_activations)


def main():
    """Answer one line with one line."""
    name, folder, path = sys.argv[1:]
    job = json.loads(Path(path).read_text())
    torch.set_num_threads(job["threads"])
    transformers.logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(Path(folder) / "tokenizer.json"), pad_token="<|im_end|>")

    def do(asked):
        if asked["do"] == "unsteered":
            return [generate(model, job)]
        if asked["do"] == "extract":
            return trained_by_steering_vectors(model, tokenizer, job, asked["batch_size"])
        sides = {"steering-vectors": steered_by_steering_vectors, "repeng": steered_by_repeng}
        return list(sides[name](model, job))

    serve({one: version(one) for one in (name, "torch", "transformers")}, do)


if __name__ == "__main__":
    main()
