"""What the model is told when it writes each side of its pairs."""

from collections.abc import Sequence
from pathlib import Path

from interp_steer.behaviors import Behavior
from interp_steer.traits import read_trait

TRAIT_FILE = "trait.json"


def instructions_of(folder: Path, behavior: Behavior) -> Sequence[tuple[str, str]]:
    """Return pairs of system prompts that ask for the behavior and for its opposite.

    Those of ``trait.json`` in the behavior's folder, if there is one; else two pairs made of ``system_prompt``,
    ``positive`` and ``negative`` of its ``behavior.toml``.

    Raises:
        PairsError: If ``trait.json`` is damaged.
    """
    if (folder / TRAIT_FILE).exists():
        return read_trait(folder / TRAIT_FILE).instructions
    opposite = f"Answer the user's message. {_sentence(behavior.negative)}"
    return (
        (behavior.system_prompt, opposite),
        (f"Answer the user's message. {_sentence(behavior.positive)}", _sentence(behavior.negative)),
    )


def prompts_of(folder: Path) -> Sequence[str]:
    """Return the questions of ``trait.json`` in a behavior's folder; none if it has no such file.

    Raises:
        PairsError: If ``trait.json`` is damaged.
    """
    return read_trait(folder / TRAIT_FILE).questions if (folder / TRAIT_FILE).exists() else ()


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
