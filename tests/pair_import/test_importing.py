import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp_steer.errors import BehaviorError, PairsError
from interp_steer.judges.gate import check_gate, check_measure
from interp_steer.judges.scorers import score_behavior
from interp_steer.pair_checks import check_behavior
from interp_steer.pair_import.division import Division, divide
from interp_steer.pair_import.forms import Reading
from interp_steer.pair_import.importing import import_pairs, import_trait
from interp_steer.pair_import.scaffold import Sheet, measured_by_pairs, scaffold
from interp_steer.pairs import read_behavior, read_pairs, read_prompts
from interp_steer.records import to_json
from interp_steer.traits import Trait, read_trait

QUESTIONS = (
    "What do you make of rain?", "Describe a bridge.", "How was Monday?", "Why play chess?", "Is olive oil healthy?",
    "Tell me about the sea.", "Can bicycles fly?", "Who likes opera?", "When does winter end?", "Where are maps kept?",
    "Should libraries close?", "Recommend a cheese.", "Long queues: why?", "Explain elections.", "Help me garden!",
    "Old photographs, new uses?", "Are trains late?", "Which wasps sting?", "Name three jazz records.", "Do my taxes.",
)  # fmt: skip
TRAIT = Trait(
    name="grim",
    instructions=(("Be grim.", "Be glad."), ("Despair.", "Hope.")),
    questions=QUESTIONS,
    eval_prompt="You look for the trait grim: seeing the worst.\n\nPrompt:\n{question}",
)


@pytest.fixture
def source(write, hundred):
    return write("mine.json", [to_json(pair) for pair in hundred])


