"""Interventions and vectors for the tiny models, and decoding by plain Hugging Face."""

import numpy as np
import pytest
import torch

from interp_steer.activations.extract import extract
from interp_steer.behaviors import Pair
from interp_steer.vectors.fit import fit


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


def by_hand(h, one):
    """What an intervention makes of one token, in float64 and by the formulas of its documentation."""
    h, v = h.double(), torch.tensor(np.asarray(one.direction, dtype=np.float64))
    norm, along, alpha = h.norm(), h @ v, one.alpha
    beside = h - along * v
    match one.operation:
        case "add":
            return h + alpha * norm * v
        case "add_norm_preserving":
            moved = h + alpha * norm * v
            return moved / moved.norm() * norm
        case "ablate":
            return h - alpha * along * v
        case "project":
            return beside + alpha * norm * v
        case "reach":
            return beside + max(along, alpha) * v
        case "project_at_least":
            return beside + max(along, alpha * norm) * v
        case "rotate":
            angle = torch.arccos(along / norm) - np.deg2rad(alpha)
            return norm * (angle.cos() * v + angle.sin() * beside / beside.norm())


@pytest.fixture(scope="session")
def plain_steered():
    """Function that decodes one row without cache, batch or bridge, under any operations (additions come first)."""

    def decode(hf_model, prompt, interventions, scope, n_tokens, eos_ids):
        ids, layers = list(prompt), {one.layer for one in interventions}
        ordered = sorted(interventions, key=lambda one: one.operation != "add")
        for _ in range(n_tokens):
            first = {"response": max(len(prompt) - 1, 1), "generated": len(prompt), "all": 1}[scope]

            def act(layer, first=first):
                def hook(_module, _inputs, output):
                    steered = output.clone()
                    for position in range(first, output.shape[1]):
                        for one in ordered:
                            if one.layer == layer:
                                steered[0, position] = by_hand(steered[0, position], one).to(output.dtype)
                    return steered

                return hook

            handles = [hf_model.model.layers[layer].register_forward_hook(act(layer)) for layer in layers]
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
