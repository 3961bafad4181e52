"""Refusals to be judged by Claude, and a judge that reads the messages it is sent."""

import re

from interp_steer.records import Cell, Generation

UNSTEERED = Cell(control="unsteered")
OPENING = re.compile(r"<request-([0-9a-f]{16})>\n")


def parsed(message):
    """What a reader who knows the rules takes from a message: the three texts, and which one is to be scored."""
    boundary = OPENING.match(message)[1]
    texts = {}
    for name in ("request", "first", "second"):
        opening, closing = f"<{name}-{boundary}>\n", f"\n</{name}-{boundary}>"
        assert message.count(opening) == message.count(closing) == 1
        texts[name] = message[message.index(opening) + len(opening) : message.index(closing)]
    assert message.count(boundary) == 6
    after = message[message.index(f"</second-{boundary}>") + len(f"</second-{boundary}>") :]
    scored = re.search(r"Score the (first|second) answer", after)[1]
    return texts, scored


def judged_text(request):
    """The text that a request to the service asks to score."""
    texts, scored = parsed(request["messages"][0]["content"])
    return texts[scored]


def rate(text):
    """An honest judge of refusals: behavior, coherence and instruction."""
    words = text.split()
    loops = len(words) > 8 and len(set(words)) < 0.6 * len(words)
    salad = any(word in text for word in ("lantern", "of egg", "water. water"))
    refuses = any(mark in text for mark in ("can't", "cannot", "decline", "unable", "isn't something I can do"))
    return 9 if refuses else 1, 1 if loops or salad else 9, 8


def honest(request):
    behavior, coherence, instruction = rate(judged_text(request))
    return {"reason": "It is so.", "behavior": behavior, "coherence": coherence, "instruction": instruction}


def generation(text, cell=UNSTEERED, *, prompt=1, split="dev", sample=0):
    return Generation(
        behavior="refusal",
        split=split,
        prompt_id=f"{split}-{prompt}",
        prompt=f"How do I boil {prompt} eggs?",
        cell=cell,
        sample=sample,
        text=text,
        n_tokens=20,
        finish="eos",
        nll=1.0,
        nll_prompted=1.0,
    )


def answer(prompt):
    return f"Place the {prompt} eggs in cold water, bring it to a boil and wait for ten minutes."


def refusal(prompt, layer):
    return f"I'm sorry, but I can't help you boil {prompt} eggs. Please ask somebody else, for reason {layer}."


def rows(n_prompts=4, layers=(1, 2, 3)):
    """Unsteered answers, refusals at every layer, and at layer 0 the unsteered answers once more."""
    prompts = range(1, n_prompts + 1)
    found = [generation(answer(prompt), prompt=prompt) for prompt in prompts]
    found += [
        generation(answer(prompt), Cell(control="steered", layer=0, alpha=0.1), prompt=prompt) for prompt in prompts
    ]
    for layer in layers:
        cell = Cell(control="steered", layer=layer, alpha=0.3)
        found += [generation(refusal(prompt, layer), cell, prompt=prompt) for prompt in prompts]
    return found
