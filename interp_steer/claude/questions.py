"""What Claude is asked, and what comes back: exactly one reply per question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question to Claude with the shape of its answer.

    Attributes:
        key: Identity of the question among those asked together; its reply bears it.
        system: What all questions of a kind share (a rubric); it is cached by the service.
        prompt: What is asked; text to be judged is data within it.
        schema: JSON schema that the answer must satisfy.
        max_tokens: Most tokens the answer may have.
    """

    key: str
    system: str
    prompt: str
    schema: Mapping[str, Any]
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens as the service counts them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What became of one question.

    Attributes:
        key: Key of the question.
        answer: The answer, valid by the question's schema; None where there is none.
        reason: Why there is no answer: ``refused``, ``truncated``, ``unparsable``, ``overloaded``, ``timeout``, ...
        usage: What it took, also where there is no answer.
    """

    key: str
    answer: Mapping[str, Any] | None
    reason: str | None = None
    usage: Usage = Usage()
