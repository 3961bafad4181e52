"""How much of a text uses one of a list of telltale words, e.g. those of a pirate or a butler."""

from collections.abc import Sequence

from interp_steer.errors import BehaviorError
from interp_steer.words import ngrams, sentences
from interp_steer.words import words as words_of


def vocabulary(text: str, words: Sequence[object] = ()) -> float:
    """Score the share of sentences that use at least one of the listed words.

    A sentence counts once however many of them it holds, so a loop inside one sentence gains nothing; a loop of
    sentences scores 1.0. Nothing is known of context: "aye" in a report on a vote counts too, so list words that
    hardly occur elsewhere. A text without sentences scores 0.0.

    Args:
        text: The completion.
        words: Words and phrases, whatever their case, matched as :func:`interp_steer.words.words` cuts them; list
            plurals, spellings and contractions ("ye", "ye'll") separately.

    Raises:
        BehaviorError: If no word is given, or the option is not a list of texts that hold a word.
    """
    if isinstance(words, str) or not words or not all(isinstance(word, str) and words_of(word) for word in words):
        raise BehaviorError(f'words is {words!r}: expected a list of texts, e.g. words = ["ahoy", "ye"] under [scorer]')
    wanted = {tuple(words_of(str(word))) for word in words}
    lengths = {len(phrase) for phrase in wanted}
    parts = [words_of(part) for part in sentences(text)]
    if not parts:
        return 0.0
    telltale = [any(not wanted.isdisjoint(ngrams(part, length)) for length in lengths) for part in parts]
    return sum(telltale) / len(parts)
