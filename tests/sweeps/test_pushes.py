"""One push per layer: every number against plain Hugging Face, and what must hold for any model."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from interp_steer.behaviors import Pair
from interp_steer.errors import RunError, SteeringError, VectorError
from interp_steer.pairs import list_behaviors, read_prompts
from interp_steer.projections import lens_logits
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.sweeps.lens import lens_alignment
from interp_steer.sweeps.pushes import NEUTRAL_PROMPTS, default_spec, pushes, run_pushes
from interp_steer.sweeps.shifts import PushSpec, read_pushes, save_pushes
from interp_steer.terms import SCOPES
from interp_steer.vectors.controls import random_direction

PROMPTS = ("Why?", "How do I boil an egg?")
PAIRS = [
    Pair(prompt="Name a color.", positive="Oh, blue! I love blue!", negative="Blue."),
    Pair(prompt="Hi", positive="H", negative="I am not in the mood."),
]


def with_norms(vectors, ratio):
    return replace(vectors, norm=np.full(vectors.n_layers, ratio), activation_norm=np.ones(vectors.n_layers))


@pytest.mark.parametrize("scope", SCOPES)
def test_every_number_is_that_of_plain_hugging_face(tiny_and_plain, random_vectors, plain_log_softmax, scope):
    model, plain = tiny_and_plain
    vectors = with_norms(random_vectors(model), 0.4)
    last = model.card.n_layers - 1
    spec = PushSpec(layers=(0, last // 2, last), scope=scope, n_random=2, n_tokens=6, seed=3)
    found = pushes(model, vectors, PROMPTS, PAIRS, spec)
    rows = [DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(prompt))) for prompt in PROMPTS]
    answers = decode(model, rows, DecodeSettings(max_new_tokens=6))
    assert found.answers.tolist() == [i for i, one in enumerate(answers) for _ in one.ids]
    assert found.answers[found.first_tokens].tolist() == [0, 1]

    def plainly(layer, alpha, direction):
        return torch.cat(
            [
                plain_log_softmax(plain, row.prompt_ids, one.ids, layer, alpha, direction, scope)
                for row, one in zip(rows, answers, strict=True)
            ]
        )

    def kl(layer, alpha, direction):
        base, steered = plainly(layer, 0.0, direction), plainly(layer, alpha, direction)
        return (base.exp() * (base - steered)).sum(dim=1).numpy()

    for i, layer in enumerate(spec.layers):
        vector = vectors.at(layer)
        np.testing.assert_allclose(found.equal[i], kl(layer, 0.1, vector), rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(found.natural[i], kl(layer, 0.4, vector), rtol=2e-3, atol=1e-6)
        for j in range(2):
            direction = random_direction(model.card.d_model, layer=layer, seed=3 + j)
            np.testing.assert_allclose(found.random[i, j], kl(layer, 0.1, direction), rtol=2e-3, atol=1e-6)
        change = plainly(layer, 0.01, vector) - plainly(layer, 0.0, vector)
        moved = (change - change.mean(dim=1, keepdim=True)).norm(dim=1).numpy() / 0.01
        np.testing.assert_allclose(found.moved[i], moved, rtol=1e-2, atol=1e-2)  # unmoved but for rounding
    assert found.natural_alpha == pytest.approx(0.4)
    assert (found.natural.mean(axis=1) > 2 * found.equal.mean(axis=1)).all(), "a larger dose moves more"


def test_small_pushes_are_quadratic_in_the_kl_and_linear_in_the_logits(tiny, random_vectors):
    vectors = random_vectors(tiny)
    doses = (0.005, 0.01)
    less, more = (
        pushes(tiny, vectors, PROMPTS, PAIRS, PushSpec(layers=(1,), alpha=dose, least_alpha=dose, n_random=0))
        for dose in doses
    )
    assert math.log(more.equal.mean() / less.equal.mean(), 2) == pytest.approx(2, abs=0.1)
    np.testing.assert_allclose(less.moved.mean(), more.moved.mean(), rtol=0.05)
    assert less.random.shape == (1, 0, less.answers.size)


def test_saved_pushes_come_back(tiny_llama, random_vectors, tmp_path):
    found = pushes(tiny_llama, random_vectors(tiny_llama), PROMPTS, PAIRS, PushSpec(layers=(0, 2), n_tokens=4))
    save_pushes(found, tmp_path / "pushes.safetensors")
    again = read_pushes(tmp_path / "pushes.safetensors")
    assert again.card == found.card
    for name in ("equal", "natural", "random", "moved", "natural_alpha", "answers", "alignment"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert len(found.card.promoted) == 2
    assert all(found.card.promoted)
    with pytest.raises(RunError, match="make it with 'interp-steer pushes'"):
        read_pushes(tmp_path / "nothing.safetensors")


def test_alignment_is_the_lens_weighed_by_the_words(tiny_llama, random_vectors):
    logits = lens_logits(tiny_llama, random_vectors(tiny_llama))
    sides = Counter(), Counter()
    for pair in PAIRS:
        for side, response in zip(sides, (pair.positive, pair.negative), strict=True):
            ids, n_prompt = tiny_llama.chat.pair_ids(pair.prompt, response)
            side.update(ids[n_prompt:])
    seen = set(sides[0]) | set(sides[1])
    totals = [sum(side.values()) + len(seen) / 2 for side in sides]
    expected = [
        sum(
            ((sides[0][w] + 0.5) / totals[0] - (sides[1][w] + 0.5) / totals[1]) * float(row[w] / row.std())
            for w in seen
        )
        for row in logits
    ]
    found = lens_alignment(tiny_llama, logits, PAIRS)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    swapped = [Pair(prompt=one.prompt, positive=one.negative, negative=one.positive) for one in PAIRS]
    np.testing.assert_allclose(lens_alignment(tiny_llama, logits, swapped), -found, rtol=1e-9)


def test_a_direction_that_writes_the_positive_words_is_aligned(tiny_llama, plain_tiny_llama, random_vectors):
    """The unembedding row of a word, as direction, promotes that word above all others."""
    vectors = random_vectors(tiny_llama)
    words = [Pair(prompt="Say it.", positive="q", negative="z")]
    ids, n_prompt = tiny_llama.chat.pair_ids("Say it.", "q")
    row = plain_tiny_llama.lm_head.weight[ids[n_prompt]].detach().numpy()
    direction = np.stack([row / np.linalg.norm(row), -row / np.linalg.norm(row), *vectors.direction[2:]])
    found = lens_alignment(tiny_llama, lens_logits(tiny_llama, replace(vectors, direction=direction)), words)
    assert found[0] > 1
    assert found[1] == pytest.approx(-found[0], rel=1e-4)


def test_what_does_not_fit_is_refused(tiny_llama, tiny_qwen, random_vectors):
    vectors, spec = random_vectors(tiny_llama), PushSpec(layers=(1,))
    for changes, said in (
        ({"layers": ()}, "at least one layer"),
        ({"layers": (4,)}, "layer 4 does not exist"),
        ({"alpha": 0.0}, "alpha is 0.0; expected a fraction"),
        ({"least_alpha": 0.2}, "least_alpha is 0.2; expected a number above 0 and up to alpha, 0.1"),
        ({"n_random": -1}, "n_random is -1"),
        ({"n_tokens": 0}, "n_tokens is 0"),
    ):
        with pytest.raises(SteeringError, match=said):
            pushes(tiny_llama, vectors, PROMPTS, PAIRS, replace(spec, **changes))
    with pytest.raises(SteeringError, match="at least one prompt"):
        pushes(tiny_llama, vectors, (), PAIRS, spec)
    with pytest.raises(SteeringError, match="at least one pair"):
        pushes(tiny_llama, vectors, PROMPTS, [], spec)
    with pytest.raises(VectorError, match="belong to 'tiny-llama'"):
        pushes(tiny_qwen, vectors, PROMPTS, PAIRS, spec)


def test_a_run_is_pushed_once_and_layers_without_a_direction_are_left_out(run, tiny_llama, random_vectors):
    run.update_manifest(behavior_source="refusal", sweep={"scope": "all"})
    vectors = random_vectors(tiny_llama)
    vectors.direction[2] = 0
    spec = default_spec(run, vectors)
    assert (spec.layers, spec.scope) == ((0, 1, 3), "all")
    spec = replace(spec, layers=(1,), n_random=1, n_tokens=3)
    asked = []

    def load():
        asked.append(True)
        return tiny_llama

    found = run_pushes(run, load, spec)
    assert read_pushes(run.pushes_path).card == found.card
    assert run_pushes(run, load, spec).card == found.card
    assert len(asked) == 1
    run_pushes(run, load, replace(spec, alpha=0.2))
    assert len(asked) == 2


def test_the_neutral_prompts_are_no_test_prompts_of_a_behavior():
    held_out = {prompt.text for behavior in list_behaviors() for prompt in read_prompts(behavior, "test")}
    assert len(held_out) > 100
    assert not held_out & set(NEUTRAL_PROMPTS)
