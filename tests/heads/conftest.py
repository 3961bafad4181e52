"""Activations with a planted direction, and heads of random weights for the tiny models."""

import numpy as np
import pytest

from interp_steer.activations.artifact import Activations
from interp_steer.heads.head import Head, HeadCard, HeldOutScores
from interp_steer.records import ActivationCard
from interp_steer.vectors.controls import random_direction

SCORES = HeldOutScores(auc=1.0, accuracy=1.0, brier=0.0, ece=0.0, n=2)


def planted_activations(card, direction, *, n=60, effect=2.0, topics=1, topic_scale=0.0, seed=0):
    """Pairs whose sides differ by ``effect`` along a direction, in unit noise, around a mean of their topic."""
    rng = np.random.default_rng(seed)
    shape = (card.n_layers, n, card.d_model)
    base = topic_scale * rng.standard_normal((card.n_layers, topics, card.d_model))[:, np.arange(n) % topics]
    sides = [base + rng.standard_normal(shape) + sign * effect / 2 * direction for sign in (1, -1)]
    ones = np.ones(shape[:2], dtype=np.float32)
    return Activations(
        positive=sides[0].astype(np.float32),
        negative=sides[1].astype(np.float32),
        positive_norms=ones,
        negative_norms=ones,
        positive_tokens=ones[0],
        negative_tokens=ones[0],
        card=ActivationCard(model=card, behavior="joy", pairs_sha256="0", read_position="mean_response"),
    )


@pytest.fixture(scope="session")
def planted(tiny_llama):
    """Function to activations on ``tiny_llama`` with the direction that is planted in every layer."""
    direction = random_direction(tiny_llama.card.d_model, layer=0, seed=7)

    def make(**options):
        return planted_activations(tiny_llama.card, direction, **options), direction

    return make


@pytest.fixture(scope="session")
def random_head():
    """Function from a model and a layer to a head of random weight, which reads about half of all tokens as present."""

    def make(model, layer, seed=0, bias=0.0, scale=1.0):
        card = HeadCard(
            activations=ActivationCard(
                model=model.card, behavior=f"b{seed}", pairs_sha256="0", read_position="first_k"
            ),
            layer=layer,
            n_pairs=4,
            seed=0,
            out_of_fold=SCORES,
        )
        weight = scale * random_direction(model.card.d_model, layer=layer, seed=100 + seed)
        return Head(weight=weight.astype(np.float32), bias=bias, card=card)

    return make
