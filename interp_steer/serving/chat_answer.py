"""Answers in the shape of the OpenAI API: a chat completion, whole or in chunks."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from interp_steer.serving.answer import Ending
from interp_steer.serving.catalog import Plan

FINISH_REASONS: dict[str, str] = {"eos": "stop", "stop": "stop", "length": "length", "loop": "length"}
"""A loop is a text that was cut off: of the API's reasons, ``length`` says that."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What every part of an answer bears.

    Attributes:
        model: Name the request gave.
        fingerprint: Of the model's weights.
        plan: What is done for the request; it is told back with every default filled in.
        n_prompt: Tokens of the prompt.
    """

    model: str
    fingerprint: str
    plan: Plan
    n_prompt: int
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, texts: Sequence[str], finishes: Sequence[Ending], n_tokens: int) -> dict[str, Any]:
        """Return a chat completion.

        Args:
            texts: One per choice.
            finishes: Why each ended.
            n_tokens: Generated tokens of all choices.
        """
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                **_finished(finish),
            }
            for i, (text, finish) in enumerate(zip(texts, finishes, strict=True))
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self._usage(n_tokens)}

    def chunk(self, index: int, delta: dict[str, Any], finish: Ending | None = None) -> dict[str, Any]:
        """Return a piece of one choice."""
        choice = {"index": index, "delta": delta, "logprobs": None, **_finished(finish)}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, n_tokens: int) -> dict[str, Any]:
        """Return the last chunk of a stream that was asked for its usage."""
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage(n_tokens)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "steering": [push.model_dump() for push in self.plan.pushes],
        }

    def _usage(self, n_tokens: int) -> dict[str, int]:
        return {
            "prompt_tokens": self.n_prompt,
            "completion_tokens": n_tokens,
            "total_tokens": self.n_prompt + n_tokens,
        }


def _finished(finish: Ending | None) -> dict[str, Any]:
    if finish is None:
        return {"finish_reason": None}
    return {"finish_reason": FINISH_REASONS.get(finish, "stop"), "finish": finish}
