"""Words and sentences of a text, for everything that counts or compares them.

Regular expressions, no tokenizer: a word is a run of letters and digits with its inner apostrophes and hyphens,
and every Chinese character or Japanese kana is a word of its own, because those scripts write no spaces.
"""

import re

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_PLAIN = rf"[^\W{_UNSPACED}]+"
_WORD = rf"[{_UNSPACED}]|{_PLAIN}(?:['-]{_PLAIN})*"
_WORDS = re.compile(_WORD)
_TOKENS = re.compile(rf"{_WORD}|[^\w\s]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’)])\s+|(?<=[。！？])|\n+")


def words(text: str) -> list[str]:
    """Return the words in order, case folded, with straight apostrophes."""
    return _WORDS.findall(_plain(text))


def tokens(text: str) -> list[str]:
    """Return the words and, each on its own, the punctuation marks and symbols."""
    return _TOKENS.findall(_plain(text))


def sentences(text: str) -> list[str]:
    """Return the sentences that hold a letter (the number of a list item is none); line breaks end one too."""
    return [part.strip() for part in _SENTENCE_END.split(text) if any(map(str.isalpha, part))]


def ngrams(items: list[str], n: int) -> list[tuple[str, ...]]:
    """Return every run of ``n`` neighbors, in order; none if there are fewer than ``n`` items."""
    return list(zip(*(items[start:] for start in range(n)), strict=False))


def _plain(text: str) -> str:
    return text.replace("’", "'").casefold()
