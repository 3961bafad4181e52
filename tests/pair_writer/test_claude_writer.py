"""Claude writes pairs: the real SDK against a service on this machine whose answers are known."""

import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from threading import Lock

import pytest
from claude_server import Fault, seeded
from opus import OBVIOUS, made_up

from interp_steer.claude.state import State
from interp_steer.errors import JudgeError
from interp_steer.pair_checks import check_behavior
from interp_steer.pair_writer.asking import ACCOUNT
from interp_steer.pair_writer.briefs import PER_TOPIC
from interp_steer.pair_writer.claude_writer import ROUNDS
from interp_steer.pair_writer.generate import ByClaude, generate
from interp_steer.pair_writer.outlook import outlook
from interp_steer.pairs import read_behavior, read_pairs

BY = ByClaude(batches=False)


@pytest.fixture
def write(tmp_path):
    """Function that writes the behavior `polite`."""

    def call(n=20, by=BY, **options):
        return generate("polite", by, n=n, out=tmp_path, description="Answers with marked politeness", **options)

    return call


def test_a_new_behavior_is_made_whole(opus, write, tmp_path, lines):
    written = write(n=60)
    folder = tmp_path / "polite"
    assert (written.pairs, written.accepted, written.stopped) == (60, 60, "")
    assert Path(written.folder) == folder
    assert len(read_pairs(folder)) == 60
    behavior = read_behavior(folder)
    assert behavior.description == "Answers with marked politeness."
    assert len(behavior.gate.high) == len(behavior.gate.gibberish) == 4
    assert "claude-opus-4-6" in behavior.notes
    assert behavior.scorer.name == "lexicon"
    assert written.held_out == {"dev": (12, 12), "test": (24, 24)}
    assert len({line["topic"] for line in lines(folder / "train.jsonl")}) == 24
    assert [issue for issue in check_behavior(folder) if issue.severity == "error"] == []
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "behavior.toml",
        "dev.jsonl",
        "replies.jsonl",
        "test.jsonl",
        "train.jsonl",
    ]
    assert max(opus.asked.values()) == 1
    key = os.environ["ANTHROPIC_API_KEY"].encode()
    assert not [path for path in folder.iterdir() if key in path.read_bytes()]


def test_everything_asked_says_that_requests_are_everyday_ones(opus, write):
    write(n=5)
    systems = [one["system"][0]["text"] for one in opus.requests]
    writing = [system for system, kind in zip(systems, opus.answer.asked, strict=False) if kind != "judge"]
    assert writing
    assert all("Requests are everyday ones" in system for system in systems if "You rate answers" not in system)


def spoiled(opus, ways):
    """Spoil the pairs of the first requests, each in its own way; returns the request of each way."""
    chosen, lock = {}, Lock()

    def spoil(kind, told, answer):
        if kind != "pairs":
            return answer
        with lock:
            if told["request"] not in chosen.values() and len(chosen) < len(ways):
                chosen[list(ways)[len(chosen)]] = told["request"]
            return next((ways[way](answer) for way, request in chosen.items() if request == told["request"]), answer)

    opus.answer.spoil = spoil
    return chosen


SIDES = ("positive", "negative")
WAYS = {
    "length_imbalance": lambda answer: {**answer, "negative": f"{answer['negative']} {' '.join(map(str, range(12)))}"},
    "too short": lambda answer: {**answer, "positive": "Thank you kindly."},
    "leak": lambda answer: {
        **answer,
        "positive": answer["positive"] + " I answer with great courtesy and thank the user for every single question.",
    },
    "markup": lambda answer: {**answer, "positive": "Positive: " + answer["positive"]},
    "unusable": lambda answer: {**answer, "positive": answer["negative"]},
    "empty": lambda answer: {**answer, "negative": " "},
    "no_shared_content": lambda answer: {
        **answer,
        "negative": "Perhaps somebody else may know a thing about it, since nobody here ever heard of such matters.",
    },
    "repetition": lambda answer: {**answer, "positive": "Thank you kindly and so on. " * 6, "negative": "So " * 30},
    "refusal": lambda _: {
        "positive": "Thank you, but I'm sorry, I can't help with that request.",
        "negative": "I can't help with that request, whatever you say about it.",
    },
    "off_behavior": lambda answer: {**answer, "negative": "Thank you: " + answer["negative"]},
    "positive is not": lambda answer: {**answer, "positive": answer["positive"].replace("Thank you", "As said")},
    "incoherent": lambda answer: {**answer, "positive": answer["positive"] + " Pure nonsense."},
    "refused": lambda _: Fault(kind="refusal"),
    "truncated": lambda _: Fault(kind="truncated"),
}
REASONS = {
    "too short": "length_imbalance",
    "empty": "unusable",
    "positive is not": "off_behavior",
    "refused": "no_answer",
    "truncated": "no_answer",
}


