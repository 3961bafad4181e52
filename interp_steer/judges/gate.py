"""The obvious cases of a behavior: a judge that cannot order them is not to be trusted with the rest."""

from interp_steer.judges.scorers import score_behavior
from interp_steer.records import Behavior


def check_gate(behavior: Behavior) -> list[str]:
    """Check that the offline scorer puts every ``high`` answer of the gate above every ``low`` one.

    The ``gibberish`` answers are for the coherence of a judge; a scorer of the behavior is free to be fooled.

    Returns:
        One sentence per pair in the wrong order, or level; nothing if all is well.

    Raises:
        BehaviorError: If the behavior names an unknown scorer or option.
    """
    high = [(text, score_behavior(behavior.scorer, text)) for text in behavior.gate.high]
    low = [(text, score_behavior(behavior.scorer, text)) for text in behavior.gate.low]
    return [
        f"scorer {behavior.scorer.name!r} gives {above:.2f} to the high answer {_short(wanted)!r}, "
        f"not more than {below:.2f} for the low answer {_short(unwanted)!r}"
        for wanted, above in high
        for unwanted, below in low
        if above <= below
    ]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
