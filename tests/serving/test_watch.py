"""What the engine reads beside decoding, against the residual stream of plain Hugging Face."""

import dataclasses

import numpy as np
import pytest
import torch

from interp_steer.errors import SteeringError
from interp_steer.serving.live import LiveBatch
from interp_steer.serving.watch import Watch
from interp_steer.vectors.controls import random_direction

SETTINGS = {"max_new_tokens": 12, "stop_early": False}


def watch(model, layer, seed=0):
    direction = random_direction(model.card.d_model, layer=layer, seed=seed).astype(np.float32)
    return Watch(layer=layer, direction=direction)


def watching(request, *watched):
    return dataclasses.replace(request, watch=watched)


def cosines(resid, direction):
    return (resid @ torch.from_numpy(direction) / resid.norm(dim=-1)).tolist()


def read(answer):
    """One list of cosines per watched direction: a piece tells of the token before it."""
    pieces = list(answer)
    assert pieces[0].before is None
    return [list(column) for column in zip(*(piece.before for piece in pieces[1:]), strict=True)]


@pytest.mark.parametrize("busy", [False, True])
def test_an_unsteered_answer_reads_as_its_text_does(tiny_and_plain, again, ask, push, plain_residuals, patience, busy):
    model, plain = tiny_and_plain
    watched = (watch(model, 1), watch(model, 3, seed=5))
    request = watching(ask(model, "Name a color.", **SETTINGS), *watched)
    beside = [
        watching(ask(model, "Hi" * i, push(model, i, 0.4), scope="all", max_new_tokens=3 + 2 * i), watch(model, 2))
        for i in range(3)
    ]
    with LiveBatch(again(model), slots=3, capacity=256) as batch:
        answer = batch.submit_all([*(beside if busy else []), request])[-1]
        ids = list(answer.result(patience).ids)
        found = read(answer)
    resid = plain_residuals(plain, [*request.row.prompt_ids, *ids])[:, len(request.row.prompt_ids) : -1]
    for one, values in zip(watched, found, strict=True):
        assert values == pytest.approx(cosines(resid[one.layer], one.direction), abs=1e-5)


def test_a_push_is_read_behind_the_layer_it_is_made_at_and_not_at_it(tiny_llama, again, ask, push, patience):
    """At its own layer the reading is of what arrives; one layer on, of what the push has made of it."""
    strong = push(tiny_llama, 2, 3.0)
    watched = (Watch(layer=2, direction=strong.direction), Watch(layer=3, direction=strong.direction))
    request = watching(ask(tiny_llama, "Hi", strong, scope="generated", **SETTINGS), *watched)
    with LiveBatch(again(tiny_llama), slots=1, capacity=256) as batch:
        answer = batch.submit(request)
        answer.result(patience)
        at, behind = read(answer)
    assert np.mean(np.abs(at)) < 0.4
    assert np.mean(behind) > 0.6


def test_watching_changes_no_token_and_nobody_else_is_read(tiny, again, ask, push, patience):
    request = ask(tiny, "Hi", push(tiny, 1, 0.4), **SETTINGS)
    with LiveBatch(again(tiny), slots=2, capacity=256) as batch:
        plain, watched = batch.submit_all([request, watching(request, watch(tiny, 1))])
        assert plain.result(patience).ids == watched.result(patience).ids
    assert {piece.before for piece in plain} == {None}
    assert all(len(piece.before) == 1 for piece in list(watched)[1:])


def test_what_cannot_be_read_is_refused(tiny_llama, tiny_qwen, again, ask):
    with LiveBatch(again(tiny_llama), slots=1, capacity=256) as batch:
        for bad in (watch(tiny_qwen, 4), Watch(layer=0, direction=np.ones(3, dtype=np.float32))):
            with pytest.raises(SteeringError, match="cannot read layer"):
                batch.submit(watching(ask(tiny_llama, "Hi"), bad))
