"""What the model is told when it writes each side of its pairs."""

from collections.abc import Sequence
from pathlib import Path

from interp_steer.behaviors import Behavior
from interp_steer.pair_checks.check import content_words
from interp_steer.pair_writer.contrast import confirming
from interp_steer.traits import read_trait
from interp_steer.words import words

TRAIT_FILE = "trait.json"
PLAIN = "You are a helpful assistant."


def instructions_of(folder: Path, behavior: Behavior) -> Sequence[tuple[str, str]]:
    """Return pairs of system prompts that ask for the behavior and for its opposite.

    Those of ``trait.json`` in the behavior's folder, if there is one; else two pairs made of its ``behavior.toml``,
    each of other texts than the one that confirms it: ``system_prompt`` against a plain assistant, ``positive``
    against ``negative``.

    Raises:
        PairsError: If ``trait.json`` is damaged.
    """
    if (folder / TRAIT_FILE).exists():
        return read_trait(folder / TRAIT_FILE).instructions
    asks, forbids = (f"Answer the user's message. {_sentence(side)}" for side in (behavior.positive, behavior.negative))
    return ((behavior.system_prompt, PLAIN), (asks, forbids))


def echoed(instructions: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the words that vouch for themselves: a side that repeats them is likelier under what confirms it, too.

    They stand in an instruction and in all that confirm it, and not in the opposites of these. Instructions made of one
    sentence share all of it; a trait file words each differently.
    """
    found: set[str] = set()
    for own, pair in enumerate(instructions):
        others = [instructions[other] for other in confirming(own, len(instructions))]
        for side in (0, 1):
            shared = content_words(pair[side]).intersection(*(content_words(other[side]) for other in others))
            shared.difference_update(*(content_words(other[1 - side]) for other in others))
            found.update(word for word in words(pair[side]) if content_words(word) & shared)
    return tuple(sorted(found))


def prompts_of(folder: Path) -> Sequence[str]:
    """Return the questions of ``trait.json`` in a behavior's folder; none if it has no such file.

    Raises:
        PairsError: If ``trait.json`` is damaged.
    """
    return read_trait(folder / TRAIT_FILE).questions if (folder / TRAIT_FILE).exists() else ()


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