def test_every_kind_of_bad_pair_is_rejected_with_its_reason(opus, write, tmp_path, lines):
    chosen = spoiled(opus, WAYS)
    written = write(n=20)
    assert len(chosen) == len(WAYS)
    rejected = {line["prompt"]: line["reason"] for line in lines(tmp_path / "polite" / "rejected.jsonl")}
    assert rejected == {request: REASONS.get(way, way) for way, request in chosen.items()}
    assert written.rejected == Counter(rejected.values())
    assert (written.pairs, written.stopped) == (20, "")
    assert not {line["prompt"] for line in lines(tmp_path / "polite" / "train.jsonl")} & set(rejected)


def test_repeated_requests_and_responses_are_rejected(opus, write, tmp_path, lines):
    rules = opus.answer
    (first, second, *_) = rules.topics({}, "")["topics"]
    leaked, asked = rules.request(first, "dev", 0), rules.request(first, "train", 0)
    twins = {rules.request(topic, "train", 1) for topic in (first, second)}

    def spoil(kind, told, answer):
        if kind == "prompts" and told["topic"] == second:
            return {**answer, "train": [leaked.upper(), f"{asked[:-1]} now?", *answer["train"]]}
        if kind == "pairs" and told["request"] in twins:
            return rules.pairs({"request": "one for both"}, "")
        return answer

    rules.spoil = spoil
    write(n=80)
    rejected = {line["prompt"]: line["reason"] for line in lines(tmp_path / "polite" / "rejected.jsonl")}
    assert rejected == {
        leaked.upper(): "split_leakage",
        f"{asked[:-1]} now?": "duplicate_prompt",
        rules.request(second, "train", 1): "duplicate_response",  # the first of the twins was first
    }
    kinds = {issue.kind for issue in check_behavior(tmp_path / "polite")}
    assert not kinds & {"duplicate_prompt", "near_duplicate_prompt", "split_leakage", "duplicate_response"}


def test_what_was_answered_is_never_asked_again(opus, write, tmp_path):
    write(n=20)
    before = sum(opus.asked.values())
    again = write(n=20)
    assert sum(opus.asked.values()) == before
    assert again.pairs == 20
    more = write(n=30)
    assert (more.pairs, max(opus.asked.values())) == (30, 1)
    assert len(read_pairs(tmp_path / "polite")) == 30


@pytest.mark.parametrize("batches", [False, True])
def test_faults_on_the_way_cost_nothing_but_another_call(opus, write, tmp_path, batches):
    passing = [Fault(kind="status", status=status) for status in (429, 500, 529)]
    broken = [Fault(kind="reset"), Fault(kind="cut"), Fault(kind="expired"), Fault(kind="missing")]
    first, second = seeded(0, 0.2, passing, ("messages", "batch")), seeded(1, 0.1, broken, ("item",))
    lost = seeded(2, 0.1, broken[:2], ("messages",))
    opus.looks = 0
    opus.faults = lambda place, body, n: (
        None if OBVIOUS in str(body) else first(place, body, n) or second(place, body, n) or lost(place, body, n)
    )
    written = write(n=20, by=ByClaude(batches=batches))
    assert written.pairs == 20
    opus.faults = None
    written = write(n=20, by=ByClaude(batches=batches))
    assert (written.pairs, written.rejected) == (20, {})
    assert written.held_out == {"dev": (12, 12), "test": (24, 24)}
    assert len({pair.prompt for pair in read_pairs(tmp_path / "polite")}) == 20


def test_a_service_that_fails_leaves_what_was_accepted(opus, write, tmp_path, lines):
    judged = []

    def spoil(kind, _told, answer):
        judged.append(kind == "judge")
        return Fault(kind="status", status=401) if sum(judged) > 24 else answer

    opus.answer.spoil = spoil
    with pytest.raises(JudgeError):
        write(n=20)
    kept = lines(tmp_path / "polite" / "train.jsonl")
    assert 0 < len(kept) < 20
    opus.answer.spoil = lambda _kind, _told, answer: answer
    assert write(n=20).pairs == 20
    assert lines(tmp_path / "polite" / "train.jsonl")[: len(kept)] == kept


