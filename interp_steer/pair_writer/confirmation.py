"""Does the positive side show the behavior, and the negative one not? Asked of a judge.

Each side is scored by the instrument that judges sweeps, with the other side for its baseline: two questions a pair,
in which a hash decides which text comes first. The judge is not told which side is which.

Source:
    Chen et al., "Persona Vectors", arXiv:2507.21509: a pair is kept if, of 100, the positive side scores at least 50,
    the negative one less, and both are coherent with at least 50. The bounds here leave a gap between the sides.
"""

from collections.abc import Mapping
from typing import Any

from interp_steer.behaviors import Pair
from interp_steer.claude.questions import Question
from interp_steer.judges.comparison import Comparison
from interp_steer.judges.instrument import Instrument, ask
from interp_steer.pair_writer.filters import Fault
from interp_steer.records import digest

SHOWN = 6
"""Least behavior of a positive side, of 10."""
NOT_SHOWN = 3
"""Most behavior of a negative side, of 10."""
COHERENT = 6
"""Least coherence of either side, of 10."""


def confirming_questions(pair: Pair, instrument: Instrument) -> tuple[Question, Question]:
    """Return the questions that score the positive and the negative side."""
    positive = Comparison(prompt=pair.prompt, baseline=pair.negative, completion=pair.positive)
    negative = Comparison(prompt=pair.prompt, baseline=pair.positive, completion=pair.negative)
    key = digest([pair.prompt, pair.positive, pair.negative])
    return ask(instrument, positive, f"{key}+"), ask(instrument, negative, f"{key}-")


def confirmation_fault(positive: Mapping[str, Any], negative: Mapping[str, Any]) -> Fault | None:
    """Return why the judge does not confirm a pair; None if it does.

    Args:
        positive: Scores of the positive side.
        negative: Scores of the negative side.
    """
    for name, scores in (("positive", positive), ("negative", negative)):
        if scores["coherence"] < COHERENT:
            return Fault(reason="incoherent", detail=f"{name} {scores['coherence']} of 10: {scores['reason']}")
    if positive["behavior"] < SHOWN:
        return Fault(reason="off_behavior", detail=f"positive {positive['behavior']} of 10: {positive['reason']}")
    if negative["behavior"] > NOT_SHOWN:
        return Fault(reason="off_behavior", detail=f"negative {negative['behavior']} of 10: {negative['reason']}")
    return None
