from dataclasses import replace

import numpy as np
import pytest

from interp_steer.behaviors import Pair, ScorerSpec
from interp_steer.errors import BehaviorError, JudgeError, PairsError
from interp_steer.judges.gate import check_gate, require_scorer
from interp_steer.judges.lexicon import fit_lexicon
from interp_steer.judges.scorers import score_behavior
from interp_steer.judges.scorers.lexicon import lexicon
from interp_steer.pairs import list_behaviors, read_behavior, read_pairs

NOUNS = ("tea", "rain", "cats", "trains", "chess", "bread", "wool", "maps", "salt", "bees", "oaks", "jazz")


def planted(n=24, word="gladly", topic=True):
    """Pairs whose sides differ in one word; their topics differ from pair to pair."""
    nouns = [NOUNS[i % len(NOUNS)] if topic else "it" for i in range(n)]
    return [
        Pair(prompt=f"{noun} {i}?", positive=f"{word} I tell of {noun}", negative=f"now I tell of {noun}")
        for i, noun in enumerate(nouns)
    ]


def test_the_word_that_was_planted_carries_the_score_and_topics_cancel():
    found = fit_lexicon(planted())
    weights = found.spec.options["weights"]
    assert set(weights) == {"gladly", "now"}
    assert weights["gladly"] > 0 > weights["now"]
    assert found.accuracy.mean == 1.0
    assert found.auc == 1.0
    assert found.tells_apart
    high, low = (score_behavior(found.spec, text) for text in ("gladly, a word on ships", "now, a word on ships"))
    assert high > 0.5 > low


def test_swapping_the_sides_turns_the_score_round():
    pairs = read_pairs("refusal")
    swapped = [Pair(prompt=p.prompt, positive=p.negative, negative=p.positive) for p in pairs]
    first, second = fit_lexicon(pairs).spec, fit_lexicon(swapped).spec
    for pair in pairs[:10]:
        assert score_behavior(first, pair.positive) == pytest.approx(
            1 - score_behavior(second, pair.positive), abs=2e-3
        )


@pytest.mark.parametrize("behavior", list_behaviors())
def test_what_was_learned_from_training_pairs_orders_the_others_and_the_gate(behavior):
    spec = fit_lexicon(read_pairs(behavior)).spec
    held_out = [pair for split in ("dev", "test") for pair in read_pairs(behavior, split)]
    right = [score_behavior(spec, pair.positive) > score_behavior(spec, pair.negative) for pair in held_out]
    assert np.mean(right) > 0.9
    gate = read_behavior(behavior).gate
    assert np.mean([score_behavior(spec, text) for text in gate.high]) > np.mean(
        [score_behavior(spec, text) for text in gate.low]
    )


def test_exchangeable_sides_are_hardly_ever_told_apart():
    rng = np.random.default_rng(0)
    pairs = read_pairs("enthusiastic")
    told = 0
    for _ in range(20):
        flips = rng.integers(0, 2, len(pairs))
        mixed = [
            Pair(prompt=p.prompt, positive=p.negative, negative=p.positive) if flip else p
            for p, flip in zip(pairs, flips, strict=True)
        ]
        told += fit_lexicon(mixed).tells_apart
    assert told <= 2


def test_the_same_pairs_give_the_same_scorer():
    assert fit_lexicon(planted()) == fit_lexicon(planted())


@pytest.mark.parametrize("pairs", [
    [Pair(prompt=f"{i}?", positive="same words", negative="words same") for i in range(8)],
    [Pair(prompt=f"{i}?", positive="!" if i % 2 else "?", negative="...") for i in range(8)],
    [Pair(prompt=f"{i}?", positive="\x00", negative="\x01") for i in range(8)],
])  # fmt: skip
def test_pairs_without_a_telling_word(pairs):
    found = fit_lexicon(pairs)
    assert 0 <= found.auc <= 1
    assert 0 <= found.accuracy.mean <= 1


def test_too_few_pairs():
    with pytest.raises(PairsError, match="5 pairs are too few"):
        fit_lexicon(planted(5))


def test_the_score_by_hand():
    weights = {"yes": 2.0, "!": 1.0, "no": -3.0}
    assert lexicon("Yes!", weights) == pytest.approx(1 / (1 + np.exp(-3 / np.sqrt(2))))
    assert lexicon("yes yes YES!", weights) == lexicon("Yes!", weights)
    assert lexicon("no idea what", weights, bias=1.0) == pytest.approx(1 / (1 + np.exp(3 / np.sqrt(3) - 1)))
    assert lexicon("", weights) == 0.5
    assert lexicon("yes", {"yes": 1e6}) == 1.0


@pytest.mark.parametrize("weights", [None, {}, {"a": "b"}, {"a": float("nan")}, {"a": True}])
def test_a_lexicon_without_numbers_is_refused(weights):
    with pytest.raises(BehaviorError, match=r"\[scorer\.weights\]"):
        lexicon("text", weights)


def test_a_behavior_without_a_scorer_cannot_be_judged_offline():
    behavior = replace(read_behavior("refusal"), scorer=ScorerSpec(name="none"))
    assert check_gate(behavior) == []
    with pytest.raises(JudgeError, match="'refusal' has no offline scorer"):
        require_scorer(behavior)
    with pytest.raises(BehaviorError, match="no offline scorer"):
        score_behavior(behavior.scorer, "text")
    require_scorer(read_behavior("refusal"))
