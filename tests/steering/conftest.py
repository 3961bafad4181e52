"""Interventions and vectors for the tiny models, and decoding by plain Hugging Face."""

import numpy as np
import pytest
import torch

from interp_steer.activations.extract import extract
from interp_steer.behaviors import Pair
from interp_steer.steering.intervention import Intervention
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.fit import fit


@pytest.fixture(scope="session")
def push():
    """Function to an intervention along the random direction of a layer."""

    def make(model, layer, alpha, seed=0):
        direction = random_direction(model.card.d_model, layer=layer, seed=seed).astype(np.float32)
        return Intervention(layer=layer, alpha=alpha, direction=direction)

    return make


@pytest.fixture(scope="session")
def vectors_of():
    """Function from a model to steering vectors of two small pairs."""
    pairs = [
        Pair(prompt="Name a color.", positive="Oh, blue! I love blue!", negative="Blue."),
        Pair(prompt="Hi", positive="How wonderful!", negative="Hello."),
    ]
    return lambda model: fit(extract(model, pairs, behavior="joy"))


@pytest.fixture(scope="session")
def n_hooks():
    """Function from a model to the number of hooks on it."""

    def count(model):
        points = {id(point): point for point in model.bridge.hook_dict.values()}  # a point has several names
        return sum(len(point.fwd_hooks) for point in points.values())

    return count


@pytest.fixture(scope="session")
def plain_greedy():
    """Function that decodes one row without cache, batch or bridge, adding ``alpha * |h| * v`` where the scope says."""

    def decode(hf_model, prompt, interventions, scope, n_tokens, eos_ids):
        ids, layers = list(prompt), {one.layer for one in interventions}
        for _ in range(n_tokens):
            first = {"response": max(len(prompt) - 1, 1), "generated": len(prompt), "all": 1}[scope]

            def add(layer, first=first):
                def hook(_module, _inputs, output):
                    steered = output.clone()
                    for position in range(first, output.shape[1]):
                        h = output[0, position]
                        for one in interventions:
                            if one.layer == layer:
                                steered[0, position] += one.alpha * h.norm() * torch.tensor(one.direction)
                    return steered

                return hook

            handles = [hf_model.model.layers[layer].register_forward_hook(add(layer)) for layer in layers]
            try:
                with torch.inference_mode():
                    logits = hf_model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            finally:
                for handle in handles:
                    handle.remove()
            ids.append(int(logits.argmax()))
            if ids[-1] in eos_ids:
                break
        return tuple(ids[len(prompt) :])

    return decode
