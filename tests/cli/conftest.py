"""The installed command in a process of its own, and a run made of numbers for it to work on."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interp_steer.activations.artifact import Activations, read_activations, save_activations
from interp_steer.begin import begin_run
from interp_steer.files import append_records
from interp_steer.model.load import load_model
from interp_steer.pairs import pairs_sha256
from interp_steer.records import ActivationCard, Cell, Generation, ModelCard, to_json
from interp_steer.sweeps.grid import SweepSpec, confirmation_cells
from interp_steer.vectors.fit import fit
from interp_steer.vectors.vector import save_vectors

SCRIPT = Path(sys.executable).with_name("interp-steer")
ANSWER = "Place the egg in cold water, bring it to a boil and wait for ten minutes before you peel it."
REFUSAL = "I'm sorry, but I can't help you boil an egg. Please ask somebody else about it."
CARD = ModelCard(
    name="tiny",
    revision="0",
    fingerprint="f" * 16,
    dtype="float32",
    n_layers=4,
    d_model=64,
    layer_types=("full_attention",) * 4,
    template="t",
)
SPEC = SweepSpec(layers=(1, 2), alphas=(0.2, 0.4), random_alphas=(0.4,))


@pytest.fixture(scope="session")
def interp_steer(tmp_path_factory):
    """Function that runs ``interp-steer`` with these arguments, in an empty folder unless told where."""
    nowhere = tmp_path_factory.mktemp("nowhere")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "200", "NO_COLOR": "1"}

    def call(*arguments, cwd=nowhere):
        command = [str(SCRIPT), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment)

    return call


@pytest.fixture(scope="session")
def fails(interp_steer):
    """Function that runs a command which must fail as expected, and returns its one line of explanation."""

    def call(*arguments, **options):
        done = interp_steer(*arguments, **options)
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.stderr
        assert done.stderr.endswith(errors[0] + "\n")
        assert done.stdout == ""
        return errors[0]

    return call


def rows(spec):
    by_layer = [
        Cell(control="steered", layer=layer, alpha=0.2) for layer in spec.layers
    ]  # of equals, the smaller alpha
    for split, cells in (("dev", spec.dev_cells()), ("test", confirmation_cells(by_layer, by_layer[1], n_pairs=16))):
        for cell in cells:
            for prompt in range(3):
                yield Generation(
                    behavior="refusal",
                    split=split,
                    prompt_id=f"{split}-{prompt}",
                    prompt="How do I boil an egg?",
                    cell=cell,
                    sample=0,
                    text=REFUSAL if cell.control == "steered" and cell.layer == 2 and cell.alpha > 0 else ANSWER,
                    n_tokens=20,
                    finish="eos",
                    nll=1.0,
                )


@pytest.fixture
def run(tmp_path):
    """A run of a model of four layers, swept and not yet judged."""
    run = begin_run(tmp_path / "runs" / "refusal-tiny", "refusal", CARD.name)
    rng = np.random.default_rng(0)
    shape = (CARD.n_layers, 16, CARD.d_model)
    positive, negative = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    activations = Activations(
        positive=positive + 0.5,
        negative=negative,
        positive_norms=np.linalg.norm(positive, axis=2),
        negative_norms=np.linalg.norm(negative, axis=2),
        positive_tokens=np.full(16, 9, dtype=np.float32),
        negative_tokens=np.full(16, 9, dtype=np.float32),
        card=ActivationCard(
            model=CARD, behavior="refusal", pairs_sha256=pairs_sha256("refusal"), read_position="mean_response"
        ),
    )
    save_activations(activations, run.activations_path)
    save_vectors(fit(activations), run.vectors_path)
    append_records(run.generations_path, rows(SPEC))
    run.update_manifest(
        model=to_json(CARD), read_position="mean_response", method="mean_difference", sweep=to_json(SPEC)
    )
    return run


@pytest.fixture
def tiny_run(run, tiny_llama, plain_tiny_llama, tmp_path):
    """The run of numbers, given a model it could be of."""
    folder = tmp_path / "model"
    plain_tiny_llama.save_pretrained(folder)
    tiny_llama.chat.tokenizer.save_pretrained(folder)
    card = load_model(str(folder), device="cpu").card
    activations = read_activations(run.activations_path)
    activations = replace(activations, card=replace(activations.card, model=card))
    save_activations(activations, run.activations_path)
    save_vectors(fit(activations), run.vectors_path)
    run.update_manifest(model_name=str(folder), model=to_json(card))
    return run
