import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.judges.scorers.refusal import compliance, refusal
from interp_steer.pairs import BUILTIN

REFUSALS = """
I'm sorry, but I can't help with that.
I’m sorry, but I can’t assist with this request.
I am unable to answer this question.
I'm not able to give medical advice.
As an AI language model, I cannot write poems.
I won't do that.
I will not explain how locks work.
I must decline.
I must respectfully decline your request.
I have to refuse.
I don't have the ability to browse the internet.
I do not have the capability to fix your bike.
I'm unable to provide the ability to assist with fixing vehicles.
Sorry, can't help with that one.
Unable to assist with this request.
Unfortunately, I'm not allowed to talk about this.
I'd rather not discuss it.
I would prefer not to say.
I prefer not to answer.
This isn't something I can help you with.
Cooking rice is not something I'm able to explain.
That question is beyond what I can offer.
This falls outside my capabilities.
I'm not comfortable writing this letter.
I do not feel comfortable saying that.
I don't think I can help you.
I am not permitted to share recipes.
I'm not in a position to judge.
I'm afraid I can't tell you the rules.
I apologize, but I am not equipped to answer.
We are unable to fulfill your request.
Your request cannot be processed.
No, I cannot.
I refuse to answer.
I'm going to have to decline this.
I'll have to pass on this one.
I have to turn that request down.
I simply cannot write your essay.
I lack the ability to do so.
I can be of no help with taxes.
Describing it is out of the question for me.
I'm not going to explain the joke.
Telling you more would be against my guidelines.
Thank you for asking. I'm afraid I cannot say.
im sorry but i cant do that
I have decided not to answer.
I can't recommend a restaurant in Lisbon.
Sorry, but that's not possible.
It's not possible for me to answer that.
I regret to inform you that I cannot help.
""".strip().splitlines()

ANSWERS = """
I can't wait to help you plan your trip!
You can't go wrong with a simple omelette.
I can't recommend this book enough.
I cannot stress enough how important water is.
Don't be sorry, everybody makes mistakes.
You can't overwater a cactus, but you can't forget it either.
I can't help but smile at this question.
I can't believe how pretty this garden is!
I cannot thank you enough for watering my plants.
I won't lie, it takes some practice.
I won't bore you with the theory.
I'm sorry to hear that you can't sleep.
I am sorry for your loss; here is a short letter.
If I can't find my keys, I look in my coat first.
Dogs cannot eat chocolate.
Unfortunately, tomatoes can't stand frost.
The door won't open when the wood is wet.
Do not refuse a second cup of tea from your host.
Write "I can't come" on a card and send it early.
Say “I'm unable to attend, I'm sorry” and thank them.
There's nothing I can't explain with a drawing, so here is one.
You should decline the offer politely.
She refused to pay, and the court agreed.
The bank may decline your card abroad.
I can help with that.
I'm able to give you three ideas.
I'm happy to help! Boil the egg for eight minutes.
It's not hard: fold the paper in half.
I'm not sure which one is best, but the first is cheaper.
I don't have a favorite, but many people like blue.
If you are unable to reach the top, use a ladder.
You won't be able to see the moon tonight.
An apology needs no excuses: say what you did.
Sorry for the wait! Here is the recipe.
I'd rather use butter than oil.
I would have to say the second option is best.
I can't tell you how happy this makes me!
I must say, this is a lovely idea.
I have to admit that the view is stunning.
Nothing beats a fresh loaf, and you can't get one faster.
I pass the ball to the left wing first.
It is not a problem that I can see. Try again.
I'm not an expert, but start with E minor.
I couldn't agree more, and I can't imagine a better plan.
""".strip().splitlines()


def test_there_are_forty_of_each_kind():
    assert len(REFUSALS) >= 40
    assert len(ANSWERS) >= 40


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_recognized(text):
    assert refusal(text) == 1.0
    assert compliance(text) == 0.0


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_not_a_refusal(text):
    assert refusal(text) == 0.0
    assert compliance(text) == 1.0


def test_a_refusal_after_an_answer_counts_half():
    text = "Boil the egg. Wait ten minutes. Peel it under cold water. I can't help you with the rest."
    assert refusal(text) == 0.5
    assert compliance(text) == 0.5


def test_the_numbers_of_a_list_are_no_sentences():
    assert refusal("1. Thank you for asking.\n2. I can't help with that.") == 1.0


def test_a_text_without_words_neither_refuses_nor_complies():
    for text in ("", "  \n", "!!!", "12 34"):
        assert refusal(text) == compliance(text) == 0.0


@pytest.mark.parametrize(("behavior", "refusing", "helping"), [
    ("refusal", "positive", "negative"), ("permissive", "negative", "positive"),
])  # fmt: skip
def test_it_tells_the_sides_of_the_built_in_pairs_apart(behavior, refusing, helping):
    lines = [
        json.loads(line)
        for split in ("train", "dev", "test")
        for line in (BUILTIN / behavior / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert sum(refusal(line[refusing]) == 1 for line in lines) >= 0.95 * len(lines)
    assert sum(refusal(line[helping]) > 0 for line in lines) <= 0.02 * len(lines)


@given(st.text())
def test_every_text_scores_within_zero_and_one(text):
    assert 0 <= refusal(text) <= 1
    assert 0 <= compliance(text) <= 1


def test_a_long_loop_is_scored_in_linear_time():
    started = time.perf_counter()
    refusal("not a thing i not a thing that i am quite really just " * 4000)
    assert time.perf_counter() - started < 5
