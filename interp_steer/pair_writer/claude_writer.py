"""Claude writes contrastive pairs: a sheet of the behavior, topics, requests, both answers, and a judge that confirms.

Every step is a function of the answers before it, and every answer is in the ledger of the folder: a call that was
stopped, however hard, is made again from the start, and asks only what was not answered.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from interp_steer.behaviors import Pair
from interp_steer.claude.questions import Question, Reply
from interp_steer.errors import JudgeError
from interp_steer.judges.claude_gate import pass_gate
from interp_steer.judges.instrument import instrument_of
from interp_steer.pair_checks.lines import MINIMUM
from interp_steer.pair_writer.asking import FINAL, GATE, Asker
from interp_steer.pair_writer.briefs import pair_question, prompts_question, topics_question
from interp_steer.pair_writer.collection import HELD_OUT, Collection, write_lines
from interp_steer.pair_writer.confirmation import confirmation_fault, confirming_questions
from interp_steer.pair_writer.filters import Fault, side_fault
from interp_steer.pair_writer.overlap import Seen
from interp_steer.pair_writer.written import Written
from interp_steer.progress import progress

ROUNDS = 4
"""Most rounds of requests for every topic: 24 x 6 requests each."""
SPARE = 1.25
"""Requests answered at a time per pair that is missing."""


WRITER = "claude-opus-4-6"
JUDGE = "claude-haiku-4-5"
"""Another model than the writer, so that none confirms its own work."""


def write_with_claude(
    collection: Collection, asker: Asker, *, n: int, model: str = WRITER, judge_model: str = JUDGE
) -> Written:
    """Let Claude write contrastive pairs until there are ``n``, and whatever the held-out splits lack.

    Args:
        collection: The behavior.
        asker: Puts the questions.
        n: Training pairs wanted, those that are there included.
        model: Who writes.
        judge_model: Who confirms.

    Returns:
        What was accepted and rejected, and why.

    Raises:
        JudgeError: If the service does not answer, the judge does not order the behavior's obvious cases, or the limit
            of cost is reached: what was accepted is kept.
    """
    writer = _Writer(collection, asker, model, judge_model)

    def missing() -> int:
        return n - len(collection.pairs)

    with progress("pairs", max(0, missing())) as advance:
        for pool in writer.rounds() if missing() > 0 or writer.lacks_held_out() else ():
            queue = [one for one in pool if not writer.settled(one)]
            while queue and missing() > 0:
                size = ceil(SPARE * missing())
                chosen, queue = queue[:size], queue[size:]
                for pair, fault in writer.pairs(chosen, missing, collection.prompt_fault):
                    if (found := fault or collection.prompt_fault(pair.prompt) or collection.fault(pair)) is None:
                        collection.accept(pair)
                        advance(1, "")
                    else:
                        collection.reject(pair, found)
            if missing() <= 0:
                break
    for split in HELD_OUT:
        waiting = [Request(prompt=prompt) for prompt in collection.unanswered(split)]
        with progress(split, len(waiting)) as advance:
            both = []
            for pair, fault in writer.pairs(waiting, lambda: 1):
                if fault is None:
                    both.append(pair)
                else:
                    collection.reject(pair, fault, split)
            advance(len(waiting), f"{len(both)} answered")
        collection.answer(split, both)
    by_claude = {(one["positive"], one["negative"]) for one in asker.answers("pairs")}
    lack = "" if missing() <= 0 else f"{ROUNDS} rounds of requests are used up; describe the behavior in other words"
    return Written(
        folder=str(collection.folder),
        wanted=n,
        pairs=len(collection.pairs),
        accepted=sum((pair.positive, pair.negative) in by_claude for pair in collection.pairs),
        rejected=collection.reasons("train"),
        held_out=collection.held_out(),
        unanswered=collection.reasons(*HELD_OUT),
        no_answer=asker.unanswered,
        dollars=asker.dollars,
        lost_dollars=asker.unsure_dollars,
        stopped=lack,
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a pair shall answer."""

    prompt: str
    topic: str = ""


