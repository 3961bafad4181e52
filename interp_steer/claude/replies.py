"""From what the service sent to a reply: a valid answer, or the reason why there is none."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from interp_steer.claude.questions import Question, Reply, Usage

STOPPED = {"refusal": "refused", "max_tokens": "truncated", "model_context_window_exceeded": "truncated"}
"""Reason for each way to stop that leaves no answer."""


def reply_of(question: Question, message: Any) -> Reply:
    """Read a message of the service as the reply to a question.

    Args:
        question: What was asked.
        message: The message as JSON; one that is not even that is unparsable.

    Returns:
        A reply whose answer satisfies the question's schema, or one without an answer that says why.
    """
    if not isinstance(message, Mapping):
        return Reply(key=question.key, answer=None, reason="unparsable")
    answer, reason = None, STOPPED.get(str(message.get("stop_reason")))
    if reason is None:
        answer = _answer(message.get("content"), question.schema)
        reason = "unparsable" if answer is None else None
    return Reply(key=question.key, answer=answer, reason=reason, usage=usage_of(message))


def _answer(content: Any, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    blocks = content if isinstance(content, list) else []
    texts = [str(block.get("text")) for block in blocks if isinstance(block, Mapping) and block.get("type") == "text"]
    try:
        answer = json.loads("".join(texts), parse_constant=_refuse)
    except ValueError:
        return None
    valid = isinstance(answer, dict) and _validator(json.dumps(schema, sort_keys=True)).is_valid(answer)
    return answer if valid else None


def _refuse(constant: str) -> None:
    # Python reads NaN and Infinity, and no bound of a schema catches NaN.
    raise ValueError(constant)


@functools.lru_cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def usage_of(message: Any) -> Usage:
    """Return what a message says that it took; nothing, where it does not say."""
    usage = message.get("usage") if isinstance(message, Mapping) else None
    if not isinstance(usage, Mapping):
        return Usage()
    return Usage(
        input_tokens=_tokens(usage, "input_tokens"),
        output_tokens=_tokens(usage, "output_tokens"),
        cache_write_tokens=_tokens(usage, "cache_creation_input_tokens"),
        cache_read_tokens=_tokens(usage, "cache_read_input_tokens"),
    )


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    number = usage.get(name)
    return number if isinstance(number, int) else 0