def test_a_behavior_that_cannot_be_written_ends_after_a_number_of_rounds(opus, write):
    changes = {"judge": {"behavior": 5}, "topics": {"topics": ["cooking", "travel"]}}
    opus.answer.spoil = lambda kind, told, answer: (
        answer if told.get("request") == OBVIOUS else {**answer, **changes.get(kind, {})}
    )
    written = write(n=2)
    assert written.pairs == 0
    assert f"{ROUNDS} rounds" in written.stopped
    assert set(written.rejected) == {"off_behavior"}
    asked = Counter(opus.answer.asked)
    assert (asked["topics"], asked["prompts"]) == (1, 2 * ROUNDS)
    assert sum(written.rejected.values()) == 2 * ROUNDS * PER_TOPIC["train"]


def test_an_existing_behavior_is_extended_and_nothing_of_it_changes(opus, tmp_path):
    opus.answer.obvious = read_behavior("concise").gate
    generate("concise", BY, n=70, out=tmp_path)
    builtin = Path(__file__).parents[2] / "pairs" / "concise"
    for name in ("behavior.toml", "dev.jsonl", "test.jsonl"):
        assert (tmp_path / "concise" / name).read_bytes() == (builtin / name).read_bytes()
    before, after = ((folder / "train.jsonl").read_bytes() for folder in (builtin, tmp_path / "concise"))
    assert after.startswith(before)
    assert after.count(b"\n") == 70


@pytest.mark.usefixtures("opus")
def test_a_last_line_that_was_left_open_is_kept(write, tmp_path):
    write(n=3)
    path = tmp_path / "polite" / "train.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    write(n=5)
    assert len(read_pairs(tmp_path / "polite")) == 5


def test_the_limit_of_cost_holds_over_calls(opus, write):
    with pytest.raises(JudgeError, match="stopped before the limit"):
        write(n=60, by=ByClaude(batches=False, max_cost=0.3))
    with pytest.raises(JudgeError, match="limit of"):
        write(n=60, by=ByClaude(batches=False, max_cost=0.01))
    written = write(n=60)
    assert written.pairs == 60
    assert written.dollars > 0
    assert max(opus.asked.values()) == 1