class _Writer:
    def __init__(self, collection: Collection, asker: Asker, model: str, judge_model: str) -> None:
        self._collection, self._asker, self._model = collection, asker, model
        self._instrument = instrument_of(collection.behavior, judge_model)
        self._gate_passed = False

    def settled(self, request: Request) -> bool:
        """Whether there is a pair for this very request."""
        return any(pair.prompt == request.prompt for pair in self._collection.pairs)

    def lacks_held_out(self) -> bool:
        """Whether a held-out split is still to be made."""
        return not all((self._collection.folder / f"{split}.jsonl").exists() for split in HELD_OUT)

    def rounds(self) -> Iterator[list[Request]]:
        """Yield the requests of each round, topic after topic in turn; the first round fills the held-out splits."""
        behavior = self._collection.behavior
        self._pass_gate()
        (topics,) = self._replies("topics", [topics_question(behavior)])
        if topics.answer is None:
            raise JudgeError(f"Claude named no topics ({topics.reason}); run again, or describe the behavior otherwise")
        before: dict[str, list[str]] = {topic: [] for topic in topics.answer["topics"]}
        for number in range(ROUNDS):
            questions = [prompts_question(behavior, topic, known) for topic, known in before.items()]
            answers = [reply.answer or {} for reply in self._replies("prompts", questions)]
            if number == 0:
                self._fill_held_out(answers)
            by_topic = [
                [Request(prompt=prompt, topic=topic) for prompt in answer.get("train", ())]
                for topic, answer in zip(before, answers, strict=True)
            ]
            for requests in by_topic:
                for request in requests:
                    before[request.topic].append(request.prompt)
            deepest = max(map(len, by_topic), default=0)
            yield [requests[row] for row in range(deepest) for requests in by_topic if row < len(requests)]

    def _fill_held_out(self, answers: Sequence[Mapping[str, Any]]) -> None:
        for split in HELD_OUT:
            path = self._collection.folder / f"{split}.jsonl"
            if path.exists():
                continue
            prompts = [prompt for answer in answers for prompt in answer.get(split, ())]
            chosen: list[str] = []
            for prompt in prompts:
                if len(chosen) < MINIMUM[split][1] and self._collection.hold_out(prompt):
                    chosen.append(prompt)
            if chosen:
                write_lines(path, [{"prompt": prompt} for prompt in chosen])

    def pairs(
        self,
        requests: Sequence[Request],
        missing: Callable[[], int],
        prompt_fault: Callable[[str], Fault | None] = lambda _: None,
    ) -> Iterator[tuple[Pair, Fault | None]]:
        """Yield what became of each request: a pair that was confirmed, or one with its fault.

        Nothing is said of requests that got no answer for a passing reason: the next call asks again.
        """
        topics = {request.prompt: request.topic for request in requests}
        asked, fresh = Seen(), []
        for prompt, topic in topics.items():
            fault = prompt_fault(prompt)
            if fault is None and (other := asked.repeated_by(prompt)) is not None:
                fault = Fault(reason="duplicate_prompt", detail=repr(other))
            if fault is not None:
                yield Pair(prompt=prompt, positive="", negative="", topic=topic), fault
                continue
            asked.add(prompt)
            fresh.append(prompt)
        if fresh:
            self._pass_gate()
        candidates = []
        questions = [pair_question(self._collection.behavior, prompt) for prompt in fresh]
        for prompt, reply in zip(fresh, self._replies("pairs", questions), strict=True):
            sides = reply.answer or {"positive": "", "negative": ""}
            pair = Pair(prompt=prompt, positive=sides["positive"], negative=sides["negative"], topic=topics[prompt])
            if reply.answer is None:
                if reply.reason in FINAL:
                    yield pair, Fault(reason="no_answer", detail=f"of the writer: {reply.reason}")
            elif self._collection.rejected(pair):
                continue
            elif (fault := self._fault(pair)) is not None:
                yield pair, fault
            else:
                candidates.append(pair)
        yield from self._confirmed(candidates, missing)

    def _fault(self, pair: Pair) -> Fault | None:
        told = (self._collection.behavior.system_prompt, self._collection.behavior.description)
        for side in (pair.positive, pair.negative):
            if (found := side_fault(side, prompt=pair.prompt, instructions=told)) is not None:
                return found
        return self._collection.fault(pair)

    def _confirmed(self, pairs: Sequence[Pair], missing: Callable[[], int]) -> Iterator[tuple[Pair, Fault | None]]:
        """Yield each pair once the judge has scored both sides of it and of all before it.

        Answers come in any order. Pairs do not: which of them fill the last places must not hang on who was quicker.
        """
        both = [confirming_questions(pair, self._instrument) for pair in pairs]
        found: dict[str, Reply] = {}
        decided = 0
        for question, reply in self._asker.ask("judge", self._instrument.model, [one for two in both for one in two]):
            found[question.key] = reply
            while decided < len(pairs) and all(one.key in found for one in both[decided]):
                pair, (positive, negative) = pairs[decided], (found[one.key] for one in both[decided])
                decided += 1
                if positive.answer is None or negative.answer is None:
                    reason = next(one.reason for one in (positive, negative) if one.answer is None)
                    if reason in FINAL:
                        yield pair, Fault(reason="no_answer", detail=f"of the judge: {reason}")
                elif (fault := confirmation_fault(positive.answer, negative.answer)) is not None:
                    yield pair, fault
                elif missing() > 0:
                    yield pair, None

    def _pass_gate(self) -> None:
        """Have the judge order the obvious cases before the writer is paid for what it could not confirm."""
        if not self._gate_passed:
            gate = self._collection.folder / f".gate-{self._instrument.digest}.jsonl"
            pass_gate(gate, self._collection.behavior, self._instrument, self._gate_replies)
            self._gate_passed = True

    def _gate_replies(self, questions: Iterable[Question]) -> Iterator[Reply]:
        return (reply for _, reply in self._asker.ask(GATE, self._instrument.model, list(questions)))

    def _replies(self, purpose: str, questions: Sequence[Question]) -> list[Reply]:
        """Return the replies in the order of the questions."""
        found = {question.key: reply for question, reply in self._asker.ask(purpose, self._model, questions)}
        return [found[question.key] for question in questions]
