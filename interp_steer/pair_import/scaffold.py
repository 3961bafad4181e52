"""The ``behavior.toml`` of a behavior of which only pairs, or a trait, are known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from interp_steer.behaviors import Behavior, Gate, Pair, Rubric, ScorerSpec
from interp_steer.errors import BehaviorError
from interp_steer.judges.gate import check_gate
from interp_steer.judges.lexicon import MINIMUM, fit_lexicon
from interp_steer.judges.scorers import NO_SCORER, score_behavior
from interp_steer.records import text_sha256
from interp_steer.traits import Trait
from interp_steer.words import words

_RUBRIC = """\
Rate how much the answer shows this, 0-10, compared with the baseline answer shown beside it.
What to look for: {positive}
Its opposite: {negative}
0: not at all, or no more than the baseline. 3: hints of it. 5: in about half of the answer. 8: in nearly all of it.
10: as clearly and consistently as an answer can show it, while still answering the prompt.
Do not count length, politeness or correctness unless they are what to look for. Loops and word salad score 2 at most.
"""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What a person says of the behavior; what is None is made from its name and its pairs.

    Attributes:
        description: One sentence: what the positive side does.
        positive: What a positive response shows.
        negative: What a negative response shows.
        system_prompt: Asks for the behavior in words.
        scorer: Name of an offline scorer; by default a lexicon learned from the pairs, if it can be.
    """

    description: str | None = None
    positive: str | None = None
    negative: str | None = None
    system_prompt: str | None = None
    scorer: str | None = None


def scaffold(name: str, sheet: Sheet, *, origin: str, trait: Trait | None = None) -> Behavior:
    """Return a behavior without scorer and gate (see :func:`measured_by_pairs`).

    Args:
        name: Name of its folder.
        sheet: What is known.
        origin: Where it comes from, as a sentence for the notes.
        trait: The trait it is made from, if it is one.
    """
    quality = name.replace("_", " ").replace("-", " ")
    asks, forbids = trait.instructions[0] if trait else (None, None)
    positive = sheet.positive or asks or f"The response shows this: {quality}."
    negative = sheet.negative or forbids or f"The response does not show this: {quality}."
    rubric = _RUBRIC.format(positive=positive, negative=negative)
    if trait and (what := trait.eval_prompt.strip().split("\n\n")[0]) and "{" not in what:
        rubric = f"{what}\n{rubric}"
    return Behavior(
        name=name,
        description=sheet.description or f"The assistant's answers show this: {quality}.",
        positive=positive,
        negative=negative,
        system_prompt=sheet.system_prompt or asks or _asking(sheet.positive, quality),
        scorer=ScorerSpec(name=sheet.scorer or NO_SCORER),
        rubric=Rubric(version=1, text=rubric),
        gate=Gate(prompt=trait.questions[0] if trait else "", high=(), low=(), gibberish=()),
        notes=origin,
    )


def measured_by_pairs(behavior: Behavior, pairs: Sequence[Pair]) -> Behavior:
    """Give a behavior what its training pairs tell of how to measure it: a scorer and a gate.

    A scorer that is named stays. Otherwise a lexicon is learned from the pairs, and kept if it orders held-out pairs
    better than chance (95 % interval) and the gate; if not, the behavior has no offline scorer. A gate that is
    there stays; otherwise it is the pair whose sides the scorer tells apart most, and gibberish made of its words. The
    notes say which.

    Raises:
        BehaviorError: If the named scorer does not exist, or puts no positive response above its negative one.
        PairsError: If there are no pairs.
    """
    notes = []
    if behavior.scorer.name in (NO_SCORER, "lexicon"):
        scorer, said = _learned(pairs)
        behavior = replace(behavior, scorer=scorer)
        notes.append(said)
    if not (behavior.gate.high and behavior.gate.low):
        behavior = replace(behavior, gate=_gate(behavior.scorer, pairs))
        which = "a training pair" if behavior.scorer.name == NO_SCORER else "the pair that the scorer tells apart most"
        notes.append(f"The gate is {which}: put obvious cases of your own.")
    elif check_gate(behavior):
        behavior = replace(behavior, scorer=ScorerSpec(name=NO_SCORER))
        notes.append("It does not order the gate, though, and was left out: judge with a language model.")
    return replace(behavior, notes="\n".join([behavior.notes.strip(), *notes]).strip())


def _learned(pairs: Sequence[Pair]) -> tuple[ScorerSpec, str]:
    none = ScorerSpec(name=NO_SCORER)
    if len(pairs) < MINIMUM:
        return none, f"No offline scorer: {len(pairs)} pairs are too few to learn one from."
    lexicon = fit_lexicon(pairs)
    share = lexicon.accuracy
    figures = f"{share.mean:.0%} of held-out pairs [{share.low:.0%}, {share.high:.0%}], AUC {lexicon.auc:.2f}"
    if not lexicon.tells_apart:
        return none, f"No offline scorer: words alone order {figures}. Judge with a language model."
    return lexicon.spec, (
        f"The offline scorer was learned from the training pairs and knows only words: it orders {figures}. A "
        "word or a length that separates the sides by accident counts as the behavior ('interp-steer pairs plan' looks "
        "for these)."
    )


def _gate(scorer: ScorerSpec, pairs: Sequence[Pair]) -> Gate:
    best = pairs[0]
    if scorer.name != NO_SCORER:
        margins = [score_behavior(scorer, pair.positive) - score_behavior(scorer, pair.negative) for pair in pairs]
        best = pairs[margins.index(max(margins))]
        if max(margins) <= 0:
            raise BehaviorError(
                f"scorer {scorer.name!r} puts no positive response above its negative one; name another scorer"
            )
    found = words(f"{best.positive} {best.negative}")
    salad = sorted(found, key=lambda word: text_sha256(f"{best.prompt}{word}"))[:24]
    loop = words(best.positive)[:4] * 6
    return Gate(
        prompt=best.prompt,
        high=(best.positive,),
        low=(best.negative,),
        gibberish=tuple(" ".join(text) for text in (salad, loop) if text),
    )


def _asking(positive: str | None, quality: str) -> str:
    return f"Answer the user's message, and let your answer show this: {positive or quality}"
