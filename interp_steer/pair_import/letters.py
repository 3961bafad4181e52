"""Answers that are letters of a multiple-choice prompt, and the texts they stand for."""

import re
from dataclasses import replace

from interp_steer.behaviors import Pair
from interp_steer.errors import PairsError

_LETTER = re.compile(r"\(?([A-Z])\)[.]?|([A-Z])[.]?")
_CHOICE = re.compile(r"^[ \t]*\(?([A-Z])\)[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"\n[ \t]*(?:choices|options)[ \t]*:[ \t]*$", re.IGNORECASE)


def is_letter(response: str) -> bool:
    """Return whether a response is nothing but the letter of a choice: ``(A)``, ``A)``, ``A``."""
    return _LETTER.fullmatch(response.strip()) is not None


def expanded(pair: Pair) -> Pair:
    """Return a pair whose letters are replaced by the texts of their choices, which leave the prompt.

    Raises:
        PairsError: If a response is no letter, or the prompt has no such choice, or nothing but choices.
    """
    choices = {match[1]: match[2] for match in _CHOICE.finditer(pair.prompt)}
    responses = []
    for response in (pair.positive, pair.negative):
        found = _LETTER.fullmatch(response.strip())
        if found is None:
            raise PairsError(f"{response[:40]!r} is no letter to expand; leave --letters out")
        letter = found[1] or found[2]
        if letter not in choices:
            raise PairsError(f"the prompt has no choice '({letter})' to expand; leave --letters out")
        responses.append(choices[letter])
    first = _CHOICE.search(pair.prompt)
    stem = pair.prompt[: first.start()].rstrip() if first else ""
    prompt = _HEADING.sub("", stem).strip()
    if not prompt:
        raise PairsError("nothing is left of the prompt without its choices; leave --letters out")
    if responses[0] == responses[1]:
        raise PairsError("both letters stand for the same text")
    return replace(pair, prompt=prompt, positive=responses[0], negative=responses[1])
