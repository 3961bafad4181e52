"""Offline scorers: pure functions from a text to a number in [0, 1]; higher shows more of the behavior."""

import inspect
from collections.abc import Callable

from interp_steer.behaviors import ScorerSpec
from interp_steer.errors import BehaviorError
from interp_steer.judges.scorers.concise import concise
from interp_steer.judges.scorers.enthusiasm import enthusiasm
from interp_steer.judges.scorers.hedging import hedging
from interp_steer.judges.scorers.language import language
from interp_steer.judges.scorers.lexicon import lexicon
from interp_steer.judges.scorers.listing import listing
from interp_steer.judges.scorers.mentions import mentions
from interp_steer.judges.scorers.questions import questions
from interp_steer.judges.scorers.refusal import compliance, refusal
from interp_steer.judges.scorers.vocabulary import vocabulary

SCORERS: dict[str, Callable[..., float]] = {
    "refusal": refusal,
    "compliance": compliance,
    "language": language,
    "concise": concise,
    "mentions": mentions,
    "enthusiasm": enthusiasm,
    "hedging": hedging,
    "listing": listing,
    "questions": questions,
    "vocabulary": vocabulary,
    "lexicon": lexicon,
}

NO_SCORER = "none"
"""What a behavior names whose answers no scorer here can judge; a language model can."""


def score_behavior(spec: ScorerSpec, text: str) -> float:
    """Score one text with the scorer a behavior names.

    Returns:
        How much the behavior is shown, in [0, 1].

    Raises:
        BehaviorError: If the scorer or one of its options does not exist (the message lists those that do), or an
            option has a value the scorer cannot use.
    """
    if spec.name == NO_SCORER:
        raise BehaviorError(
            "the behavior has no offline scorer; name one under [scorer], or judge with a language model"
        )
    if spec.name not in SCORERS:
        raise BehaviorError(f"unknown scorer {spec.name!r}: expected one of {', '.join((*SCORERS, NO_SCORER))}")
    scorer = SCORERS[spec.name]
    options = list(inspect.signature(scorer).parameters)[1:]
    for option in spec.options:
        if option not in options:
            known = f"its options are {', '.join(options)}" if options else "it has none"
            raise BehaviorError(f"scorer {spec.name!r} has no option {option!r}: {known}")
    try:
        return scorer(text, **spec.options)
    except TypeError as error:
        raise BehaviorError(f"scorer {spec.name!r} cannot use the options {dict(spec.options)}: {error}") from error
