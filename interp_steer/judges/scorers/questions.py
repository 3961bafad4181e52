"""How much of a text asks, by its question marks."""

import re

from interp_steer.words import sentences

# A quotation mark, bracket or emphasis may close behind the mark; "?!" asks as well.
_ASKS = re.compile(r"[?？][!?！？]*[\"'”’)\]*_]*$")


def questions(text: str) -> float:
    """Score the share of sentences that end with a question mark.

    It counts marks and not questions: "Tell me what you need." scores nothing, while a rhetorical question, a quoted
    one and "right?" at the end of a statement count. Each sentence counts alike, whatever its length, and a loop of one
    question scores 1.0. A text without sentences scores 0.0.
    """
    parts = sentences(text)
    if not parts:
        return 0.0
    return sum(_ASKS.search(part) is not None for part in parts) / len(parts)
