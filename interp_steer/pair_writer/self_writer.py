"""The steered model writes its own pairs, under contrastive system prompts.

For each prompt both sides are sampled several times; what fails a rule, does not make sense, or was not written
by its instruction as far as the model itself can tell, is dropped (:mod:`interp_steer.pair_writer.contrast`); of the
combinations left, the one of the widest contrast that passes the checks of a pair is kept. A prompt without one is
tried again, with new samples.

Source:
    Chen et al., "Persona Vectors", arXiv:2507.21509.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from interp_steer.behaviors import Pair
from interp_steer.errors import PairsError
from interp_steer.files import append_records, read_records
from interp_steer.judges.coherence import Thresholds, fit_thresholds
from interp_steer.model.protocol import Model
from interp_steer.pair_writer.collection import HELD_OUT, Collection
from interp_steer.pair_writer.filters import Fault, rule_of
from interp_steer.pair_writer.instructions import echoed
from interp_steer.pair_writer.sampled import SAMPLING, Standard, sample
from interp_steer.pair_writer.sides import ROUNDS, SAMPLES, Side, SideName, best_pair
from interp_steer.pair_writer.written import Written
from interp_steer.progress import progress
from interp_steer.records import Cell, Generation, digest, to_json

VERSION = 1  # raise it when the same samples would be measured otherwise
SPARE = 1.25
"""Prompts tried at a time per pair that is missing."""
CALIBRATION = 16
"""Prompts answered plainly, which coherence is calibrated on."""


def write_self(
    model: Model,
    collection: Collection,
    instructions: Sequence[tuple[str, str]],
    prompts: Sequence[str],
    *,
    n: int,
    spare: Sequence[str] = (),
    seed: int = 0,
) -> Written:
    """Let a model write contrastive pairs until there are ``n``, and responses to the held-out prompts.

    Every sample is kept in ``sides.jsonl`` with its measurements, so that a stopped call goes on where it was.

    Args:
        model: Writes, and is its own filter.
        collection: The behavior.
        instructions: Pairs of system prompts, for the behavior and for its opposite.
        prompts: What training pairs answer, in the order in which they are tried; held-out ones are passed over.
        n: Training pairs wanted, those that are there included.
        spare: What is tried once all prompts have had their rounds.
        seed: Seed of the sampling.

    Returns:
        What was accepted and rejected, and why.

    Raises:
        PairsError: If there are no prompts, or the model answers none of them.
        BehaviorError: If the behavior names an unknown scorer or option.
    """
    if not (prompts or spare) or not instructions:
        raise PairsError("the model needs prompts to answer and instructions to answer them by; give --trait FILE")
    writer = _Writer(model, collection, instructions, seed)
    if len(collection.pairs) < n or any(map(collection.unanswered, HELD_OUT)):
        writer.calibrate((*prompts, *spare)[:CALIBRATION])

    def missing() -> int:
        return n - len(collection.pairs)

    def unusable(prompt: str) -> Fault | None:
        return collection.prompt_fault(prompt, chosen=True)

    with progress("pairs", max(0, missing())) as advance:
        for pool in (prompts, spare):
            for pair, fault in writer.pairs(pool, missing, unusable):
                if (found := fault or unusable(pair.prompt)) is None:
                    collection.accept(pair)
                    advance(1, "")
                else:
                    collection.reject(pair, found)
    for split in HELD_OUT:
        if waiting := collection.unanswered(split):
            with progress(split, len(waiting)) as advance:
                both = []
                for pair, fault in writer.pairs(waiting, lambda: 1):
                    if fault is None:
                        both.append(pair)
                    else:
                        collection.reject(pair, fault, split)
                advance(len(waiting), f"{len(both)} answered")
            collection.answer(split, both)
    return writer.summary(n, len(prompts) + len(spare))


class _Writer:
    def __init__(
        self, model: Model, collection: Collection, instructions: Sequence[tuple[str, str]], seed: int
    ) -> None:
        self._model, self._collection, self._seed = model, collection, seed
        behavior = collection.behavior
        prompted = behavior.coherence.reference == "prompted"
        self._standard = Standard(
            instructions=tuple(instructions),
            scorer=rule_of(behavior),
            thresholds=None,
            fluent_under=behavior.system_prompt if prompted else None,
        )
        decisive = [VERSION, model.card.fingerprint, model.card.template, list(instructions), to_json(SAMPLING), seed]
        rule = self._standard.scorer
        self._basis = digest([*decisive, rule and to_json(rule), self._standard.fluent_under])
        known = read_records(self._path, Side)
        self._sides = {side.key: side for side in known if side.basis == self._basis}

    @property
    def _path(self) -> Path:
        return self._collection.folder / "sides.jsonl"

    def calibrate(self, prompts: Sequence[str]) -> None:
        """Learn from plain answers what text of this model looks like."""
        wanted = [self._side(prompt, "plain", 0) for prompt in prompts]
        with progress("plain", len(wanted)) as advance:
            for batch in self._sampled(wanted):
                advance(len(batch), "")
        plain = [self._sides[side.key] for side in wanted]
        standard = self._standard
        self._standard = Standard(
            instructions=standard.instructions,
            scorer=standard.scorer,
            thresholds=_thresholds([side for side in plain if side.nll is not None]),
            fluent_under=standard.fluent_under,
        )

    def pairs(
        self,
        prompts: Sequence[str],
        missing: Callable[[], int],
        prompt_fault: Callable[[str], Fault | None] = lambda _: None,
    ) -> Iterator[tuple[Pair, Fault | None]]:
        """Yield the best pair of each prompt as it is found; those without one at the end, with what is wrong."""
        tried = dict.fromkeys((prompt for prompt in prompts if prompt_fault(prompt) is None), 0)
        lacking: dict[str, tuple[Pair, Fault]] = {}
        while missing() > 0 and (open_prompts := [prompt for prompt, rounds in tried.items() if rounds < ROUNDS]):
            open_prompts.sort(key=lambda prompt: tried[prompt])
            chosen = open_prompts[: max(1, round(SPARE * missing()))]
            for prompt in self._written(chosen, tried):
                tried[prompt] += 1
                pair, fault = best_pair(prompt, self._of(prompt, tried[prompt]), self._collection.fault)
                if fault is None and missing() > 0:
                    del tried[prompt]
                    lacking.pop(prompt, None)
                    yield pair, None
                elif fault is not None:
                    lacking[prompt] = (pair, fault)
        yield from (lacking[prompt] for prompt, rounds in tried.items() if rounds == ROUNDS)

    def _written(self, prompts: Sequence[str], tried: dict[str, int]) -> Iterator[str]:
        """Sample one more round for each prompt; yield prompts as their samples are complete."""
        wanted = [
            self._side(prompt, name, number)
            for prompt in prompts
            for number in range(SAMPLES * tried[prompt], SAMPLES * (tried[prompt] + 1))
            for name in _SIDES
        ]
        left = Counter(side.prompt for side in wanted)
        for batch in self._sampled(wanted):
            for side in batch:
                left[side.prompt] -= 1
                if left[side.prompt] == 0:
                    yield side.prompt

    def _sampled(self, wanted: Sequence[Side]) -> Iterator[list[Side]]:
        """Yield sides, first those that were sampled before."""
        if held := [self._sides[side.key] for side in wanted if side.key in self._sides]:
            yield held
        new = [side for side in wanted if side.key not in self._sides]
        if not new:
            return
        for batch in sample(self._model, new, self._standard, seed=self._seed):
            append_records(self._path, batch)
            self._sides.update((side.key, side) for side in batch)
            yield batch

    def _side(self, prompt: str, name: SideName, number: int) -> Side:
        place = int(digest([prompt]), 16) + number  # which instructions a prompt begins with is left to its hash
        instruction = place % len(self._standard.instructions)
        return Side(basis=self._basis, prompt=prompt, side=name, instruction=instruction, sample=number, text="")

    def _of(self, prompt: str, rounds: int) -> list[Side]:
        return [
            self._sides[self._side(prompt, name, number).key] for number in range(SAMPLES * rounds) for name in _SIDES
        ]

    def summary(self, wanted: int, n_prompts: int) -> Written:
        """Return what has been done, as the files say."""
        collection = self._collection
        sides = [side for side in self._sides.values() if side.side != "plain"]
        strengths = [side.strength for side in sides if side.contrast is not None]
        written = {(side.prompt, side.text) for side in sides}
        total = len(collection.pairs)
        lack = f"{n_prompts} prompts had {ROUNDS} rounds of {SAMPLES} samples a side; give more prompts"
        return Written(
            folder=str(collection.folder),
            wanted=wanted,
            pairs=total,
            accepted=sum((pair.prompt, pair.positive) in written for pair in collection.pairs),
            rejected=collection.reasons("train"),
            held_out=collection.held_out(),
            unanswered=collection.reasons(*HELD_OUT),
            sides=dict(Counter(side.reason or "fit" for side in sides).most_common()),
            echoed=echoed(self._standard.instructions),
            recognized=sum(one > 0 for one in strengths) / len(strengths) if strengths else None,
            stopped="" if total >= wanted else lack,
        )


_SIDES: tuple[SideName, SideName] = ("positive", "negative")


def _thresholds(plain: Sequence[Side]) -> Thresholds:
    """Calibrate coherence as the offline judge does, on plain answers."""
    if not plain:
        raise PairsError("the model has no sensible plain answer to any of the prompts; try another model")
    return fit_thresholds(
        [
            Generation(
                behavior="",
                split="dev",
                prompt_id=side.prompt,
                prompt=side.prompt,
                cell=Cell(control="unsteered"),
                sample=0,
                text=side.text,
                n_tokens=0,
                finish="length",
                nll=side.nll,
            )
            for side in plain
        ]
    )
