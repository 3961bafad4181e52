"""Questions handed in as message batches: half the price, and an answer within a day.

A batch is written down as soon as it has an id. It is forgotten when the reply after its last one is asked for, so
whoever takes the replies writes each down before taking the next, and a crash costs nothing twice, save in the moment
between a batch being taken and its id being written. Results that the service holds no more are ``no result``.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from interp_steer.claude.budget import Budget
from interp_steer.claude.chunks import Chunks
from interp_steer.claude.questions import Question, Reply, Usage
from interp_steer.claude.replies import reply_of
from interp_steer.claude.service import GoneError, RequestError, Service, reason_for
from interp_steer.claude.state import Batch, State, custom_id
from interp_steer.errors import JudgeError

MOST_UNDER_WAY = 20
READINGS = 3
"""How often the results of a batch are read before what is missing is given up."""

LONGEST_PAUSE = 60.0
STATUS = {"overloaded_error": 529, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504}
"""Status of the errors that an item of a batch may have; the others are the question's own fault."""

Open = dict[str, dict[str, Question]]
"""Questions by custom id by batch."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How batches are waited for.

    Attributes:
        poll: Seconds between two looks at first; half as long again each time, up to a minute.
        total: Seconds after which a batch is not waited for any longer.
        show: Told at each look how many questions are under way, and a note.
    """

    poll: float
    total: float
    show: Callable[[int, str], None]


class Batches:
    """The batches of one round of questions, and those of earlier rounds that hold some of them."""

    def __init__(self, service: Service, budget: Budget, state: State, patience: Patience) -> None:
        self._service = service
        self._budget = budget
        self._state = state
        self._patience = patience
        self._earlier = {item: batch.id for batch in state.batches.values() for item in batch.items}
        self._found: Open = {}
        self._gone: set[str] = set()

    def new(self, questions: Iterator[Question]) -> Iterator[Question]:
        """Yield the questions that no earlier batch holds; :meth:`found` answers the others."""
        for question in questions:
            name = custom_id(self._service.model, question)
            if name in self._earlier:
                batch = self._state.batches[self._earlier[name]]
                self._found.setdefault(batch.id, {})[name] = stub(question)
                self._budget.hold(batch.held_for_one, committed=True)
            else:
                yield question

    def found(self) -> Iterator[Reply]:
        """Yield the replies to the questions that :meth:`new` found in earlier batches."""
        while self._found:
            yield from self._next_to_end(self._found)

    def ask(self, questions: Iterator[Question]) -> Iterator[Reply]:
        """Yield one reply per question, batch by batch as they end.

        Raises:
            CostLimitError: If the next question does not fit the budget, when all that was handed in is answered.
            JudgeError: If a batch cannot be handed in, when those before it are answered; or if one does not end.
        """
        chunks = Chunks(questions, self._service.model, self._budget)
        under_way: Open = {}
        refused: JudgeError | None = None
        while True:
            while refused is None and len(under_way) < MOST_UNDER_WAY:
                chunk, held = chunks.next()
                if not chunk:
                    break
                try:
                    batch = self._service.submit(chunk)
                except RequestError as failed:
                    refused = JudgeError(
                        f"a batch of {len(chunk)} questions could not be handed in ({failed.reason})"
                        f"{'; it may have arrived all the same, see the Console' if failed.lost else ''}; "
                        "run again to go on"
                    )
                    break
                self._state.add(Batch(id=batch, items=tuple(chunk), held=held))
                under_way[batch] = {name: stub(question) for name, question in chunk.items()}
            if not under_way:
                break
            yield from self._next_to_end(under_way)
        if refused is not None:
            raise refused
        if left := chunks.count_left():
            raise self._budget.stop(left)

    def _next_to_end(self, under_way: Open) -> Iterator[Reply]:
        """Wait for one of several batches, yield its replies, and forget it."""
        batch = self._wait(under_way)
        held = self._state.batches[batch].held_for_one
        for reply in self._replies(batch, under_way[batch]):
            self._budget.settle(held, reply.usage, batch=True)
            yield reply
        del under_way[batch]
        self._state.drop(batch)

    def _wait(self, under_way: Open) -> str:
        began, pause = time.monotonic(), self._patience.poll
        while True:
            processing = 0
            for batch, questions in under_way.items():
                try:
                    left = self._service.processing(batch)
                except GoneError:
                    self._gone.add(batch)
                    return batch
                except RequestError:  # looking costs nothing: a service that is out for an hour is waited for
                    left = len(questions)
                if left is None:
                    return batch
                processing += left
            waited = time.monotonic() - began
            if waited >= self._patience.total:
                raise JudgeError(
                    f"no batch of {', '.join(under_way)} has ended after {waited / 3600:.2g} hours; "
                    f"{self._state.kept}: run again to go on waiting"
                )
            self._patience.show(processing, f"{len(under_way)} batches under way")
            time.sleep(min(pause, self._patience.total - waited))
            pause = min(1.5 * pause, LONGEST_PAUSE)

    def _replies(self, batch: str, questions: Mapping[str, Question]) -> Iterator[Reply]:
        left = dict(questions)
        for reading in range(0 if batch in self._gone else READINGS):
            try:
                for name, result in self._service.results(batch):
                    if name in left:
                        yield reply_to_item(left.pop(name), result, self._service.scrubbed)
            except RequestError as failed:
                if reading == READINGS - 1:
                    raise JudgeError(
                        f"the results of batch {batch} cannot be read ({failed.reason}); {self._state.kept}: "
                        "run again to read the others"
                    ) from None
            if not left:
                return
        for question in left.values():
            yield Reply(key=question.key, answer=None, reason="no result", usage=Usage())


def reply_to_item(question: Question, result: Mapping[str, Any], scrubbed: Callable[[str], str]) -> Reply:
    """Read one result of a batch as the reply to its question; what the service says is scrubbed of the key."""
    kind = result.get("type")
    if kind == "succeeded":
        return reply_of(question, result.get("message"))
    reason = str(kind)  # expired, canceled
    if kind == "errored":
        error = result.get("error")
        error = error.get("error", error) if isinstance(error, Mapping) else {}
        reason = reason_for(STATUS.get(str(error.get("type")), 400), scrubbed(str(error.get("message"))))
    return Reply(key=question.key, answer=None, reason=reason)


def stub(question: Question) -> Question:
    """Return a question without its texts, which are not needed any more and would fill the memory."""
    return replace(question, system="", prompt="")
