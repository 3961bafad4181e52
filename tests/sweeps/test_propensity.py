"""Teacher-forced log-likelihoods against plain Hugging Face, one text at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp_steer import likelihood
from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError, VectorError
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.margins import PropensitySpec, read_propensity, save_propensity
from interp_steer.sweeps.propensity import propensity
from interp_steer.sweeps.replay import Replay
from interp_steer.sweeps.texts import Text
from interp_steer.terms import SCOPES
from interp_steer.vectors.controls import random_direction

PAIRS = [
    Pair(prompt="Name a color.", positive="Oh, blue! I love blue!", negative="Blue."),
    Pair(prompt="How do I boil pasta for two?", positive="Gladly!", negative="Put it in boiling water and stir."),
    Pair(prompt="Hi", positive="H", negative="I am not in the mood."),
]


def spec_of(model, **changes):
    last = model.card.n_layers - 1
    return PropensitySpec(layers=(0, last // 2, last), alphas=(-0.5, 0.4), random_alpha=0.6, n_random=2, **changes)


def ids_of(model, text):
    return tuple(model.chat.tokenizer(text, add_special_tokens=False)["input_ids"])


def token_loglik(logits, places, tokens):
    return logits.log_softmax(dim=1).gather(1, tokens[places].unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_number_is_that_of_plain_hugging_face(tiny_and_plain, random_vectors, plain_log_softmax, scope):
    model, plain = tiny_and_plain
    vectors, spec = random_vectors(model), spec_of(model, scope=scope, seed=3)
    found = propensity(model, vectors, PAIRS, spec)

    def plain_sums(layer, alpha, direction):
        sums = []
        for side in ("positive", "negative"):
            for pair in PAIRS:
                response = ids_of(model, getattr(pair, side))
                prompt = tuple(model.chat.prompt_ids(pair.prompt))
                log_p = plain_log_softmax(plain, prompt, response, layer, alpha, direction, scope)
                sums.append(float(log_p[range(len(response)), response].sum()))
        return np.reshape(sums, (2, len(PAIRS)))

    expected = plain_sums(0, 0.0, vectors.at(0))
    np.testing.assert_allclose(found.unsteered, expected, rtol=1e-4)
    for i, layer in enumerate(spec.layers):
        for j, alpha in enumerate(spec.alphas):
            steered = plain_sums(layer, alpha, vectors.at(layer))
            np.testing.assert_allclose(found.steered[:, i, j], steered, rtol=1e-4)
            assert np.abs(steered - expected).max() > 1e-2, "a push that does nothing would pass"
        for j in range(2):
            direction = random_direction(model.card.d_model, layer=layer, seed=3 + j)
            np.testing.assert_allclose(found.random[:, i, j], plain_sums(layer, 0.6, direction), rtol=1e-4)
    assert found.tokens[0].tolist() == [len(ids_of(model, pair.positive)) for pair in PAIRS]
    assert found.tokens[1].tolist() == [len(ids_of(model, pair.negative)) for pair in PAIRS]


@pytest.mark.parametrize("scope", SCOPES)
def test_the_sink_is_never_steered(tiny_and_plain, random_vectors, plain_log_softmax, scope):
    model, plain = tiny_and_plain
    vectors = random_vectors(model)
    texts = [Text(prompt=(40,), response=(70, 71, 72)), Text(prompt=(40, 41), response=(73,))]
    tokens = torch.tensor([70, 71, 72, 73])
    replay = Replay(model, texts, (1,), scope)
    push = Intervention(layer=1, alpha=0.7, direction=vectors.at(1))
    found = replay.steered([push], lambda logits, places: token_loglik(logits, places, tokens))[0]
    expected = [
        plain_log_softmax(plain, text.prompt, text.response, 1, 0.7, vectors.at(1), scope)[i, token]
        for text in texts
        for i, token in enumerate(text.response)
    ]
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scope", SCOPES)
def test_alpha_zero_is_unsteered(tiny, random_vectors, scope):
    texts = [Text(prompt=tuple(tiny.chat.prompt_ids("Hi")), response=ids_of(tiny, text)) for text in ("Oh!", "What?")]
    tokens = torch.tensor([token for text in texts for token in text.response])
    replay = Replay(tiny, texts, range(tiny.card.n_layers), scope)
    unsteered = replay.unsteered(lambda logits, places: token_loglik(logits, places, tokens))
    for layer in range(tiny.card.n_layers):
        pushes = [Intervention(layer=layer, alpha=a, direction=random_vectors(tiny).at(layer)) for a in (0.0, 0.5)]
        found = replay.steered(pushes, lambda logits, places: token_loglik(logits, places, tokens))
        torch.testing.assert_close(found[0], unsteered, rtol=0, atol=1e-5)
        assert (found[1] - unsteered).abs().max() > 1e-3


@pytest.mark.parametrize("scope", SCOPES)
def test_nothing_below_the_push_is_read_again(tiny, random_vectors, scope):
    texts = [Text(prompt=tuple(tiny.chat.prompt_ids("Hi")), response=ids_of(tiny, "Oh!"))]
    tokens, passes = torch.tensor(texts[0].response), []
    replay = Replay(tiny, texts, (1,), scope)
    push = Intervention(layer=1, alpha=0.5, direction=random_vectors(tiny).at(1))

    def steered():
        return replay.steered([push], lambda logits, places: token_loglik(logits, places, tokens))

    with tiny.hooks({layer: (lambda _, layer=layer: passes.append(layer)) for layer in (0, 1, 2)}):
        first = steered()
    assert passes == [2]
    assert torch.equal(first, steered()), "a pass left something behind in the cache"


@pytest.mark.parametrize("scope", SCOPES)
def test_batches_change_nothing(tiny, random_vectors, monkeypatch, scope):
    vectors, spec = random_vectors(tiny), spec_of(tiny, scope=scope)
    together = propensity(tiny, vectors, PAIRS, spec)
    turned = propensity(tiny, vectors, PAIRS[::-1], spec)
    np.testing.assert_allclose(turned.steered[..., ::-1], together.steered, rtol=1e-4)
    monkeypatch.setattr(likelihood, "LOGITS_PER_BATCH", 1)
    for tokens_per_batch in (1, 150):
        apart = propensity(tiny, vectors, PAIRS, spec, tokens_per_batch=tokens_per_batch)
        for name in ("unsteered", "steered", "random"):
            np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=1e-4)


def test_swapped_responses_have_the_opposite_margin(tiny_llama, random_vectors):
    vectors, spec = random_vectors(tiny_llama), spec_of(tiny_llama)
    swapped = [replace(pair, positive=pair.negative, negative=pair.positive) for pair in PAIRS]
    one, other = (propensity(tiny_llama, vectors, pairs, spec) for pairs in (PAIRS, swapped))
    for per_token in (True, False):
        np.testing.assert_allclose(one.margins(per_token=per_token), -other.margins(per_token=per_token), rtol=1e-4)


def test_margins_and_slopes_by_hand(tiny_llama, random_vectors):
    found = propensity(tiny_llama, random_vectors(tiny_llama), PAIRS, spec_of(tiny_llama))
    margins, changes, slopes = found.margins(), found.changes(), found.slopes(per_token=False)
    base = found.unsteered[0, 1] / found.tokens[0, 1] - found.unsteered[1, 1] / found.tokens[1, 1]
    by_hand = found.steered[0, 2, 0, 1] / found.tokens[0, 1] - found.steered[1, 2, 0, 1] / found.tokens[1, 1]
    assert margins[2, 0, 1] == pytest.approx(by_hand)
    assert changes[2, 0, 1] == pytest.approx(by_hand - base)
    assert found.mean_change()[2, 0] == pytest.approx(changes[2, 0].mean())
    for i in range(3):
        for pair in range(3):
            totals = found.steered[0, i, :, pair] - found.steered[1, i, :, pair]
            start = found.unsteered[0, pair] - found.unsteered[1, pair]
            line = np.polyfit([-0.5, 0.0, 0.4], [totals[0], start, totals[1]], 1)
            assert slopes[i, pair] == pytest.approx(line[0])
    assert found.anti_steerable(per_token=False).tolist() == [sum(row < 0) / 3 for row in slopes]
    layer, alpha = found.best()
    i, j = found.card.spec.layers.index(layer), found.card.spec.alphas.index(alpha)
    assert found.mean_change()[i, j] == found.mean_change().max()


def test_the_file_holds_everything(tiny_llama, random_vectors, tmp_path):
    for n_random in (0, 1):
        spec = replace(spec_of(tiny_llama), n_random=n_random)
        found = propensity(tiny_llama, random_vectors(tiny_llama), PAIRS, spec)
        save_propensity(found, tmp_path / "propensity.safetensors")
        read = read_propensity(tmp_path / "propensity.safetensors")
        assert read.card == found.card
        for name in ("unsteered", "steered", "random", "tokens"):
            assert np.array_equal(getattr(read, name), getattr(found, name))


def test_what_does_not_fit_is_refused(tiny_llama, tiny_qwen, random_vectors):
    vectors, spec = random_vectors(tiny_llama), spec_of(tiny_llama)
    for changes, said in (
        ({"layers": (9,)}, "layer 9 does not exist"),
        ({"layers": ()}, "at least one layer"),
        ({"alphas": (0.0, 0.2)}, "alpha 0 is out of range"),
        ({"alphas": (float("nan"),)}, "alpha nan is out of range"),
        ({"n_random": -1}, "n_random is -1"),
    ):
        with pytest.raises(SteeringError, match=said):
            propensity(tiny_llama, vectors, PAIRS, replace(spec, **changes))
    with pytest.raises(SteeringError, match="at least one pair"):
        propensity(tiny_llama, vectors, [], spec)
    with pytest.raises(VectorError, match="belong to 'tiny-llama'"):
        propensity(tiny_qwen, vectors, PAIRS, spec)
