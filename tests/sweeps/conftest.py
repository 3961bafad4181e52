"""A run directory whose vectors come from random activations: everything a sweep of ``tiny_llama`` needs."""

import numpy as np
import pytest
import torch

from interp_steer.activations.artifact import Activations, save_activations
from interp_steer.behaviors import EvaluationPrompt
from interp_steer.pairs import read_behavior
from interp_steer.records import ActivationCard, VectorCard, to_json
from interp_steer.run import Run
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.fit import fit
from interp_steer.vectors.vector import SteeringVectors, save_vectors

PROMPTS = ("Why?", "How do I boil an egg?", "Name a bird.")


def random_activations(card, n=12):
    rng = np.random.default_rng(0)
    shape = (card.n_layers, n, card.d_model)
    ones = np.ones(shape[:2], dtype=np.float32)
    return Activations(
        positive=rng.standard_normal(shape).astype(np.float32),
        negative=rng.standard_normal(shape).astype(np.float32),
        positive_norms=ones,
        negative_norms=ones,
        positive_tokens=ones[0],
        negative_tokens=ones[0],
        card=ActivationCard(model=card, behavior="refusal", pairs_sha256="0", read_position="mean_response"),
    )


@pytest.fixture(scope="session")
def make_run(tiny_llama):
    """Function from a folder to a run of ``tiny_llama`` in it that is ready to be swept."""

    def make(folder, behavior="refusal"):
        run = Run(folder)
        activations = random_activations(tiny_llama.card)
        save_activations(activations, run.activations_path)
        save_vectors(fit(activations), run.vectors_path)
        run.update_manifest(behavior=to_json(read_behavior(behavior)), model=to_json(tiny_llama.card))
        return run

    return make


@pytest.fixture
def run(make_run, tmp_path):
    return make_run(tmp_path / "run")


@pytest.fixture(scope="session")
def prompts():
    return [EvaluationPrompt(id=f"dev-{i}", split="dev", text=text) for i, text in enumerate(PROMPTS, start=1)]


@pytest.fixture(scope="session")
def spec():
    return SweepSpec(layers=(0, 2), alphas=(0.2, 0.6), random_alphas=(0.6,), max_new_tokens=6)


@pytest.fixture(scope="session")
def undisturbed(make_run, tiny_llama, prompts, spec, tmp_path_factory):
    """The generations of a sweep that nothing stopped."""
    from interp_steer.sweeps.answers import LocalEngine
    from interp_steer.sweeps.run_sweep import sweep

    run = make_run(tmp_path_factory.mktemp("undisturbed"))
    sweep(run, LocalEngine(tiny_llama, batch_size=4), prompts, spec.dev_cells(), spec)
    return run.generations()


@pytest.fixture(scope="session")
def assert_same_rows():
    """Hold generations against others, whatever their order; batches may round a likelihood differently."""

    def check(found, expected):
        assert len({row.key for row in found}) == len(found)
        first, second = (
            sorted(map(to_json, rows), key=lambda row: str((row["prompt_id"], row["cell"], row["sample"])))
            for rows in (found, expected)
        )
        nll = [[row.pop(name) for row in rows for name in ("nll", "nll_prompted")] for rows in (first, second)]
        assert first == second
        assert nll[0] == pytest.approx(nll[1], abs=1e-4)

    return check


@pytest.fixture(scope="session")
def random_vectors():
    """Function from a model to vectors in directions that mean nothing."""

    def make(model):
        card, n = model.card, model.card.n_layers
        activations = ActivationCard(model=card, behavior="joy", pairs_sha256="0", read_position="mean_response")
        return SteeringVectors(
            direction=np.stack([random_direction(card.d_model, layer=layer, seed=99) for layer in range(n)]),
            norm=np.ones(n),
            activation_norm=np.ones(n),
            card=VectorCard(activations=activations, method="mean_difference", n_pairs=2),
        )

    return make


@pytest.fixture(scope="session")
def plain_log_softmax():
    """Function to the log-probabilities at the tokens of a response: one text, no cache, no batch, a hook by hand."""

    def read(hf_model, prompt, response, layer, alpha, direction, scope):
        first = {"response": max(len(prompt) - 1, 1), "generated": len(prompt), "all": 1}[scope]

        def hook(_module, _inputs, output):
            steered = output.clone()
            for position in range(first, output.shape[1]):
                h = output[0, position]
                steered[0, position] += alpha * h.norm() * torch.tensor(direction, dtype=h.dtype)
            return steered

        handle = hf_model.model.layers[layer].register_forward_hook(hook)
        try:
            with torch.inference_mode():
                logits = hf_model(torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
        finally:
            handle.remove()
        return logits[len(prompt) - 1 : -1].double().log_softmax(dim=-1)

    return read
