"""How short a text is, in words."""

from interp_steer.errors import BehaviorError
from interp_steer.words import words


def concise(text: str, full: int = 12, zero: int = 60) -> float:
    """Score brevity: 1.0 up to ``full`` words, 0.0 from ``zero`` words on, linear in between.

    It knows nothing of content, and a completion cut off by the token limit is only as long as the limit: let
    ``zero`` stay below it. No text is as brief as an empty one, which is not an answer and not for this function.

    Raises:
        BehaviorError: If ``full`` is not below ``zero``, or negative.
    """
    if not 0 <= full < zero:
        raise BehaviorError(f"full is {full} and zero is {zero}: expected 0 <= full < zero, both in words")
    return min(1.0, max(0.0, (zero - len(words(text))) / (zero - full)))
