"""The model writes its own pairs: its measurements against plain Hugging Face, and a real model end to end."""

import dataclasses
import json
from collections import Counter

import pytest
import torch

from interp_steer.behavior_toml import behavior_toml
from interp_steer.behaviors import Gate, Pair, ScorerSpec
from interp_steer.judges.coherence import Ramp, Thresholds
from interp_steer.pair_checks import check_behavior
from interp_steer.pair_writer import sampled
from interp_steer.pair_writer.collection import Collection
from interp_steer.pair_writer.contrast import confirming
from interp_steer.pair_writer.filters import Fault
from interp_steer.pair_writer.sampled import Standard, finished, measured, sample
from interp_steer.pair_writer.self_writer import write_self
from interp_steer.pair_writer.sides import ROUNDS, SAMPLES, Side, best_pair
from interp_steer.pairs import read_behavior, read_pairs
from interp_steer.steering.rows import DecodeSettings

ASK = "Speak like a poet: lyrical words, rich images, metaphors, rhythm."
FORBID = "Speak plainly: short factual sentences without images or feeling."
INSTRUCTIONS = (
    (ASK, FORBID),
    ("You are a poet. Make every sentence sing.", "You are a technical writer. Be literal and dry."),
    ("Answer in beautiful, flowing, metaphorical verse.", "Answer in plain, literal, matter-of-fact prose."),
)
LENIENT = Thresholds(
    rep4=Ramp(full=0.1, threshold=0.3),
    distinct2=Ramp(full=0.8, threshold=0.5),
    nll=Ramp(full=100, threshold=200),
    reference="plain",
    n=1,
)
STANDARD = Standard(instructions=INSTRUCTIONS, scorer=None, thresholds=LENIENT)
QUESTIONS = ("What is rain?", "What do you think of the sea at night?", "How does a garden look in spring?")


def side(text="", *, prompt=QUESTIONS[0], name="positive", instruction=0, number=0, **known):
    return Side(basis="b", prompt=prompt, side=name, instruction=instruction, sample=number, text=text, **known)


@pytest.mark.parametrize(("text", "finish", "kept"), [
    ("It is water. It falls fr", "length", "It is water."),
    ("It is water. It falls fr", "eos", "It is water. It falls fr"),
    ("It is wa", "length", ""),
    ("He said \"Rain!\" and then we", "length", 'He said "Rain!"'),
    ("Steps. 1. Cut the 2. fr", "length", "Steps."),
    ("It costs 3.50 or", "length", ""),
    ("下雨了。很", "length", "下雨了。"),
])  # fmt: skip
def test_a_text_that_was_cut_off_ends_with_its_last_sentence(text, finish, kept):
    assert finished(text, finish) == kept


def log_likelihood(plain, chat, prompt, text, system):
    """Mean log-likelihood per token of a response, by the plain model alone."""
    ids, n_prompt = chat.pair_ids(prompt, text, system)
    with torch.inference_mode():
        logits = plain(torch.tensor([ids])).logits[0].double()
    chosen = logits.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    return float(chosen[n_prompt - 1 :].mean())


def test_the_contrast_is_that_of_the_plain_model_over_the_other_instructions(tiny_and_plain):
    model, plain = tiny_and_plain
    said = ["Rain is water that falls down.", "Soft silver threads of the sky."]
    wanted = [side(said[0], instruction=1), side(said[1], name="negative", number=3), side(said[0], name="plain")]
    for one, found in zip(wanted, measured(model, wanted, STANDARD), strict=True):
        reference = log_likelihood(plain, model.chat, one.prompt, one.text, None)
        assert found.nll == pytest.approx(-reference, abs=1e-4)
        if one.side == "plain":
            assert (found.contrast, found.reason) == (None, None)
            continue
        contexts = [INSTRUCTIONS[i] for i in confirming(one.instruction, 3)]
        gaps = [
            log_likelihood(plain, model.chat, one.prompt, one.text, ask)
            - log_likelihood(plain, model.chat, one.prompt, one.text, forbid)
            for ask, forbid in contexts
        ]
        assert found.contrast == pytest.approx(sum(gaps) / 2, abs=1e-4)