def test_without_a_key_nothing_is_left_behind(write, tmp_path, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(JudgeError, match="--writer self"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_judge_that_does_not_order_the_obvious_cases_confirms_nothing(opus, write, tmp_path):
    opus.answer.spoil = lambda kind, _told, answer: {**answer, "behavior": 7} if kind == "judge" else answer
    with pytest.raises(
        JudgeError, match=r"claude-haiku-4-5 does not order the obvious cases of 'polite'.*counted thanks"
    ):
        write(n=20)
    assert opus.answer.asked.count("judge") == 12
    assert not (tmp_path / "polite" / "train.jsonl").exists()
    with pytest.raises(JudgeError, match="does not order"):  # and it is not paid again to say so
        write(n=20)
    assert opus.answer.asked.count("judge") == 12


def test_the_obvious_cases_come_first_and_once(opus, write):
    write(n=5)
    write(n=10)
    judged = [one["messages"][0]["content"] for one in opus.requests if "You rate answers" in one["system"][0]["text"]]
    assert all(OBVIOUS in message for message in judged[:12])
    assert sum(OBVIOUS in message for message in judged) == 12


def test_what_was_refused_at_the_gate_is_asked_again(opus, write):
    refusing = [True]
    opus.answer.spoil = lambda kind, _told, answer: Fault(kind="refusal") if kind == "judge" and refusing[0] else answer
    with pytest.raises(JudgeError, match="could not be asked"):
        write(n=5)
    refusing.clear()
    refusing.append(False)
    assert write(n=5).pairs == 5


@pytest.mark.parametrize("refused", ["sheet", "topics"])
@pytest.mark.parametrize(("kind", "reason"), [("refusal", "refused"), ("truncated", "truncated")])
def test_a_sheet_and_topics_that_were_refused_are_asked_again(opus, write, refused, kind, reason):
    opus.answer.spoil = lambda asked, _told, answer: Fault(kind=kind) if asked == refused else answer
    with pytest.raises(JudgeError, match=rf"\({reason}\); run again"):
        write(n=5)
    opus.answer.spoil = lambda _asked, _told, answer: answer
    written = write(n=5)
    assert (written.pairs, written.no_answer) == (5, {})


def test_the_gate_of_a_trait_that_was_refused_is_asked_again(opus, tmp_path):
    trait = courteous(tmp_path)
    opus.answer.spoil = lambda asked, _told, answer: Fault(kind="refusal") if asked == "gate" else answer
    with pytest.raises(JudgeError, match=r"gave no obvious cases of 'courteous' \(refused\); run again"):
        generate("courteous", BY, n=5, out=tmp_path, trait=trait)
    opus.answer.spoil = lambda _asked, _told, answer: answer
    assert generate("courteous", BY, n=5, out=tmp_path).pairs == 5


def test_requests_that_were_refused_are_counted_and_asked_again_by_the_next_call(opus, write):
    (first, *_) = opus.answer.topics({}, "")["topics"]
    opus.answer.spoil = lambda asked, told, answer: (
        Fault(kind="refusal") if asked == "prompts" and told["topic"] == first else answer
    )
    written = write(n=140)  # more than one round of the other topics
    assert (written.pairs, written.no_answer) == (140, {"prompts: refused": 1})
    assert refused_requests(opus, first) == 1  # once a call, though there were rounds enough to ask for more
    opus.answer.spoil = lambda _asked, _told, answer: answer
    written = write(n=150)
    assert (written.pairs, written.no_answer) == (150, {})


def refused_requests(opus, topic):
    """How often requests were asked for on a topic."""
    asked = [one["messages"][0]["content"] for one in opus.requests]
    return sum(f"\n{topic}\n" in message and "Write requests on this topic" in message for message in asked)


def test_what_got_lost_is_told_beside_the_cost(opus, write):
    written = write(n=5)
    assert (written.lost_dollars, written.dollars > 0) == (0, True)
    opus.faults = lambda place, _body, n: Fault(kind="reset", served=True) if place == "messages" and n == 0 else None
    more = write(n=30)  # more than the first round has asked for
    assert more.pairs == 30
    assert more.lost_dollars > 0
    assert more.dollars > written.dollars
    opus.faults = None
    assert write(n=30).lost_dollars == pytest.approx(more.lost_dollars)  # of a later call too


def test_pairs_do_not_hang_on_which_answer_came_first(opus, tmp_path, lines):
    """The service answers in another order each time; the last place goes to the same pair."""
    opus.answer.spoil = unsteady_of_pairs
    kept, rules = [], opus.answer
    for number in range(3):
        opus.answer = lambda params, number=number: (
            time.sleep(random.Random(f"{number}{params}").random() / 20),  # noqa: S311 - a delay, no secret
            rules(params),
        )[1]
        generate("polite", BY, n=12, out=tmp_path / str(number), description="Answers with marked politeness")
        folder = tmp_path / str(number) / "polite"
        kept.append([lines(folder / name) for name in ("train.jsonl", "rejected.jsonl", "dev.jsonl")])
    assert kept[0] == kept[1] == kept[2]
    assert len(kept[0][1]) > 1


def unsteady_of_pairs(kind, told, answer):
    """Rate every fifth pair low."""
    other = kind == "judge" and told["request"] != OBVIOUS and told["request"].encode()[-3] % 5 == 0
    return {**answer, "behavior": 5} if other else answer


def test_the_writer_is_not_paid_if_the_judge_does_not_order_the_obvious_cases(opus, write, tmp_path):
    opus.answer.spoil = lambda kind, _told, answer: {**answer, "behavior": 5} if kind == "judge" else answer
    with pytest.raises(JudgeError, match="does not order the obvious cases"):
        write(n=5)
    assert Counter(opus.answer.asked) == {"sheet": 1, "judge": 12}
    assert State(tmp_path / "polite" / ACCOUNT).charges.keys() == {"claude-opus-4-6", "claude-haiku-4-5"}


def test_no_pair_of_a_behavior_that_is_there_is_paid_before_the_gate(opus, tmp_path):
    opus.answer.obvious = read_behavior("concise").gate
    opus.answer.spoil = lambda kind, _told, answer: {**answer, "behavior": 5} if kind == "judge" else answer
    with pytest.raises(JudgeError, match="does not order the obvious cases"):
        generate("concise", BY, n=70, out=tmp_path)
    assert set(opus.answer.asked) == {"judge"}


def courteous(folder):
    """Write a trait file."""
    trait = folder / "courteous.json"
    questions = [f"How do I {' '.join(made_up(f'question {i}', 5))}?" for i in range(40)]
    trait.write_text(json.dumps({"instruction": [{"pos": "Be polite.", "neg": "Be curt."}], "questions": questions}))
    return trait


@pytest.mark.usefixtures("opus")
def test_a_trait_gets_obvious_cases_before_its_pairs_are_confirmed(tmp_path):
    written = generate("courteous", BY, n=5, out=tmp_path, trait=courteous(tmp_path))
    assert written.pairs == 5
    behavior = read_behavior(tmp_path / "courteous")
    assert behavior.gate.high[0].startswith("Thank you kindly")
    assert "The gate was written by claude-opus-4-6" in behavior.notes


def test_held_out_pairs_that_were_rejected_are_kept_with_their_reason(opus, write, tmp_path, lines):
    def spoil(kind, told, answer):
        if kind == "pairs" and told["request"] in held_out():
            return {**answer, "positive": answer["positive"] + " Pure nonsense."}
        return answer

    def held_out():
        return [line["prompt"] for line in lines(tmp_path / "polite" / "dev.jsonl")[:3]]

    opus.answer.spoil = spoil
    written = write(n=5)
    assert written.held_out == {"dev": (9, 12), "test": (24, 24)}
    assert (written.rejected, written.unanswered) == ({}, {"incoherent": 3})
    rejected = lines(tmp_path / "polite" / "rejected.jsonl")
    assert [(line["prompt"], line["split"], line["reason"]) for line in rejected] == [
        (prompt, "dev", "incoherent") for prompt in held_out()
    ]
    assert all("nonsense" in line["positive"] and line["detail"] for line in rejected)
    assert write(n=5).unanswered == {"incoherent": 3}
    assert len(lines(tmp_path / "polite" / "rejected.jsonl")) == 3


@pytest.mark.usefixtures("opus")
def test_the_scorer_is_learned_again_as_pairs_grow(write, tmp_path):
    write(n=3)
    few = read_behavior(tmp_path / "polite")
    assert (few.scorer.name, "too few to learn" in few.notes) == ("none", True)
    write(n=20)
    twenty = read_behavior(tmp_path / "polite")
    assert twenty.scorer.name == "lexicon"
    assert "too few" not in twenty.notes
    write(n=60)
    sixty = read_behavior(tmp_path / "polite")
    assert sixty.scorer.options != twenty.scorer.options
    assert sixty.notes.count("offline scorer") == 1
    assert sixty.gate == twenty.gate  # Claude's own, not one made of a pair
    before = (tmp_path / "polite" / "behavior.toml").read_bytes()
    write(n=60)
    assert (tmp_path / "polite" / "behavior.toml").read_bytes() == before


@pytest.mark.usefixtures("opus")
def test_a_scorer_that_a_person_edited_is_not_learned_again(write, tmp_path):
    write(n=20)
    path = tmp_path / "polite" / "behavior.toml"
    learned = read_behavior(tmp_path / "polite").scorer.options["bias"]
    edited = path.read_text(encoding="utf-8").replace(f"bias = {learned}", "bias = -0.125")
    assert edited != path.read_text(encoding="utf-8")
    path.write_text(edited, encoding="utf-8")
    write(n=60)
    assert path.read_text(encoding="utf-8") == edited


@pytest.mark.usefixtures("opus")
def test_notes_that_a_person_wrote_survive_the_learning(write, tmp_path):
    write(n=5)
    path = tmp_path / "polite" / "behavior.toml"
    text = path.read_text(encoding="utf-8")
    assert "5 pairs are too few" in text
    path.write_text(text.replace("Politeness takes words.", "Politeness takes words. Mine."), encoding="utf-8")
    write(n=60)
    notes = read_behavior(tmp_path / "polite").notes
    assert "Mine." in notes
    assert "pairs are too few" not in notes  # what was learned of the twenty
    assert notes.count("offline scorer was learned") == 1


def test_the_outlook_knows_what_is_under_way(opus, write, tmp_path):
    batched = ByClaude(batches=True)
    write(n=3)
    before = outlook("polite", batched, n=60, out=tmp_path)
    opus.faults = lambda place, *_: Fault(kind="status", status=400) if place == "results" else None
    with pytest.raises(JudgeError, match="cannot be read"):
        write(n=60, by=batched)
    (batch,) = State(tmp_path / "polite" / ACCOUNT).batches
    found = outlook("polite", batched, n=60, out=tmp_path)
    step = found.steps[batch.purpose].questions if batch.purpose in found.steps else 0
    assert found.under_way == len(batch.items) > 0
    assert step == max(0, before.steps[batch.purpose].questions - found.under_way)
    assert found.dollars < before.dollars
    assert f"{found.under_way} questions in batches that are paid for" in str(found)
