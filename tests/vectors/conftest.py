"""Activations made by hand: the vectors need no model."""

import numpy as np
import pytest

from interp_steer.activations.artifact import Activations
from interp_steer.records import ActivationCard, ModelCard


@pytest.fixture(scope="session")
def model_card():
    """A model that exists on paper."""
    return ModelCard(
        name="paper",
        revision="1",
        fingerprint="aaaa",
        dtype="float32",
        n_layers=2,
        d_model=16,
        layer_types=("full_attention",) * 2,
        template="t",
    )


@pytest.fixture(scope="session")
def activations(model_card):
    """Function from both sides, ``[layer, pair, d_model]``, to activations."""

    def make(positive, negative, norm=10.0):
        positive, negative = np.asarray(positive, np.float32), np.asarray(negative, np.float32)
        return Activations(
            positive=positive,
            negative=negative,
            positive_norms=np.full(positive.shape[:2], norm, np.float32),
            negative_norms=np.full(positive.shape[:2], norm, np.float32),
            positive_tokens=np.ones(positive.shape[1], np.float32),
            negative_tokens=np.ones(positive.shape[1], np.float32),
            card=ActivationCard(model=model_card, behavior="test", pairs_sha256="", read_position="mean_response"),
        )

    return make


@pytest.fixture(scope="session")
def planted():
    """Differences that share a direction: 40 pairs, ``2 * direction + noise``, and one strong axis of disagreement.

    Returns ``(differences, direction, nuisance)``: pairs differ most along ``nuisance``, in both senses.
    """
    rng = np.random.default_rng(0)
    direction, nuisance = np.linalg.qr(rng.standard_normal((64, 2)))[0].T
    sign = np.repeat([1.0, -1.0], 20)[:, None]
    differences = 2 * direction + sign * nuisance + 0.02 * rng.standard_normal((40, 64))
    return differences, direction, nuisance
