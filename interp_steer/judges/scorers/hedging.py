"""How tentative a text sounds: words and phrases that hedge, per sentence. English only.

The list holds what weakens a claim ("perhaps", "it might be", "I'm not sure"), not what softens an order ("you could
try") or rounds a number ("about six"). It knows no context: permission ("you may begin") scores as a doubt does.
"""

import re

from interp_steer.words import sentences

_NOT = r"(?:\bnot|n't|\bcannot|\bhardly)"
_HEDGE = re.compile(
    "|".join(
        (
            r"\bmay\b",  # with a capital it is the month, or a wish
            r"(?i:\b(?:perhaps|maybe|possib(?:le|ly|ility)|probab(?:le|ly)|presumably|apparently|supposedly|arguably|"
            r"conceivably|likely|unlikely|might|seems?|seemed|seemingly|appears?(?= to\b| that\b)|unsure|uncertain)\b)",
            r"(?i:\bcould (?:be|well|help|mean|explain)\b)",
            r"(?i:\bi(?:'d| would)? (?:only |just |also |tend to )?"
            r"(?:think|believe|guess|suppose|suspect|imagine|wonder)\b)",
            r"(?i:\bi(?:'d| would) say\b|\bi(?:'m|'d be| am| would be) (?:inclined|guessing|no expert)\b)",
            r"(?i:\bmy (?:guess|impression|hunch)\b|\bi (?:have|get) (?:a|the) (?:feeling|impression|hunch)\b)",
            rf"(?i:{_NOT} (?:be )?(?:\w+ )?(?:sure|certain|convinced)\b|\bdon't quote me\b)",
            r"(?i:\b(?:hard|difficult) to (?:say|tell|know|judge|be (?:sure|certain))\b)",
            r"(?i:\b(?:as|so) far as (?:i|we)\b|\bto my knowledge\b)",
            r"(?i:\b(?:from what|or so|as) i (?:believe|understand)\b)",
            r"(?i:\bif i(?:'m not| am not| remember| recall| understand)\b|\bi (?:could|can) be (?:wrong|mistaken)\b)",
        )
    )
)


def hedging(text: str) -> float:
    """Score tentativeness: the number of hedges per sentence, 1.0 from one of them per sentence on.

    A text without words scores 0.0.
    """
    n_sentences = len(sentences(text))
    if n_sentences == 0:
        return 0.0
    return min(1.0, len(_HEDGE.findall(text.replace("’", "'"))) / n_sentences)
