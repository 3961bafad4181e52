"""Engines, behaviors to steer, a real server, and the official client against it."""

from contextlib import contextmanager

import numpy as np
import openai
import pytest

from interp_steer.records import ActivationCard, Cell, VectorCard
from interp_steer.serving.answer import LiveRequest
from interp_steer.serving.catalog import Catalog, Steerable
from interp_steer.serving.live import LiveBatch
from interp_steer.serving.server import running
from interp_steer.serving.web import make_app
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.vector import SteeringVectors


@pytest.fixture(scope="session")
def ask():
    """Function to a request; settings are those of ``DecodeSettings``."""

    def make(model, text, *pushes, seed=0, stop=(), **settings):
        row = DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(text)), interventions=pushes, seed=seed)
        return LiveRequest(row=row, settings=DecodeSettings(**settings), stop=stop)

    return make


@pytest.fixture(scope="session")
def catalog_of():
    """Function from a model to a catalog of two behaviors with random directions; the first has a chosen cell."""

    def steerable(model, behavior, seed, cell):
        card = model.card
        rows = [random_direction(card.d_model, layer=layer, seed=seed) for layer in range(card.n_layers)]
        vectors = SteeringVectors(
            direction=np.stack(rows).astype(np.float32),
            norm=np.ones(card.n_layers, dtype=np.float32),
            activation_norm=np.ones(card.n_layers, dtype=np.float32),
            card=VectorCard(
                activations=ActivationCard(
                    model=card, behavior=behavior, pairs_sha256="0", read_position="mean_response"
                ),
                method="mean_difference",
                n_pairs=1,
            ),
        )
        return Steerable(behavior=behavior, vectors=vectors, cell=cell, scope="response")

    def make(model):
        chosen = Cell(control="steered", layer=1, alpha=0.4)
        return Catalog(model.card.name, [steerable(model, "joy", 1, chosen), steerable(model, "calm", 2, None)])

    return make


@pytest.fixture(scope="session")
def served(catalog_of, patience):
    """Context manager: a model behind a real server, as ``(client, engine, url)``."""

    @contextmanager
    def serve(model, *, api_key=None, max_tokens=512, **sizes):
        with (
            LiveBatch(model, **sizes) as batch,
            running(make_app(batch, catalog_of(model), max_tokens=max_tokens, api_key=api_key)) as url,
            openai.OpenAI(
                base_url=f"{url}/v1", api_key=api_key or "none is needed", max_retries=0, timeout=patience
            ) as client,
        ):
            yield client, batch, url

    return serve
