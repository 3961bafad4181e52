import json

import pytest

from interp_steer.errors import BehaviorError
from interp_steer.judges.scorers.language import language
from interp_steer.pairs import BUILTIN

FRENCH = "Faites bouillir l'eau, puis ajoutez les pâtes et remuez de temps en temps."
ENGLISH = "Bring some water to a boil, then add the noodles and stir them every few minutes."


def test_each_language_scores_as_itself():
    texts = {
        "fr": FRENCH,
        "en": ENGLISH,
        "de": "Bringen Sie das Wasser zum Kochen und geben Sie die Nudeln hinein.",
        "es": "Hierva el agua y luego añada la pasta, removiendo de vez en cuando.",
        "zh": "把水烧开，然后放入面条。",
        "ja": "お湯を沸かして、パスタを入れます。",
    }
    for written, text in texts.items():
        for asked in texts:
            score = language(text, asked)
            assert score > 0.7 if asked == written else score < 0.2, (written, asked)


def test_half_a_text_scores_about_half():
    assert language(f"{FRENCH} {ENGLISH}") == pytest.approx(0.5, abs=0.1)
    assert language(f"{ENGLISH}\n{FRENCH}") == pytest.approx(0.5, abs=0.1)


def test_a_text_scores_the_same_when_it_is_repeated():
    assert language(f"{FRENCH} {FRENCH}") == pytest.approx(language(FRENCH))


@pytest.mark.parametrize("text", ["", "  ", "12345", "!!! ...", "🙂"])
def test_a_text_without_letters_is_in_no_language(text):
    assert language(text) == 0.0


def test_a_single_word_is_weak_evidence():
    assert language("Paris") < 0.5
    assert language("Yes") < 0.5


def test_an_unknown_language_is_refused_with_those_that_exist():
    with pytest.raises(BehaviorError, match=r"unknown language 'tlh': expected one of ar, de, en"):
        language(FRENCH, "tlh")


def test_it_tells_the_sides_of_the_built_in_pairs_apart():
    lines = [json.loads(line) for line in (BUILTIN / "french" / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert min(language(line["positive"]) for line in lines) > 0.6
    assert max(language(line["negative"]) for line in lines) < 0.2
