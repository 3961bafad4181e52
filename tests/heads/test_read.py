"""Readings by token: in a text, while decoding, several heads at once, and against plain Hugging Face."""

import numpy as np
import pytest

from interp_steer.errors import SteeringError, VectorError
from interp_steer.heads.read import decode_and_read, read_text, read_tokens
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import SCOPES

PROMPTS = ("Hi", "Name a color.", "How do I boil pasta for two people?")


@pytest.fixture
def heads(tiny, random_head):
    return [random_head(tiny, layer, seed=seed, bias=0.1 * seed) for seed, layer in enumerate((0, 1, 1))]


def test_readings_are_those_of_plain_hugging_face(tiny_and_plain, random_head, plain_residuals):
    model, plain = tiny_and_plain
    heads = [random_head(model, layer, seed=layer) for layer in (0, model.card.n_layers - 1)]
    found = read_text(model, heads, "Name a color.", "Blue, of course.")
    ids, n_prompt = model.chat.pair_ids("Name a color.", "Blue, of course.")
    assert found.ids == tuple(ids[n_prompt:])
    h = plain_residuals(plain, ids)[:, n_prompt:].numpy()
    for row, head in zip(found.logits, heads, strict=True):
        np.testing.assert_allclose(row, head.logits(h[head.layer]), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.probabilities, 1 / (1 + np.exp(-found.logits.mean(axis=1))))


def test_several_heads_read_what_each_reads_alone(tiny, heads):
    together = read_text(tiny, heads, "Hi", "Hello there!")
    alone = [read_text(tiny, [head], "Hi", "Hello there!").logits[0] for head in heads]
    np.testing.assert_array_equal(together.logits, alone)
    assert not np.allclose(alone[1], alone[2])


@pytest.mark.parametrize("scope", SCOPES)
def test_reading_while_decoding_is_reading_the_text_again_unsteered(tiny, heads, push, scope):
    pushes = [(), (push(tiny, 1, 0.6),), (push(tiny, 2, 0.4), push(tiny, 1, 0.3))]
    rows = [
        DecodeRow(prompt_ids=tuple(tiny.chat.prompt_ids(prompt)), interventions=one)
        for prompt in PROMPTS
        for one in pushes
    ]
    settings = DecodeSettings(scope=scope, max_new_tokens=9)
    found = decode_and_read(tiny, rows, settings, heads)
    assert [completion for completion, _ in found] == decode(tiny, rows, settings)
    for row, (completion, reading) in zip(rows, found, strict=True):
        assert reading.ids == completion.ids[:-1]
        again = read_tokens(tiny, heads, row.prompt_ids, completion.ids)
        np.testing.assert_allclose(reading.logits, again.logits[:, :-1], rtol=1e-3, atol=1e-4)


def test_a_completion_of_one_token_has_no_probability(tiny, heads):
    row = DecodeRow(prompt_ids=tuple(tiny.chat.prompt_ids("Hi")))
    ((_, reading),) = decode_and_read(tiny, [row], DecodeSettings(max_new_tokens=1), heads)
    assert reading.ids == ()
    assert reading.probabilities is None


def test_heads_that_would_see_the_push_are_refused(tiny, random_head, push):
    row = DecodeRow(prompt_ids=tuple(tiny.chat.prompt_ids("Hi")), interventions=(push(tiny, 1, 0.3),))
    with pytest.raises(SteeringError, match="reads layer 2, above the steered layer 1"):
        decode_and_read(tiny, [row], DecodeSettings(max_new_tokens=2), [random_head(tiny, 2)])


def test_what_cannot_be_read_is_refused(tiny_llama, tiny_qwen, random_head):
    head = random_head(tiny_llama, 1)
    with pytest.raises(VectorError, match="belongs to 'tiny-llama'"):
        read_text(tiny_qwen, [head], "Hi", "Hello")
    with pytest.raises(SteeringError, match="no head was given"):
        read_text(tiny_llama, [], "Hi", "Hello")
    with pytest.raises(SteeringError, match="no tokens"):
        read_tokens(tiny_llama, [head], (1, 2, 3), ())
