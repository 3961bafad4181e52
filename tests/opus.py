"""A writer and a judge that answer by rule: what Claude is asked here, they answer in the same shape."""

import hashlib
import re

from interp_steer.pair_writer.briefs import N_TOPICS, PER_TOPIC

OBVIOUS = "How do I boil an egg?"
"""What the obvious cases of politeness answer."""
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


def made_up(seed, n):
    """Words that nobody else uses, the same for the same seed."""
    digits = hashlib.sha256(seed.encode()).hexdigest()
    numbers = [int(digits[i : i + 2], 16) for i in range(0, 64, 2)]
    return ["".join(SYLLABLES[numbers[(4 * i + j) % 32] % len(SYLLABLES)] for j in range(4)) for i in range(n)]


def texts(message):
    """What stands between the tags of a message, by name."""
    return {name: text for name, _, text in re.findall(r"<(\w+)-([0-9a-f]{16})>\n(.*?)\n</\1-\2>", message, re.S)}


class Opus:
    """Answers questions by their schema; `spoil` turns chosen answers into bad ones.

    Attributes:
        asked: Kinds of questions in the order in which they came.
        spoil: From kind, texts and answer to the answer that is given.
        obvious: The gate of a behavior other than politeness, which the judge here knows by heart.
    """

    def __init__(self):
        self.asked = []
        self.obvious = None
        self.spoil = lambda _kind, _told, answer: answer

    def __call__(self, params):
        message = params["messages"][0]["content"]
        wanted = set(params["output_config"]["format"]["schema"]["properties"])
        kind = next(kind for kind, keys in KINDS.items() if wanted == keys)
        told = texts(message)
        self.asked.append(kind)
        return self.spoil(kind, told, getattr(self, kind)(told, message))

    def sheet(self, told, _message):
        return {
            "description": f"{told['description']}.",
            "positive": "Marked politeness",
            "negative": "The same content without courtesy",
            "system_prompt": "Answer with great courtesy and thank the user for every single question they ask.",
            "length_is_the_behavior": False,
            "rubric": "0: none. 3: a little. 5: half. 8: much. 10: all of it is polite.",
            "gate_prompt": OBVIOUS,
            "gate_high": [f"Thank you kindly, dear friend {i}: boil it, please." for i in range(4)],
            "gate_low": [f"Boil it for {i} minutes." for i in range(4)],
            "gate_gibberish": [f"egg egg egg {i}" for i in range(4)],
            "confounds": "Politeness takes words.",
        }

    def gate(self, _told, _message):
        return {key: value for key, value in self.sheet({"description": ""}, "").items() if key.startswith("gate_")}

    def topics(self, _told, _message):
        return {"topics": [f"topic {' '.join(made_up(f'topic {i}', 1))}" for i in range(N_TOPICS)]}

    def prompts(self, told, _message):
        past = told.get("known", "").count("\n") + bool(told.get("known"))
        return {
            split: [self.request(told["topic"], split, past + i) for i in range(n)] for split, n in PER_TOPIC.items()
        }

    def request(self, topic, split, i):
        return f"How do I {' '.join(made_up(f'{topic} {split} {i}', 5))}?"

    def pairs(self, told, _message):
        content = " ".join(made_up(told["request"], 8))
        return {
            "positive": f"Thank you kindly: {content} is what I would gladly suggest to you.",
            "negative": f"As a rule: {content} is what most people would do at first.",
        }

    def judge(self, told, message):
        text = told[re.search(r"Score the (\w+) answer", message).group(1)]
        words = text.split()
        senseless = "nonsense" in text or 2 * len(set(words)) <= len(words)
        shown = "Thank you" in text
        if self.obvious is not None and told["request"] == self.obvious.prompt:
            senseless, shown = text in self.obvious.gibberish, text in self.obvious.high
        return {
            "reason": "counted thanks",
            "behavior": 9 if shown else 1,
            "coherence": 3 if senseless else 9,
            "instruction": 9,
        }


KINDS = {
    "topics": {"topics"},
    "prompts": {"train", "dev", "test"},
    "pairs": {"positive", "negative"},
    "judge": {"reason", "behavior", "coherence", "instruction"},
    "gate": set(Opus().gate({}, "")),
    "sheet": set(Opus().sheet({"description": ""}, "")),
}
