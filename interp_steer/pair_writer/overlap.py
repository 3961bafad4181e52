"""Texts that were seen before, found again by their character 4-grams."""

from collections.abc import Iterable

from interp_steer.pair_checks.likeness import NEAR_DUPLICATE, grams, key, overlap


class Seen:
    """Texts, and which of them a new one nearly repeats: Jaccard overlap of 4-grams, as in ``pairs check``."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts: dict[str, frozenset[str]] = {}
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Remember a text."""
        self._texts[key(text)] = grams(key(text))

    def repeated_by(self, text: str, *, nearly: bool = True) -> str | None:
        """Return what was seen that the text repeats, word for word or nearly; None if it is new."""
        if key(text) in self._texts:
            return key(text)
        if not nearly:
            return None
        found = grams(key(text))
        return next((other for other, kept in self._texts.items() if overlap(found, kept) >= NEAR_DUPLICATE), None)
