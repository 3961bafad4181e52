"""The obvious cases of a behavior: a judge that cannot order them is not to be trusted with the rest."""

from interp_steer.behaviors import Behavior
from interp_steer.errors import JudgeError
from interp_steer.judges.scorers import NO_SCORER, score_behavior
from interp_steer.pair_checks import Issue


def check_gate(behavior: Behavior) -> list[str]:
    """Check that the offline scorer puts every ``high`` answer of the gate above every ``low`` one.

    The ``gibberish`` answers are for the coherence of a judge; a scorer of the behavior is free to be fooled.

    Returns:
        One sentence per pair in the wrong order, or level; nothing if all is well, or there is no scorer.

    Raises:
        BehaviorError: If the behavior names an unknown scorer or option.
    """
    if behavior.scorer.name == NO_SCORER:
        return []
    high = [(text, score_behavior(behavior.scorer, text)) for text in behavior.gate.high]
    low = [(text, score_behavior(behavior.scorer, text)) for text in behavior.gate.low]
    return [
        f"scorer {behavior.scorer.name!r} gives {above:.2f} to the high answer {_short(wanted)!r}, "
        f"not more than {below:.2f} for the low answer {_short(unwanted)!r}"
        for wanted, above in high
        for unwanted, below in low
        if above <= below
    ]


def check_measure(behavior: Behavior, where: str) -> list[Issue]:
    """Return what ``pairs check`` says of how a behavior is measured offline: errors of the gate, or no scorer.

    Raises:
        BehaviorError: If the behavior names an unknown scorer or option.
    """
    if behavior.scorer.name == NO_SCORER:
        message = (
            "no offline scorer: only a language model can judge a sweep; 'interp-steer run' needs one or the other"
        )
        return [Issue(severity="warning", kind="gate", where=where, message=message)]
    return [Issue(severity="error", kind="gate", where=where, message=message) for message in check_gate(behavior)]


def require_scorer(behavior: Behavior) -> None:
    """Refuse to judge a behavior offline whose scorer is missing or cannot order its own obvious cases.

    Raises:
        JudgeError: If so.
        BehaviorError: If the behavior names an unknown scorer or option.
    """
    if behavior.scorer.name == NO_SCORER:
        raise JudgeError(
            f"behavior {behavior.name!r} has no offline scorer; name one under [scorer] in its behavior.toml, or judge "
            "with a language model"
        )
    if disorder := check_gate(behavior):
        raise JudgeError(f"the offline scorer of {behavior.name!r} does not order its own obvious cases: {disorder[0]}")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
