"""Questions handed in as message batches: half the price, and an answer within a day.

A batch is written down before it is handed in, and its id as soon as there is one; a batch whose id never came is
looked for (:mod:`interp_steer.claude.adoption`). It is forgotten when the reply after its last one is asked for, so
whoever takes the replies writes each down before taking the next, and a crash costs nothing twice. Answers in it which
this round does not ask for are kept for one that does. Results that the service holds no more are ``no result``.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from interp_steer.claude.adoption import adopt
from interp_steer.claude.budget import Budget
from interp_steer.claude.chunks import Chunks
from interp_steer.claude.failures import RefusedError, RequestError, reason_for
from interp_steer.claude.patience import Patience
from interp_steer.claude.questions import Question, Reply, Usage
from interp_steer.claude.replies import reply_of, usage_of
from interp_steer.claude.service import Service
from interp_steer.claude.state import Batch, State, custom_id
from interp_steer.errors import JudgeError

MOST_UNDER_WAY = 20
READINGS = 3
"""How often the results of a batch are read before what is missing is given up."""

STATUS = {"overloaded_error": 529, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504}
"""Status of the errors that an item of a batch may have; the others are the question's own fault."""

Open = dict[Batch, dict[str, Question]]
"""Questions by custom id by batch."""


class Batches:
    """The batches of one round of questions, and those of earlier rounds that hold some of them.

    Args:
        service: Takes them.
        budget: Pays for them.
        state: Where they are written down.
        purpose: What the questions are for; batches for other purposes are left alone.
        patience: How they are waited for.
    """

    def __init__(self, service: Service, budget: Budget, state: State, purpose: str, patience: Patience) -> None:
        self._service = service
        self._budget = budget
        self._state = state
        self._purpose = purpose
        self._patience = patience
        self._wait = patience.waiting(service)
        ours = [batch for batch in state.batches if batch.purpose == purpose]
        self._earlier = {item: batch for batch in ours for item in batch.items}
        self._found: Open = {}
        self._claimed: list[Reply] = []

    def new(self, questions: Iterator[Question]) -> Iterator[Question]:
        """Yield the questions that no earlier batch holds or has answered; :meth:`found` answers the others.

        Raises:
            JudgeError: If it cannot be found out whether the service took a batch.
        """
        for question in questions:
            name = custom_id(self._purpose, self._service.model, question)
            claimed = reply_of(question, self._state.unclaimed.get(name))
            if claimed.answer is not None:
                self._claimed.append(claimed)
                continue
            batch = self._earlier.get(name)
            if batch is not None and not batch.id:
                adopted = adopt(batch, self._service, self._budget, self._state, self._patience)
                for item in batch.items:
                    if adopted is None:
                        del self._earlier[item]
                    else:
                        self._earlier[item] = adopted
                batch = adopted
            if batch is None:
                yield question
            else:
                self._found.setdefault(batch, {})[name] = stub(question)

    def found(self) -> Iterator[Reply]:
        """Yield the replies to the questions that :meth:`new` found in earlier batches, or answered by them."""
        while self._claimed:
            yield self._claimed.pop()
        while self._found:
            yield from self._next_to_end(self._found)

    def ask(self, questions: Iterator[Question]) -> Iterator[Reply]:
        """Yield one reply per question, batch by batch as they end.

        Raises:
            CostLimitError: If the next question does not fit the budget, when all that was handed in is answered.
            JudgeError: If a batch cannot be handed in, when those before it are answered; or if one does not end.
        """
        chunks = Chunks(questions, self._purpose, self._service.model, self._budget)
        under_way: Open = {}
        refused: JudgeError | None = None
        while True:
            while refused is None and len(under_way) < MOST_UNDER_WAY:
                chunk, held = chunks.next()
                if not chunk:
                    break
                try:
                    batch = self._hand_in(chunk, held)
                except RequestError as failed:
                    refused = JudgeError(
                        f"a batch of {len(chunk)} questions could not be handed in ({failed.reason}); "
                        f"{'it may have arrived all the same: run again, and it is looked for' * failed.lost}"
                        f"{'run again to go on' * (not failed.lost)}"
                    )
                    break
                under_way[batch] = {name: stub(question) for name, question in chunk.items()}
                chunk.clear()  # its texts, before those of the next one are made
            if not under_way:
                break
            yield from self._next_to_end(under_way)
        if refused is not None:
            raise refused
        if left := chunks.count_left():
            raise self._budget.stop(left)

    def _hand_in(self, chunk: Mapping[str, Question], held: float) -> Batch:
        """Hand in a batch that is written down before, and stays so until it is known not to be taken."""
        batch = Batch(id="", purpose=self._purpose, items=tuple(chunk), held=held, begun=time.time())
        self._state.begin(batch)
        try:
            return self._state.name(batch, self._service.submit(chunk))
        except RequestError as failed:
            if not failed.lost:
                self._state.drop(batch)
            raise
        except RefusedError:
            self._state.drop(batch)
            raise

    def _next_to_end(self, under_way: Open) -> Iterator[Reply]:
        """Wait for one of several batches, yield its replies, and forget it."""
        batches = {batch.id: batch for batch in under_way}
        name, gone = self._wait(batches, self._state.kept)
        batch = batches[name]
        asked = under_way[batch]
        read = Read(left=dict(asked), unread=set(batch.items), others=frozenset(batch.items).difference(asked))
        yield from self._replies(name, read, readings=0 if gone else READINGS)
        for question in read.left.values():
            yield Reply(key=question.key, answer=None, reason="no result", usage=Usage())
        self._state.keep(read.unclaimed)
        del under_way[batch]
        self._budget.close(batch, read.usage, len(read.unread))

    def _replies(self, name: str, read: "Read", readings: int) -> Iterator[Reply]:
        """Yield the replies that the results of a batch hold, and count what all of its questions took."""
        for reading in range(readings):
            try:
                for item, result in self._service.results(name):
                    if item not in read.unread:
                        continue
                    if (usage := usage_of_item(result)) is not None:
                        read.unread.remove(item)
                        read.usage += usage
                        self._budget.note(usage)
                    if item in read.others and result.get("type") == "succeeded":
                        read.unclaimed[item] = result["message"]
                    if item in read.left:
                        yield reply_to_item(read.left.pop(item), result, self._service.scrubbed)
            except RequestError as failed:
                if reading == READINGS - 1 and read.left:
                    raise JudgeError(
                        f"the results of batch {name} cannot be read ({failed.reason}); {self._state.kept}: "
                        "run again to read the others"
                    ) from None
            else:
                if not read.left and not read.unread & read.others:
                    return


@dataclass(kw_only=True)
class Read:
    """What has been read of the results of a batch.

    Attributes:
        left: Questions of this round that have no reply yet, by custom id.
        unread: Custom ids, of earlier rounds too, whose result does not say yet what it took.
        others: Custom ids that this round does not ask for.
        usage: What those that are read took.
        unclaimed: Messages of the others, by custom id: paid for, so they are kept for a round that asks for them.
    """

    left: dict[str, Question]
    unread: set[str]
    others: frozenset[str] = frozenset()
    usage: Usage = field(default_factory=Usage)
    unclaimed: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def usage_of_item(result: Mapping[str, Any]) -> Usage | None:
    """Return what a result of a batch took; None if it was answered, and does not say."""
    if result.get("type") != "succeeded":
        return Usage()  # errored, expired and canceled are not charged
    usage = usage_of(result.get("message"))
    return None if usage == Usage() else usage


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
