from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.behaviors import ScorerSpec
from interp_steer.errors import BehaviorError
from interp_steer.judges.gate import check_gate
from interp_steer.judges.scorers import SCORERS, score_behavior
from interp_steer.pairs import list_behaviors, read_behavior

OPTIONS = {
    "mentions": {"entity": ["bridge"], "field": ["fog", "gate"]},
    "vocabulary": {"words": ["fog", "bien sûr", "好"]},
    "lexicon": {"weights": {"fog": 2.5, "!": -1}},
}
SPECS = [ScorerSpec(name=name, options=OPTIONS.get(name, {})) for name in SCORERS]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@settings(deadline=None)  # the first text of a script loads language models
@given(text=st.text() | st.sampled_from(["I can't do fog!", "Bien sûr !", "你好。", "\x00", "’’", "!!!"]))
def test_every_text_has_one_score_within_zero_and_one(spec, text):
    score = score_behavior(spec, text)
    assert 0 <= score <= 1
    assert score_behavior(spec, text) == score


def test_an_unknown_scorer_is_refused_with_those_that_exist():
    with pytest.raises(BehaviorError, match=r"'length'.*refusal, compliance, language, concise, mentions, enthusiasm"):
        score_behavior(ScorerSpec(name="length"), "text")


@pytest.mark.parametrize(("name", "options", "message"), [
    ("concise", {"ful": 3}, "no option 'ful': its options are full, zero"),
    ("refusal", {"full": 3}, "no option 'full': it has none"),
    ("concise", {"full": "3"}, "cannot use the options"),
    ("concise", {"text": "3"}, "no option 'text'"),
    ("mentions", {"entity": [3]}, "cannot use the options|expected a list of texts"),
    ("vocabulary", {"words": 3}, "cannot use the options|expected a list of texts"),
    ("questions", {"words": ["what"]}, "no option 'words': it has none"),
])  # fmt: skip
def test_an_option_that_does_not_fit_is_refused(name, options, message):
    with pytest.raises(BehaviorError, match=message):
        score_behavior(ScorerSpec(name=name, options=options), "text")


@pytest.mark.parametrize("behavior", list_behaviors())
def test_the_offline_scorer_orders_the_gate_of_a_built_in_behavior(behavior):
    assert check_gate(read_behavior(behavior)) == []


def test_a_gate_that_is_out_of_order_or_level_is_reported():
    refusal = read_behavior("refusal")
    swapped = replace(refusal.gate, high=refusal.gate.low[:2], low=refusal.gate.high[:3])
    level = replace(refusal.gate, high=("I can't",), low=("I won't",))
    assert len(check_gate(replace(refusal, gate=swapped))) == 6
    assert check_gate(replace(refusal, gate=level)) == [
        """scorer 'refusal' gives 1.00 to the high answer "I can't", not more than 1.00 for the low answer "I won't\""""
    ]
