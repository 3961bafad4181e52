"""Models that think before they answer, and the tokens that leaves them for it.

What is thought is charged as output and counts against ``max_tokens``. Models differ in whether they think unless told
otherwise, and in how to tell them; so nothing is told, and a model gets room to think unless it is known not to.

Source:
    https://platform.claude.com/docs/en/build-with-claude/thinking
"""

import re

ROOM = 8_000
"""Tokens for what is thought, besides the answer. Only what is used is charged, but a limit of cost holds all of it."""

PATIENCE = 120.0
"""Seconds that one attempt at a request may take at least."""

SLOWEST = 30.0
"""Tokens a second that a model under load writes at least; its answer comes only when all of it is written."""

_WITHOUT = re.compile(r"claude-(?:haiku|sonnet|opus)-4-\d(?:-20\d{6})?")
"""Models that do not think unless they are asked to."""


def thinking_room(model: str) -> int:
    """Return the tokens that a model gets for thinking besides those of its answer."""
    return 0 if _WITHOUT.fullmatch(model) else ROOM


def patience_for(max_tokens: int) -> float:
    """Return the seconds that an answer of so many tokens may take."""
    return max(PATIENCE, max_tokens / SLOWEST)
