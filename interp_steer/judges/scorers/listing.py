"""How much of a text is laid out as a list, numbered or bulleted."""

import re

# A number of more than two digits is a year or an amount that happens to begin a line.
_ITEM = re.compile(r"\s*(?:[-*+•‣◦–—]|\**\(?(?:\d{1,2}|[a-zA-Z])[.)]\**)\s+\S*\w")
_FEWEST = 2  # items; a single one is a dash or an initial, not a list


def listing(text: str) -> float:
    """Score layout: the share of lines that are items of a list; 0.0 if there are fewer than two items.

    An item begins with a bullet (``-``, ``*``, ``+``, ``•`` and the like) or with a number or letter and a period or
    parenthesis, and says something. Blank lines are passed over. Items run together on one line are prose to it, and
    what they say is for others to judge.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    n_items = sum(_ITEM.match(line) is not None for line in lines)
    return n_items / len(lines) if n_items >= _FEWEST else 0.0
