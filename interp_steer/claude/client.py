"""Claude as an instrument: every question gets exactly one reply, or the round stops and says why."""

import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from interp_steer.claude.budget import Budget, CostLimitError
from interp_steer.claude.failures import RequestError
from interp_steer.claude.prices import Cost
from interp_steer.claude.questions import Question, Reply
from interp_steer.claude.state import Charges, State
from interp_steer.errors import JudgeError
from interp_steer.progress import Advance, progress

if TYPE_CHECKING:
    from interp_steer.claude.service import Service

BATCHES_ABOVE = 50
"""More questions than this are handed in as batches, unless told otherwise."""

OUTSIDE = ("rejected", "overloaded", "server error", "timeout", "connection lost")
"""How reasons begin that are not about the answer."""

STOP_AFTER = 20
"""So many replies in a row without an answer, for the same one of these reasons, mean that the rest would have none."""


class Claude:
    """One model, asked through the API; nothing is sent before the first reply is asked for.

    The key is read from the environment by the SDK and kept nowhere else.

    Args:
        model: Name of the model, e.g. ``claude-haiku-4-5``.
        batches: Whether to use message batches (half the price, an answer within a day); by default for more than
            50 questions.
        concurrency: Most direct questions under way at a time.
        max_cost: Most dollars that everything in ``state`` may cost, earlier processes and other models included; all
            rounds of this object, where there is no such file.
        state: File in which batches under way are kept, so that a later process goes on with them, and the costs.
        purpose: What the questions are for; batches that hold the same ones for another purpose are left alone.
        retries: How often a request that failed for a passing reason (overload, lost connection) is repeated.
        timeout: Seconds that one attempt may take; by default 120, or more where the answer may be long.
        patience: Seconds that a batch is waited for; the service ends every batch within 24 hours.
        poll: Seconds between the first two looks at a batch; the pauses grow to a minute.
        advance: Told what is waited for, as ``advance(0, note)``; by default a bar of its own is shown on stderr
            while there are batches.

    Raises:
        JudgeError: If ``max_cost`` cannot be kept, since a model's price is not known, or the state is damaged.
    """

    def __init__(
        self,
        model: str,
        *,
        batches: bool | None = None,
        concurrency: int = 8,
        max_cost: float | None = None,
        state: Path | None = None,
        purpose: str = "",
        retries: int = 5,
        timeout: float | None = None,
        patience: float = 25 * 3600.0,
        poll: float = 2.0,
        advance: Advance | None = None,
    ) -> None:
        self.model = model
        self._batches = batches
        self._concurrency = concurrency
        self._state = State(state)
        self._purpose = purpose
        self._retries = retries
        self._timeout = timeout
        self._patience = patience
        self._poll = poll
        self._advance = advance
        self._budget = Budget(model, max_cost, self._state, self._count)

    @property
    def spent(self) -> Cost:
        """What all replies to this object took."""
        return self._budget.spent

    @property
    def charges(self) -> Charges:
        """What the model has cost, and may have cost, since the file of the state was made."""
        return self._budget.charges

    @cached_property
    def _service(self) -> "Service":
        from interp_steer.claude.service import Service

        return Service(self.model, retries=self._retries, timeout=self._timeout)

    def _close(self) -> None:
        """Give back the connections; the next round makes new ones."""
        if (service := self.__dict__.pop("_service", None)) is not None:
            service.close()

    def _count(self, question: Question) -> int | None:
        try:
            return self._service.count(question)
        except (RequestError, JudgeError):  # what is wrong with the service shows when it is asked
            return None

    def answers(self, questions: Iterable[Question]) -> Generator[Reply, None, None]:
        """Yield exactly one reply per question, in any order, as they come.

        Questions are drawn as they are sent. Write each reply down before taking the next: a batch is forgotten when
        the reply after its last one is asked for.

        Args:
            questions: Each with its own key.

        Raises:
            MissingKeyError: If there is no key.
            CostLimitError: If the rest does not fit ``max_cost``; what was sent has been answered before.
            JudgeError: If the service refuses the key or the model, answers nothing any more, or a batch does not
                end. What is written down in ``state`` is taken up when the same questions are asked again.
        """
        from interp_steer.claude.direct import ask_directly  # what imports the SDK takes a second
        from interp_steer.claude.message_batches import Batches
        from interp_steer.claude.patience import Patience

        with ExitStack() as stack:
            stack.callback(self._close)
            bar = Bar(self._advance, stack)
            patience = Patience(poll=self._poll, total=self._patience, show=bar.show)
            batches = Batches(self._service, self._budget, self._state, self._purpose, patience)
            new = batches.new(iter(questions))
            first = list(itertools.islice(new, BATCHES_ABOVE + 1)) if self._batches is None else []
            rest = itertools.chain(first, new)
            in_batches = self._batches or len(first) > BATCHES_ABOVE
            try:
                if in_batches:
                    yield from while_it_answers(bar.counting(batches.ask(rest)), None)
                else:
                    asked = ask_directly(rest, self._service, self._budget, self._concurrency)
                    directly = stack.enter_context(closing(asked))  # what is under way is lost at once, not some day
                    yield from while_it_answers(directly, STOP_AFTER)
            except CostLimitError:
                yield from bar.counting(batches.found())
                raise
            yield from bar.counting(batches.found())


class Bar:
    """What is shown while batches are waited for: the caller's bar, or one of its own."""

    def __init__(self, advance: Advance | None, stack: ExitStack) -> None:
        self._callers = advance
        self._stack = stack
        self._own: Advance | None = None

    def show(self, questions: int, note: str) -> None:
        """Show what is under way."""
        if self._callers is None and self._own is None:
            self._own = self._stack.enter_context(progress("Claude", total=questions))
        (self._callers or self._own or (lambda _n, _note: None))(0, note)

    def counting(self, replies: Iterator[Reply]) -> Iterator[Reply]:
        """Yield replies and count them on the own bar; a caller counts what it takes by itself."""
        for reply in replies:
            if self._own is not None:
                self._own(1, "")
            yield reply


def while_it_answers(replies: Iterator[Reply], stop_after: int | None) -> Iterator[Reply]:
    """Yield replies until it is clear that no more answers will come.

    Args:
        replies: One after the other.
        stop_after: So many in a row without an answer, for the same reason outside of it, are enough; None: never,
            since all are there already.

    Raises:
        JudgeError: If there were so many, or if each of two or more questions was rejected.
    """
    in_a_row, last, number, rejected = 0, None, 0, 0
    for reply in replies:
        yield reply
        number += 1
        rejected += reply.reason is not None and reply.reason.startswith("rejected")
        outside = reply.reason is not None and reply.reason.startswith(OUTSIDE)
        in_a_row = in_a_row + 1 if outside and reply.reason == last else int(outside)
        last = reply.reason
        if in_a_row == stop_after:
            raise JudgeError(f"Claude did not answer {in_a_row} questions in a row ({last}); run again to go on")
    if rejected == number > 1:
        raise JudgeError(f"Claude answered none of {number} questions ({last})")
