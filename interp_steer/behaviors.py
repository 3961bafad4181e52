"""What a behavior is: its pairs, its prompts, and how it is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict

from interp_steer.terms import Split


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One prompt, a response that shows the behavior and one that does not."""

    prompt: str
    positive: str
    negative: str
    topic: str = ""


@dataclass(frozen=True, kw_only=True)
class EvaluationPrompt:
    """A prompt that a steered model is asked to answer; ``id`` is ``<split>-<n>``, from 1."""

    id: str
    split: Split
    text: str


@dataclass(frozen=True, kw_only=True)
class ScorerSpec:
    """Which offline scorer measures a behavior, and with which options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """What the scores of a language-model judge mean, 0 to 10."""

    version: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Obvious answers to one prompt that every judge must order."""

    prompt: str
    high: tuple[str, ...]
    low: tuple[str, ...]
    gibberish: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """Context under which fluency is measured.

    ``plain`` is the prompt alone. ``prompted`` adds the system prompt that asks for the behavior, for
    behaviors that the plain context makes unlikely however fluent they are (another language).
    """

    reference: Literal["plain", "prompted"] = "plain"


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Findings of ``pairs check`` that are there by design."""

    allow: tuple[Literal["length_imbalance", "no_shared_content"], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Behavior:
    """What the pairs of a behavior contrast, and how it is measured.

    Attributes:
        name: Name of the folder that holds it.
        description: One sentence: what the positive side does.
        positive: What a positive response shows.
        negative: What a negative response shows.
        system_prompt: Asks for the behavior in words (the prompted baseline).
        scorer: Offline scorer of the behavior.
        rubric: What a language-model judge is told.
        gate: Obvious cases every judge must order.
        coherence: How fluency is measured.
        checks: Findings of the pair check that are there by design.
        notes: How the pairs were made; known confounds.
    """

    name: str
    description: str
    positive: str
    negative: str
    system_prompt: str
    scorer: ScorerSpec
    rubric: Rubric
    gate: Gate
    coherence: Coherence = Coherence()
    checks: Checks = Checks()
    notes: str = ""

    __pydantic_config__ = ConfigDict(extra="forbid")
