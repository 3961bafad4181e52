"""How much of a text is written in one language, by lingua's n-gram models (offline)."""

import functools

from lingua import Language, LanguageDetector, LanguageDetectorBuilder

from interp_steer.errors import BehaviorError
from interp_steer.words import sentences

# Few languages on purpose: each candidate takes a share of the confidence of a short sentence, and memory (all of
# these together about 200 MB, loaded in a second or two when the first text of their script is scored).
_LANGUAGES = {
    "ar": Language.ARABIC,
    "de": Language.GERMAN,
    "en": Language.ENGLISH,
    "es": Language.SPANISH,
    "fr": Language.FRENCH,
    "it": Language.ITALIAN,
    "ja": Language.JAPANESE,
    "ko": Language.KOREAN,
    "nl": Language.DUTCH,
    "pt": Language.PORTUGUESE,
    "ru": Language.RUSSIAN,
    "zh": Language.CHINESE,
}


def language(text: str, language: str = "fr") -> float:
    """Score how much of a text is written in a language: its detector confidence, averaged over sentences.

    A sentence counts as much as it has letters, so that a text half in French scores about 0.5. One or two words
    are hardly evidence for any language and score low; a text without letters scores 0.0. Text in a language
    outside the list is given to its nearest relative in the list.

    Args:
        text: The completion.
        language: ISO 639-1 code, e.g. ``fr``.

    Raises:
        BehaviorError: If the language is not among those told apart; the message lists them.
    """
    if language not in _LANGUAGES:
        raise BehaviorError(f"unknown language {language!r}: expected one of {', '.join(_LANGUAGES)}")
    parts = sentences(text)
    sizes = [sum(map(str.isalpha, part)) for part in parts]
    if not parts:
        return 0.0
    confidences = [_detector().compute_language_confidence(part, _LANGUAGES[language]) for part in parts]
    total = sum(size * confidence for size, confidence in zip(sizes, confidences, strict=True))
    # lingua sums in no fixed order: the last digits differ from call to call.
    return min(1.0, round(total / sum(sizes), 6))


@functools.cache
def _detector() -> LanguageDetector:
    return LanguageDetectorBuilder.from_languages(*_LANGUAGES.values()).build()
