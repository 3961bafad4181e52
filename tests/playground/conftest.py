"""Two runs of a tiny model on disk, and the playground in front of an engine."""

import numpy as np
import pytest

from interp_steer.begin import begin_run
from interp_steer.files import append_records
from interp_steer.model.load import load_model
from interp_steer.playground.shelf import read_shelf
from interp_steer.records import ActivationCard, Cell, Generation, VectorCard, Verdict, text_sha256
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.vector import SteeringVectors, save_vectors

COHERENCE = {0.1: 0.9, 0.2: 0.6, 0.3: 0.4, 0.4: 0.8, -0.1: 0.9}
"""Of layer 1: it breaks at 0.3, and what lies beyond is out of reach."""

PROMPT = "How do I boil an egg?"


@pytest.fixture(scope="session")
def folder(plain_tiny_llama, tiny_llama, tmp_path_factory):
    """The tiny model in a folder, as anybody would have it."""
    path = tmp_path_factory.mktemp("models") / "tiny"
    plain_tiny_llama.save_pretrained(path)
    tiny_llama.chat.tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def model(folder):
    return load_model(str(folder))


@pytest.fixture(scope="session")
def runs(model, folder, tmp_path_factory):
    """A run of ``refusal`` with a judged sweep of layers 1 and 2, and one of ``french`` with vectors alone."""
    root = tmp_path_factory.mktemp("runs")
    return [
        _run(root / "refusal-tiny", model, folder, "refusal", swept=True),
        _run(root / "french-tiny", model, folder, "french", swept=False),
    ]


@pytest.fixture(scope="session")
def shelf(runs, model):
    return read_shelf(runs, model)


def _run(path, model, folder, name, *, swept):
    run = begin_run(path, name, str(folder))
    card = model.card
    directions = [random_direction(card.d_model, layer=layer, seed=len(name)) for layer in range(card.n_layers)]
    vectors = SteeringVectors(
        direction=np.stack(directions).astype(np.float32),
        norm=np.ones(card.n_layers, dtype=np.float32),
        activation_norm=np.ones(card.n_layers, dtype=np.float32),
        card=VectorCard(
            activations=ActivationCard(model=card, behavior=name, pairs_sha256="0", read_position="mean_response"),
            method="mean_difference",
            n_pairs=1,
        ),
    )
    save_vectors(vectors, run.vectors_path)
    if swept:
        _sweep(run)
    return run.path


def _sweep(run):
    cells = {Cell(control="steered", layer=1, alpha=alpha): score for alpha, score in COHERENCE.items()}
    cells |= {Cell(control="steered", layer=2, alpha=0.1): 0.2, Cell(control="unsteered"): 1.0}
    generations, verdicts = [], []
    for cell, coherence in cells.items():
        for split in ("dev", "test"):
            one = Generation(
                behavior="refusal", split=split, prompt_id=f"{split}-1", prompt=PROMPT, cell=cell, sample=0,
                text="No.", n_tokens=2, finish="eos",
            )  # fmt: skip
            generations.append(one)
            verdicts.append(
                Verdict(
                    generation=one.key, text_sha256=text_sha256(one.text), judge="local", judge_digest="0",
                    behavior=min(1.0, 2 * abs(cell.alpha)), coherence=coherence, combined=coherence / 2,
                )
            )  # fmt: skip
    append_records(run.generations_path, generations)
    append_records(run.verdicts_path, verdicts)
    run.update_manifest(sweep={"scope": "all"})