def test_unfit_texts_are_told_apart(tiny_llama):
    rule = dataclasses.replace(STANDARD, scorer=ScorerSpec(name="enthusiasm"))
    strict = dataclasses.replace(LENIENT, nll=Ramp(full=0.1, threshold=0.2))
    texts = {
        "": "unfinished",
        "rain " * 9: "repetition",
        "It speaks plainly: short factual sentences without images": "leak",
    }
    for text, reason in texts.items():
        assert measured(tiny_llama, [side(text, name="negative")], STANDARD)[0].reason == reason
    assert measured(tiny_llama, [side("Rain is water.")], rule)[0].reason == "off_behavior"
    assert measured(tiny_llama, [side("Rain! I love rain!", name="negative")], rule)[0].reason == "off_behavior"
    broken = dataclasses.replace(STANDARD, thresholds=strict)
    assert measured(tiny_llama, [side("Rain is water.")], broken)[0].reason == "incoherent"


def test_a_sample_depends_on_itself_and_the_seed(tiny_llama, monkeypatch):
    monkeypatch.setattr(sampled, "SAMPLING", DecodeSettings(max_new_tokens=12, temperature=1.0))
    monkeypatch.setattr(sampled, "finished", lambda text, _: text)
    wanted = [
        side(prompt=prompt, name=name, number=number)
        for prompt in QUESTIONS
        for name in ("positive", "negative")
        for number in range(2)
    ]

    def written(some, seed=0):
        return {one.key: one.text for batch in sample(tiny_llama, some, STANDARD, seed=seed) for one in batch}

    together = written(wanted)
    assert len(set(together.values())) == len(wanted)
    assert written(wanted[5:7]) == {one.key: together[one.key] for one in wanted[5:7]}
    assert written(wanted, seed=1) != together


def test_the_widest_contrast_that_passes_is_chosen():
    sides = [
        side("weak", number=0, contrast=0.1),
        side("strong", number=1, contrast=0.4),
        side("unfit", number=2, contrast=0.9, reason="repetition"),
        side("far", name="negative", number=0, contrast=-0.5),
        side("near", name="negative", number=1, contrast=-0.1),
    ]
    pair, fault = best_pair("p", sides, lambda _: None)
    assert (pair.positive, pair.negative, fault) == ("strong", "far", None)
    pair, fault = best_pair("p", sides, lambda pair: Fault(reason="refusal") if pair.negative == "far" else None)
    assert (pair.positive, pair.negative, fault) == ("strong", "near", None)
    pair, fault = best_pair("p", sides, lambda _: Fault(reason="refusal"))
    assert (pair.positive, pair.negative, fault.reason) == ("strong", "far", "refusal")
    pair, fault = best_pair("p", [*sides[2:3], *sides[3:]], lambda _: None)
    assert (pair.positive, fault.reason) == ("unfit", "repetition")


@pytest.fixture
def poetic(tmp_path):
    """A behavior without pairs and without a scorer."""
    folder = tmp_path / "poetic"
    folder.mkdir()
    behavior = dataclasses.replace(
        read_behavior("enthusiastic"),
        name="poetic",
        scorer=ScorerSpec(name="none"),
        gate=Gate(prompt="", high=(), low=(), gibberish=()),
        system_prompt=ASK,
    )
    (folder / "behavior.toml").write_text(behavior_toml(behavior), encoding="utf-8")
    (folder / "dev.jsonl").write_text(json.dumps({"prompt": "What is the wind?"}) + "\n")
    (folder / "test.jsonl").write_text(json.dumps({"prompt": "What is snow?", "positive": "a", "negative": "b"}) + "\n")
    return folder


