"""Sample answers from the model under one instruction or another, and measure them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from interp_steer.behaviors import ScorerSpec
from interp_steer.errors import TemplateError
from interp_steer.judges.coherence import Thresholds, coherence, measure
from interp_steer.judges.scorers import score_behavior
from interp_steer.likelihood import mean_nll
from interp_steer.model.protocol import Model
from interp_steer.pair_writer.contrast import confirming, contrast, contrast_fault
from interp_steer.pair_writer.filters import Fault, side_fault
from interp_steer.pair_writer.sides import Side
from interp_steer.records import digest
from interp_steer.steering.decode import stream
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import Finish

SAMPLING = DecodeSettings(max_new_tokens=64, temperature=0.8, top_p=0.95)
ROWS_ON_CPU = 32
"""Rows decoded together where that takes minutes: what was not finished is lost when a call is stopped."""
SHOWN = 0.5
"""Score of the behavior's scorer that parts the sides."""
MAKES_SENSE = 0.5
"""Coherence a side must have: that of the offline judge."""

_END = re.compile(r"(?<!\d)[.!?…][\"'”’)]*(?=\s|$)|[。！？]")


@dataclass(frozen=True, kw_only=True)
class Standard:
    """What sides are held against.

    Attributes:
        instructions: Pairs of system prompts, positive and negative.
        scorer: Offline scorer of the behavior; None if it has none.
        thresholds: Of coherence; None while they are being calibrated.
        fluent_under: System prompt given which a positive side is expected to be likely text, for behaviors that the
            plain prompt makes unlikely however fluent they are; None for the plain prompt.
    """

    instructions: Sequence[tuple[str, str]]
    scorer: ScorerSpec | None
    thresholds: Thresholds | None
    fluent_under: str | None = None


def sample(model: Model, wanted: Sequence[Side], standard: Standard, *, seed: int) -> Iterator[list[Side]]:
    """Fill in the text of sides and measure it, many in one batch; yield them some at a time as they end.

    Args:
        model: Writes and measures.
        wanted: Sides without text. What each becomes depends on itself and the seed, not on the others.
        standard: What they are held against.
        seed: Seed of the sampling.
    """
    rows = [_row(model, side, standard.instructions, seed) for side in wanted]
    size = ROWS_ON_CPU if model.device.type == "cpu" else None
    for batch in stream(model, rows, SAMPLING, batch_size=size):
        written = [
            replace(wanted[place], text=finished(model.chat.decode(list(one.ids)), one.finish)) for place, one in batch
        ]
        yield measured(model, written, standard)


def _row(model: Model, side: Side, instructions: Sequence[tuple[str, str]], seed: int) -> DecodeRow:
    system = _told(side, instructions)
    number = int(digest([seed, side.prompt, side.side, side.sample]), 16) % 2**63
    return DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(side.prompt, system)), seed=number)


def _told(side: Side, instructions: Sequence[tuple[str, str]]) -> str | None:
    return None if side.side == "plain" else instructions[side.instruction][side.side == "negative"]


def finished(text: str, finish: Finish) -> str:
    """Return a text as far as its sentences are complete; empty if none is and the text was cut off."""
    if finish == "eos":
        return text
    ends = [found.end() for found in _END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def measured(model: Model, sides: Sequence[Side], standard: Standard) -> list[Side]:
    """Measure sides: rules on the text first, then, of those that pass, likelihoods in one go."""
    done = [_with(side, _text_fault(side, standard)) for side in sides]
    reading: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []
    for at, side in enumerate(done):
        if side.reason is not None:
            continue
        try:
            plain = standard.fluent_under if side.side == "positive" else None
            contexts = [plain, *(system for pair in _contexts(side, standard.instructions) for system in pair)]
            for system in contexts:
                ids, n_prompt = model.chat.pair_ids(side.prompt, side.text, system)
                reading.append((at, tuple(ids[:n_prompt]), tuple(ids[n_prompt:])))
        except TemplateError as error:
            reading = [one for one in reading if one[0] != at]
            done[at] = _with(side, Fault(reason="unusable", detail=str(error)))
    values = mean_nll(model, [prompt for _, prompt, _ in reading], [text for _, _, text in reading])
    for at in dict.fromkeys(at for at, _, _ in reading):
        mine = [value for (one, _, _), value in zip(reading, values, strict=True) if one == at]
        done[at] = _judged(done[at], [value for value in mine if value is not None], standard)
    return done


def _contexts(side: Side, instructions: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    if side.side == "plain":
        return []
    return [instructions[one] for one in confirming(side.instruction, len(instructions))]


def _text_fault(side: Side, standard: Standard) -> Fault | None:
    if not side.text.strip():
        return Fault(reason="unfinished")
    told = _told(side, standard.instructions)
    if found := side_fault(side.text, prompt=side.prompt, instructions=() if told is None else (told,)):
        return found
    if standard.scorer is None or side.side == "plain":
        return None
    score = score_behavior(standard.scorer, side.text)
    if (score >= SHOWN) != (side.side == "positive"):
        return Fault(reason="off_behavior", detail=f"the scorer {standard.scorer.name!r} gives {score:.2f}")
    return None


def _judged(side: Side, nlls: Sequence[float], standard: Standard) -> Side:
    """Decide by likelihood: given the prompt alone, then under each confirming instruction and its counterpart."""
    nll, rest = nlls[0], nlls[1:]
    if side.side == "plain":
        return replace(side, nll=nll)
    value = contrast(rest[0::2], rest[1::2])
    side = replace(side, nll=nll, contrast=value)
    makes_sense = 1.0 if standard.thresholds is None else coherence(measure(side.text), nll, standard.thresholds)
    if makes_sense is not None and makes_sense < MAKES_SENSE:
        return _with(side, Fault(reason="incoherent", detail=f"coherence {makes_sense:.2f}"))
    return _with(side, contrast_fault(value, positive=side.side == "positive"))


def _with(side: Side, fault: Fault | None) -> Side:
    return side if fault is None else replace(side, reason=fault.reason, detail=fault.detail)
