"""How much a text uses the words of one side of a set of pairs. Learned, not written: see judges/lexicon.py."""

import math
from collections.abc import Mapping
from typing import Any

from interp_steer.errors import BehaviorError
from interp_steer.words import tokens


def lexicon(text: str, weights: Mapping[str, Any] | None = None, bias: float = 0.0) -> float:
    """Score the words of a text: the logistic function of ``bias + sum of weights / sqrt(distinct words)``.

    Each word or punctuation mark counts once however often it occurs, so a loop gains nothing; the root keeps long
    texts from scoring by length alone. A text of unknown words scores about 0.5, which means "cannot tell".

    Args:
        text: The completion.
        weights: Weight of each word or mark, as :func:`interp_steer.words.tokens` writes it; positive speaks for the
            behavior.
        bias: Log-odds of a text without known words.

    Raises:
        BehaviorError: If there are no weights, or one is not a number.
    """
    if not weights or not all(type(weight) in (int, float) and math.isfinite(weight) for weight in weights.values()):
        raise BehaviorError(
            "a lexicon needs [scorer.weights], a table of words and numbers; 'interp-steer pairs import' learns one"
        )
    found = set(tokens(text))
    total = math.fsum(weights[word] for word in found if word in weights)
    logit = bias + total / math.sqrt(len(found) or 1)
    return 0.5 * (1.0 + math.tanh(0.5 * logit))