def test_a_real_model_writes_pairs_and_goes_on_where_it_was(smollm2, poetic, monkeypatch, lines):
    monkeypatch.setattr(sampled, "SAMPLING", DecodeSettings(max_new_tokens=40, temperature=0.8, top_p=0.95))
    prompts = (*QUESTIONS, "What is the wind?", "What is rain")  # held out, and asked before
    first = write_self(smollm2, Collection(poetic), INSTRUCTIONS, prompts, n=2)
    assert first.pairs == first.accepted == 2
    assert first.stopped == ""
    assert first.recognized > 0.6
    assert first.sides["fit"] >= 4
    pairs = read_pairs(poetic)
    assert {pair.prompt for pair in pairs} < set(QUESTIONS)
    by_text = {one["text"]: one for one in lines(poetic / "sides.jsonl")}
    for pair in pairs:
        assert by_text[pair.positive]["contrast"] > 0.02 > -0.02 > by_text[pair.negative]["contrast"]
        assert (by_text[pair.positive]["side"], by_text[pair.negative]["side"]) == ("positive", "negative")
    kinds = {issue.kind for issue in check_behavior(poetic) if issue.where.startswith(str(poetic / "train.jsonl:"))}
    assert kinds == set()
    before = (poetic / "train.jsonl").read_bytes(), (poetic / "sides.jsonl").read_bytes()
    monkeypatch.setattr(sampled, "stream", None)  # nothing is sampled again
    again = write_self(smollm2, Collection(poetic), INSTRUCTIONS, prompts, n=2)
    assert (again.pairs, again.accepted) == (2, 2)
    assert before == ((poetic / "train.jsonl").read_bytes(), (poetic / "sides.jsonl").read_bytes())


def test_a_model_that_hears_no_instruction_writes_nothing(tiny_llama, poetic, lines):
    prompts = QUESTIONS[:3]  # one plain answer of a random model in a few makes sense enough to calibrate by
    written = write_self(tiny_llama, Collection(poetic), INSTRUCTIONS, prompts, n=1)
    assert written.pairs == 0
    assert "3 prompts had 4 rounds" in written.stopped
    assert sum(written.rejected.values()) == 3
    assert not (poetic / "train.jsonl").exists()
    rejected = lines(poetic / "rejected.jsonl")
    assert sorted(line["prompt"] for line in rejected) == sorted((*prompts, "What is the wind?"))  # that one of dev
    for line in rejected:
        assert (line["reason"], line["detail"]) == what_is_wrong(line, lines(poetic / "sides.jsonl"), poetic)


def what_is_wrong(line, sides, folder):
    """Why a prompt has no pair, from its samples: a side has no fit one, or the widest pair of fit ones has a fault."""
    mine = sorted((one for one in sides if one["prompt"] == line["prompt"]), key=lambda one: one["sample"])
    assert Counter(one["side"] for one in mine if one["side"] != "plain") == {
        "positive": ROUNDS * SAMPLES,
        "negative": ROUNDS * SAMPLES,
    }
    for name in ("positive", "negative"):
        reasons = Counter(one["reason"] for one in mine if one["side"] == name)
        if None not in reasons:
            told = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
            return reasons.most_common(1)[0][0], f"no fit {name} side: {told}"
    fit = {one["text"] for one in mine if one["reason"] is None}
    assert {line["positive"], line["negative"]} <= fit
    fault = Collection(folder).fault(Pair(prompt=line["prompt"], positive=line["positive"], negative=line["negative"]))
    return fault.reason, fault.detail


def test_held_out_prompts_that_have_responses_keep_them(poetic):
    collection = Collection(poetic)
    before = (poetic / "test.jsonl").read_text()
    pairs = [Pair(prompt=prompt, positive="new", negative="old") for prompt in ("What is snow?", "What is the wind?")]
    collection.answer("test", pairs)
    collection.answer("dev", pairs)
    assert (poetic / "test.jsonl").read_text() == before
    assert read_pairs(poetic, "dev") == [pairs[1]]
    assert collection.held_out() == {"dev": (1, 1), "test": (1, 1)}