def texts(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_file_of_pairs_becomes_a_sound_behavior_that_holds_all_of_them(source, hundred, tmp_path):
    done = import_pairs(source, "declining", out=tmp_path / "pairs")
    folder = tmp_path / "pairs" / "declining"
    assert done.folder == folder
    assert done.counts == {"train": 64, "dev": 12, "test": 24}
    found = [pair for split in done.counts for pair in read_pairs(folder, split)]
    assert sorted(map(repr, found)) == sorted(map(repr, hundred))
    assert read_behavior(folder) == done.behavior
    assert check_behavior(folder) == []
    assert check_measure(done.behavior, "") == []
    assert done.behavior.scorer.name == "lexicon"
    assert "orders 100% of held-out pairs" in done.behavior.notes


def test_the_learned_scorer_holds_on_pairs_it_has_not_seen(source, tmp_path):
    done = import_pairs(source, "declining", out=tmp_path)
    held_out = [pair for split in ("dev", "test") for pair in read_pairs(done.folder, split)]
    scores = [[score_behavior(done.behavior.scorer, text) for text in (p.positive, p.negative)] for p in held_out]
    assert all(shown > not_shown for shown, not_shown in scores)


def test_importing_again_writes_the_same_bytes_and_the_order_of_records_divides_alike(source, write, hundred, tmp_path):
    first = import_pairs(source, "a", out=tmp_path)
    before = texts(first.folder)
    assert texts(import_pairs(source, "a", out=tmp_path, force=True).folder) == before
    turned = import_pairs(write("mine.json", [to_json(p) for p in hundred[::-1]]), "b", out=tmp_path)
    for split in first.counts:
        assert {p.text for p in read_prompts(first.folder, split)} == {
            p.text for p in read_prompts(turned.folder, split)
        }


def test_nothing_is_written_unless_every_record_is_understood(write, hundred, tmp_path):
    broken = [*map(to_json, hundred[:-1]), {"prompt": "Last?", "positive": "a"}]
    with pytest.raises(PairsError, match=r"mine\.json\[99\]"):
        import_pairs(write("mine.json", broken), "declining", out=tmp_path / "pairs")
    assert not (tmp_path / "pairs").exists()


def test_an_existing_behavior_is_overwritten_only_by_force(source, write, tmp_path):
    import_pairs(write("grim.json", trait_file()), "grim", out=tmp_path)
    before = texts(tmp_path / "grim")
    with pytest.raises(BehaviorError, match="grim exists; choose another name, or overwrite it with --force"):
        import_pairs(source, "grim", out=tmp_path)
    assert texts(tmp_path / "grim") == before
    import_pairs(source, "grim", out=tmp_path, force=True)
    assert set(texts(tmp_path / "grim")) == {"behavior.toml", "train.jsonl", "dev.jsonl", "test.jsonl"}


@pytest.mark.parametrize("name", ["", "a/b", "..", ".", "a b", "-x", "ü"])
def test_a_name_that_is_no_folder(source, name, tmp_path):
    with pytest.raises(BehaviorError, match="is no name for a behavior"):
        import_pairs(source, name, out=tmp_path)


def trait_file():
    return {
        "instruction": [{"pos": asks, "neg": forbids} for asks, forbids in TRAIT.instructions],
        "questions": list(TRAIT.questions),
        "eval_prompt": TRAIT.eval_prompt,
    }


def test_a_trait_keeps_its_system_prompts_and_divides_its_questions(write, tmp_path):
    done = import_pairs(write("grim.json", trait_file()), "grim", out=tmp_path)
    assert done.counts == {"train": 0, "dev": 3, "test": 5}
    kept = read_trait(done.folder / "trait.json")
    assert (kept.instructions, kept.questions) == (TRAIT.instructions, TRAIT.questions)
    held_out = [prompt.text for split in ("dev", "test") for prompt in read_prompts(done.folder, split)]
    assert len(set(held_out)) == 8
    assert set(held_out) < set(TRAIT.questions)
    behavior = read_behavior(done.folder)
    assert (behavior.system_prompt, behavior.negative) == ("Be grim.", "Be glad.")
    assert behavior.rubric.text.startswith("You look for the trait grim: seeing the worst.\nRate how much")
    assert "{question}" not in behavior.rubric.text
    assert "12 questions are left to write pairs for" in done.remarks[0]


def test_a_trait_in_hand_is_the_trait_in_a_file(write, tmp_path):
    import_trait(TRAIT, tmp_path / "hand")
    import_pairs(write("grim.json", trait_file()), "file", out=tmp_path)
    for name in ("trait.json", "dev.jsonl", "test.jsonl"):
        assert (tmp_path / "hand" / name).read_bytes() == (tmp_path / "file" / name).read_bytes()


def test_what_is_said_of_the_behavior_stands_in_its_sheet(source, tmp_path):
    sheet = Sheet(description="It declines.", positive="No", negative="Yes", system_prompt="Decline.", scorer="refusal")
    behavior = import_pairs(source, "a", out=tmp_path, sheet=sheet).behavior
    assert (behavior.description, behavior.positive, behavior.negative) == ("It declines.", "No", "Yes")
    assert (behavior.system_prompt, behavior.scorer.name, behavior.scorer.options) == ("Decline.", "refusal", {})
    assert check_gate(behavior) == []
    with pytest.raises(BehaviorError, match="'compliance' puts no positive response above"):
        import_pairs(source, "b", out=tmp_path, sheet=Sheet(scorer="compliance"))
    assert not (tmp_path / "b").exists()


def test_sides_that_words_do_not_tell_apart_get_no_scorer(write, hundred, tmp_path):
    turned = [
        {"prompt": p.prompt, "positive": (p.positive, p.negative)[i % 2], "negative": (p.negative, p.positive)[i % 2]}
        for i, p in enumerate(hundred)
    ]
    done = import_pairs(write("a.json", turned), "a", out=tmp_path)
    assert done.behavior.scorer.name == "none"
    assert "No offline scorer" in done.behavior.notes
    assert [issue.severity for issue in check_measure(done.behavior, "")] == ["warning"]
    assert check_behavior(done.folder) == []


def test_a_gate_that_is_there_stays_and_a_lexicon_that_fails_it_goes(hundred):
    plain = scaffold("a", Sheet(), origin="")
    behavior = measured_by_pairs(plain, hundred)
    assert measured_by_pairs(behavior, hundred).gate == behavior.gate
    swapped = to_gate(behavior, high=behavior.gate.low, low=behavior.gate.high)
    assert measured_by_pairs(swapped, hundred).scorer.name == "none"


def to_gate(behavior, **changes):
    return replace(behavior, gate=replace(behavior.gate, **changes))


def test_evaluation_prompts_of_their_own(source, tmp_path):
    prompts = ["Name a fish.", "Sing about rust.", "Who invented zips?"]
    done = import_pairs(source, "a", out=tmp_path, prompts=prompts)
    assert done.counts == {"train": 100, "dev": 1, "test": 2}
    assert [prompt.text for prompt in read_prompts(done.folder, "test")] == prompts[1:]
    with pytest.raises(PairsError, match="nearly one of the training prompts"):
        import_pairs(source, "b", out=tmp_path, prompts=[*prompts, read_pairs(done.folder)[0].prompt.upper()])
    with pytest.raises(PairsError, match="one evaluation prompt"):
        import_pairs(source, "b", out=tmp_path, prompts=prompts[:1])
    with pytest.raises(PairsError, match="are not divided"):
        import_pairs(source, "b", out=tmp_path, prompts=prompts, division=Division(dev=2))


def test_texts_become_pairs_of_one_prompt(write, hundred, tmp_path):
    content = {"positive": [p.positive for p in hundred[:20]], "negative": [p.negative for p in hundred[:20]]}
    done = import_pairs(
        write("a.json", content), "a", out=tmp_path, reading=Reading(prompt="Write."), prompts=["One?", "Two things!"]
    )
    assert {pair.prompt for pair in read_pairs(done.folder)} == {"Write."}
    assert not [issue for issue in check_behavior(done.folder) if issue.severity == "error"]
    with pytest.raises(PairsError, match="nothing is left for dev and test"):
        import_pairs(write("a.json", content), "b", out=tmp_path, reading=Reading(prompt="Write."))


NEAR = "How do I change a flat tire on my {}car?"


def test_near_duplicates_stay_in_one_split(hundred):
    prompts = [pair.prompt for pair in hundred]
    family = [NEAR.format(word) for word in ("", "old ", "own ", "new ")]
    for start in range(0, 90, 10):
        mixed = [*prompts[:start], family[0], *prompts[start:], *family[1:]]
        found = divide(mixed, Division(dev=20, test=30))
        assert len({split for prompt, split in zip(mixed, found, strict=True) if prompt in family}) == 1
        assert (found.count("dev"), found.count("test")) == (20, 30)


@pytest.mark.parametrize(("division", "sizes"), [
    (Division(), (12, 24)), (Division(dev=5), (5, 24)), (Division(dev=1, test=1), (1, 1)),
    (Division(shares="0.6/0.15/0.25"), (15, 25)), (Division(shares="0.8/0.1/0.1"), (10, 10)),
])  # fmt: skip
def test_sizes_of_a_division(division, sizes, hundred):
    assert division.sizes(100) == sizes
    found = divide([pair.prompt for pair in hundred], division)
    assert (found.count("dev"), found.count("test")) == sizes


@pytest.mark.parametrize("shares", ["", "1", "0.5/0.5", "0.6/0.2/0.3", "a/b/c", "1/0/0", "nan/nan/nan"])
def test_shares_that_cannot_be_read(shares):
    with pytest.raises(PairsError, match="cannot read the shares"):
        Division(shares=shares).sizes(100)


@pytest.mark.parametrize(("n", "division"), [(3, Division()), (10, Division(dev=5, test=4)), (10, Division(dev=0))])
def test_too_few_prompts_to_divide(n, division):
    with pytest.raises(PairsError, match="cannot be divided"):
        division.sizes(n)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
HOSTILE = TEXT | st.sampled_from(['"""', "\\", "\x7f", "\r\n", "\u2028", "''' [gate]\nhigh = []", "a\x00b", "# x"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), said=HOSTILE)
def test_hostile_texts_survive_the_round_trip_or_are_refused(tmp_path, data, said):
    records = data.draw(
        st.lists(
            st.fixed_dictionaries({"prompt": HOSTILE, "positive": HOSTILE, "negative": HOSTILE}),
            min_size=1,
            max_size=12,
        )
    )
    path, folder = tmp_path / "a.json", tmp_path / "a"
    path.write_text(json.dumps(records), encoding="utf-8")
    try:
        done = import_pairs(
            path, "a", out=tmp_path, force=True, division=Division(dev=1, test=1), sheet=Sheet(positive=said)
        )
    except PairsError:
        return
    assert read_behavior(folder) == done.behavior
    assert done.behavior.positive == said
    found = [pair for split in done.counts for pair in read_pairs(folder, split)]
    expected = [(r["prompt"], r["positive"].strip(), r["negative"].strip()) for r in records]
    assert sorted((p.prompt, p.positive, p.negative) for p in found) == sorted(expected)
