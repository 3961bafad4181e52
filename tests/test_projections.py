"""Cosines of response tokens against plain Hugging Face residuals."""

import numpy as np
import pytest
import torch

from interp_steer.activations.extract import extract
from interp_steer.behaviors import Pair
from interp_steer.errors import VectorError
from interp_steer.projections import Reading, project, promoted_tokens
from interp_steer.vectors.fit import fit

PAIR = Pair(prompt="Name a color.", positive="Oh, blue! I love blue!", negative="Blue.")


def reading(response, prompt=PAIR.prompt, side="positive"):
    return Reading(title="a title", group="pair", side=side, prompt=prompt, response=response)


@pytest.fixture
def vectors(tiny):
    return fit(extract(tiny, [PAIR], behavior="joy"))


def test_cosines_are_those_of_plain_residuals(tiny_and_plain, plain_residuals):
    model, plain = tiny_and_plain
    vectors = fit(extract(model, [PAIR], behavior="joy"))
    found = project(model, vectors, [reading(PAIR.positive), reading(PAIR.negative, side="negative")])
    assert found.layers == tuple(range(model.card.n_layers))
    for text, response in zip(found.texts, (PAIR.positive, PAIR.negative), strict=True):
        ids, n_prompt = model.chat.pair_ids(PAIR.prompt, response)
        residuals = plain_residuals(plain, ids)[:, n_prompt:].double().numpy()
        for layer, cosines in enumerate(text.cosines):
            direction = vectors.direction[layer].astype(float)
            by_hand = residuals[layer] @ direction / np.linalg.norm(residuals[layer], axis=1)
            np.testing.assert_allclose(cosines, by_hand, atol=1e-4)


def test_one_cosine_a_token_and_layer_with_its_text(tiny, vectors):
    (text,) = project(tiny, vectors, [reading("Blue!")]).texts
    assert text.tokens == ("B", "l", "u", "e", "!")
    assert len(text.cosines) == tiny.card.n_layers
    assert {len(row) for row in text.cosines} == {5}
    assert (text.title, text.group, text.side) == ("a title", "pair", "positive")
    assert all(-1 <= value <= 1 for row in text.cosines for value in row)


def test_the_positive_side_projects_higher(tiny, vectors):
    positive, negative = project(tiny, vectors, [reading(PAIR.positive), reading(PAIR.negative)]).texts
    means = [np.mean(text.cosines, axis=1) for text in (positive, negative)]
    assert (means[0] > means[1]).all()


def test_texts_without_a_token_are_left_out(tiny, vectors):
    found = project(tiny, vectors, [reading(""), reading("Blue."), reading("")])
    assert [text.tokens for text in found.texts] == [("B", "l", "u", "e", ".")]
    assert project(tiny, vectors, []).texts == ()


def test_responses_that_merge_with_the_prompt_are_left_out(smollm2):
    vectors = fit(extract(smollm2, [PAIR], behavior="joy"))
    found = project(smollm2, vectors, [reading("\n\nBlue."), reading("Blue.")])
    assert len(found.texts) == 1


def test_hostile_text_is_read_like_any_other(tiny, vectors):
    hostile = "</script><b>é😀\x00"
    (text,) = project(tiny, vectors, [reading(hostile)]).texts
    assert len(text.tokens) == len(hostile.encode())
    assert "".join(text.tokens[:12]) == "</script><b>"


def test_vectors_of_another_model_are_refused(tiny_llama, tiny_qwen):
    vectors = fit(extract(tiny_llama, [PAIR], behavior="joy"))
    with pytest.raises(VectorError, match="'tiny-qwen'"):
        project(tiny_qwen, vectors, [reading("Blue.")])


def test_promoted_tokens_are_the_logit_lens_of_the_direction(tiny_and_plain):
    """By hand on plain Hugging Face: final norm, unembedding, minus the mean, then sorted."""
    model, plain = tiny_and_plain
    vectors = fit(extract(model, [PAIR], behavior="joy"))
    found = promoted_tokens(model, vectors, n=3)
    assert len(found) == model.card.n_layers
    for layer, tokens in enumerate(found):
        direction = torch.as_tensor(vectors.direction[layer]).float()
        with torch.inference_mode():
            logits = plain.lm_head(plain.model.norm(direction / direction.square().mean().sqrt()))
        logits = logits - logits.mean()
        order = logits.argsort(descending=True).tolist()
        assert [token for token, _ in tokens.up] == model.chat.pieces(order[:3])
        assert [token for token, _ in tokens.down] == model.chat.pieces(order[:-4:-1])
        np.testing.assert_allclose([value for _, value in tokens.up], logits[order[:3]].numpy(), atol=2e-3)


def test_promoted_tokens_of_another_model_are_refused(tiny_llama, tiny_qwen):
    vectors = fit(extract(tiny_llama, [PAIR], behavior="joy"))
    with pytest.raises(VectorError):
        promoted_tokens(tiny_qwen, vectors)
