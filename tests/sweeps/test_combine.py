"""Schedules at equal KL: several layers at once in plain Hugging Face, and what a report says of them."""

import copy
import math

import numpy as np
import pytest
import torch

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.findings import AnalysisResult
from interp_steer.records import from_json, to_json
from interp_steer.steering.intervention import Intervention
from interp_steer.sweeps.calibration import CalibrationSpec
from interp_steer.sweeps.combination import combination_result
from interp_steer.sweeps.combine import combine
from interp_steer.sweeps.replay import Replay
from interp_steer.sweeps.schedules import top
from interp_steer.sweeps.texts import Text
from interp_steer.terms import SCOPES

PROMPTS = ("Why?", "How do I boil an egg?")


def pairs(split, n=3):
    return [
        Pair(prompt=f"Do I boil {word} for {split}?", positive=f"I will not boil {word}.", negative=f"Boil it, {word}!")
        for word in ("eggs", "cake", "soup")[:n]
    ]


@pytest.mark.parametrize("scope", SCOPES)
def test_sets_of_interventions_read_as_in_plain_hugging_face(tiny_and_plain, random_vectors, scope):
    model, plain = tiny_and_plain
    vectors = random_vectors(model)
    last = model.card.n_layers - 1
    sets = [
        top([1, 0, last], 3).interventions(vectors, 0.8),
        (Intervention(layer=0, alpha=25.0, direction=vectors.at(0), operation="rotate"),),
        (Intervention(layer=last, alpha=0.5, direction=vectors.at(last)),),
    ]
    texts = [
        Text(prompt=tuple(model.chat.prompt_ids(prompt)), response=tuple(model.chat.tokenizer.encode(response)))
        for prompt, response in zip(PROMPTS, ("Because.", "In water, for long."), strict=True)
    ]

    def chosen(logits, places):
        targets = torch.tensor([token for text in texts for token in text.response])
        return logits.log_softmax(dim=1).gather(1, targets[places].unsqueeze(1)).squeeze(1)

    replay = Replay(model, texts, range(model.card.n_layers), scope, tokens_per_batch=60)
    found = replay.steered_by_sets(sets, chosen)
    for row, one in zip(found, sets, strict=True):
        expected = torch.cat([plain_likelihood(plain, text, one, scope) for text in texts])
        torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-2), "or this proves little"


def plain_likelihood(hf_model, text, interventions, scope):
    first = {"response": max(len(text.prompt) - 1, 1), "generated": len(text.prompt), "all": 1}[scope]

    def act(one):
        def hook(_module, _inputs, output):
            h, v = output[:, first:].double(), torch.tensor(one.direction, dtype=torch.float64)
            norm = h.norm(dim=-1, keepdim=True)
            if one.operation == "add":
                after = h + one.alpha * norm * v
            else:
                along = (h @ v).unsqueeze(-1)
                angle = torch.arccos(along / norm) - math.radians(one.alpha)
                beside = (h - along * v) / (h - along * v).norm(dim=-1, keepdim=True)
                after = norm * (angle.cos() * v + angle.sin() * beside)
            return torch.cat([output[:, :first], after.to(output.dtype)], dim=1)

        return hook

    handles = [hf_model.model.layers[one.layer].register_forward_hook(act(one)) for one in interventions]
    try:
        with torch.inference_mode():
            logits = hf_model(torch.tensor([[*text.prompt, *text.response]]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    ids = torch.tensor(text.response)
    return logits[len(text.prompt) - 1 : -1].log_softmax(dim=-1).gather(1, ids.unsqueeze(1)).squeeze(1)


@pytest.fixture(scope="module")
def found(tiny_llama, random_vectors):
    spec = CalibrationSpec(layers=(0, 1, 2, 3), target_kl=0.05, n_tokens=8)
    return combine(tiny_llama, random_vectors(tiny_llama), PROMPTS, pairs("dev"), pairs("test"), spec, width=1.0)


def test_every_schedule_reaches_the_same_kl_and_the_first_is_the_best_layer(found):
    assert [one.schedule.name for one in found.outcomes] == [
        f"layer {found.ranking[0]}",
        "top 3",
        f"Gaussian at {found.ranking[0]}, width 1",
        *(f"layer {found.ranking[0]}, {name}" for name in ("add_norm_preserving", "rotate", "project_at_least")),
    ]
    assert sorted(found.ranking) == [0, 1, 2, 3]
    assert list(found.dev_change) == sorted(found.dev_change, reverse=True)
    for one in (*found.outcomes, *found.random):
        assert one.kl == pytest.approx(0.05, rel=0.011), one.schedule.name
        assert one.change.shape == (3,)
        assert [effect.layer for effect in one.effects] == sorted(one.schedule.weights)
    for one in found.outcomes[3:5]:
        assert one.effects[0].norm_ratio == pytest.approx(1, abs=1e-3)
    assert len({float(one.change.mean()) for one in found.random}) == len(found.random)


def test_a_rotation_turns_by_the_angle_of_its_scale(found):
    rotated = found.outcomes[4]
    assert rotated.effects[0].angle == pytest.approx(math.degrees(math.atan(rotated.scale)), abs=0.1)


def test_the_report_gets_one_row_each_and_says_what_lies_apart(found):
    result = combination_result(found)
    assert from_json(AnalysisResult, to_json(result)) == result
    table, ranked = result.tables
    assert [row[0] for row in table.rows[:-1]] == [one.schedule.name for one in found.outcomes]
    assert table.rows[-1][0] == "5 random directions, mean"
    assert table.rows[0][-1] is None
    assert [row[0] for row in ranked.rows] == list(found.ranking)
    apart = copy.copy(found)
    change = found.outcomes[0].change
    object.__setattr__(apart, "outcomes", tuple(copy.copy(one) for one in found.outcomes))
    object.__setattr__(apart.outcomes[1], "change", change + np.array([1.0, 1.1, 1.2]))
    object.__setattr__(apart.outcomes[2], "change", change - np.array([1.0, 1.1, 1.2]))
    for one in apart.outcomes[3:]:
        object.__setattr__(one, "change", change)
    finding = combination_result(apart).finding
    assert "more with top 3 (+1.10); less with Gaussian" in finding
    assert "rotate" not in finding


def test_a_schedule_out_of_reach_has_no_change_but_a_reason(tiny_llama, random_vectors):
    spec = CalibrationSpec(layers=(0, 1), target_kl=1e6, n_tokens=4)
    with pytest.raises(SteeringError, match="no layer reaches a KL of 1e"):
        combine(tiny_llama, random_vectors(tiny_llama), PROMPTS, pairs("dev"), pairs("test"), spec)


@pytest.mark.parametrize(("dev", "test", "prompts"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_nothing_to_compare_on_is_refused(tiny_llama, random_vectors, dev, test, prompts):
    spec = CalibrationSpec(layers=(0, 1))
    with pytest.raises(SteeringError, match="at least one prompt, one dev pair and one test pair"):
        combine(
            tiny_llama,
            random_vectors(tiny_llama),
            PROMPTS[:prompts],
            pairs("dev", dev),
            pairs("test", test),
            spec,
        )
