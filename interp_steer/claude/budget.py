"""What was spent, what may still be: nothing is sent whose worst case does not fit.

The worst case of a question takes every byte of its prompt for a token (a byte-level vocabulary has no token that is
less), writes what it shares with others to the cache, and has the longest answer. What is shared is counted by the
service, once, or taken by bytes where it cannot be. What a reply took replaces what was held for it. A request that
got lost on the way may have been charged, so its worst case stays held, and its repetition takes a hold of its own.

Holds are kept whether or not there is a limit, and outlive the process (:mod:`interp_steer.claude.state`): a limit that
is set later counts what was begun without one.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from interp_steer.claude.prices import PRICES_DATE, Cost, dollars_for, price_of
from interp_steer.claude.questions import Question, Usage
from interp_steer.claude.state import Batch, Charges, State
from interp_steer.claude.thinking import thinking_room
from interp_steer.errors import JudgeError

FRAME_TOKENS = 1000
"""More than the service adds around a question: roles, and what it says about the schema."""

COUNTED_SLACK = 1.1
"""What the service counts beforehand may be a little less than what it charges."""

ROUNDING = 1e-9
"""Dollars, less than any token costs: sums of many holds end a little above or below nothing."""

NOTHING = Usage()
AHEAD = 16
"""Questions whose worst case is written down at once; what a killed process did not use of it counts as lost."""


class CostLimitError(JudgeError):
    """The next question could exceed ``max_cost``; what was answered before has been given.

    Attributes:
        left: Questions that were not sent.
    """

    def __init__(self, message: str, *, left: int) -> None:
        super().__init__(message)
        self.left = left


class Budget:
    """The account of one model; may be used by several threads.

    Args:
        model: Whose prices hold.
        max_cost: Most dollars that all which the state holds may cost; None for no limit.
        state: What was spent and begun before, and where it is written down.
        count: Counts the input tokens of a question; None where it cannot. Used only where there is a limit.

    Raises:
        JudgeError: If there is a limit and a model's price is unknown, or the limit is no amount of money.
    """

    def __init__(
        self,
        model: str,
        max_cost: float | None,
        state: State | None = None,
        count: Callable[[Question], int | None] = lambda _: None,
    ) -> None:
        self._model = model
        self._state = state or State(None)
        self._count = count
        self._shared: dict[tuple[str, str], int] = {}
        self._price = price_of(model)
        self._lock = Lock()
        self._round = 0
        self.max_cost = max_cost
        self._usage = Usage()
        self._dollars: float | None = 0.0
        if max_cost is not None and not (math.isfinite(max_cost) and max_cost > 0):
            raise JudgeError(f"max cost is {max_cost}: expected an amount of dollars above 0")
        unknown = [name for name, known in self._state.charges.items() if known.dollars is None]
        if max_cost is not None and (self._price is None or unknown):
            raise JudgeError(
                f"max cost cannot be kept: the price table of {PRICES_DATE} does not know "
                f"{model if self._price is None else unknown[0]!r}; leave the limit out, or choose a model with a "
                "known price"
            )

    @property
    def spent(self) -> Cost:
        """What the replies so far took, those of earlier processes not included."""
        return Cost(usage=self._usage, dollars=None if self._price is None else self._dollars)

    @property
    def charges(self) -> Charges:
        """What the model has cost altogether, and may have cost."""
        return self._state.charges.get(self._model, Charges())

    def worst(self, question: Question, *, batch: bool) -> float:
        """Return the most dollars a question can cost; 0 where the price is not known."""
        if self._price is None:
            return 0.0
        usage = Usage(
            input_tokens=len(question.prompt.encode()),
            cache_write_tokens=self._shared_tokens(question),
            output_tokens=question.max_tokens + thinking_room(self._model),
        )
        return dollars_for(usage, self._price, batch=batch)

    def _shared_tokens(self, question: Question) -> int:
        """Return the most tokens that all but the prompt can have."""
        shared = question.system, json.dumps(question.schema, ensure_ascii=False)
        if shared not in self._shared:
            counted = None if self.max_cost is None else self._count(replace(question, prompt="."))
            by_bytes = len("".join(shared).encode()) + FRAME_TOKENS
            self._shared[shared] = by_bytes if counted is None else math.ceil(COUNTED_SLACK * counted)
        return self._shared[shared]

    def fits(self, dollars: float) -> bool:
        """Whether dollars could be spent on top of all that was spent, got lost, or is under way."""
        return self.max_cost is None or self._committed + dollars <= self.max_cost

    def has_room(self, share: float) -> bool:
        """Whether more than a share of the limit is neither spent nor set aside."""
        return self.max_cost is None or self._committed < (1 - share) * self.max_cost

    @property
    def _committed(self) -> float:
        return (self._state.dollars or 0.0) + self._state.unsure

    def begin(self) -> int:
        """Begin a round of requests and return its number."""
        with self._lock:
            self._round += 1
            return self._round

    def hold(self, dollars: float) -> bool:
        """Set dollars aside for a request, on the disk as well; False, and nothing is set aside, if they do not fit."""
        with self._lock:
            return self._held(dollars)

    def hold_again(self, dollars: float, number: int) -> bool:
        """Set dollars aside for the repetition of a request that got lost.

        Args:
            dollars: Worst case of either.
            number: Of the round; once that has ended, nothing is repeated.
        """
        with self._lock:
            if number != self._round or not self._held(dollars):
                return False
            self._change(opened=-dollars, lost=dollars)
            return True

    def _held(self, dollars: float) -> bool:
        if not self.fits(dollars):
            return False
        self._change(opened=dollars)
        known = self.charges
        total = (known.dollars or 0.0) + known.lost + known.open
        if total > self._state.bounds.get(self._model, 0.0):
            room = math.inf if self.max_cost is None else max(0.0, self.max_cost - self._committed)
            self._state.bounds[self._model] = total + min(AHEAD * dollars, room)
            self._state.write()
        return True

    def settle(self, held: float, usage: Usage) -> None:
        """Replace what was held for a request by what its reply took: nothing, if it was refused."""
        with self._lock:
            self._note(usage, batch=False)
            self._change(opened=-held, usage=usage)

    def lose(self, held: float) -> None:
        """Keep what was held for a request that may have been charged."""
        with self._lock:
            self._change(opened=-held, lost=held)

    def note(self, usage: Usage) -> None:
        """Count what a question of a batch took as spent by this process; :meth:`close` charges the batch."""
        with self._lock:
            self._note(usage, batch=True)

    def close(self, batch: Batch, usage: Usage, unread: int) -> None:
        """Replace what was held for a batch by what it took, and forget it.

        Args:
            batch: The batch.
            usage: Of all its results.
            unread: Questions without a result, which may have been charged.
        """
        with self._lock:
            self._change(usage=usage, lost=batch.held * unread / len(batch.items), batch=True)
            self._state.drop(batch)

    def end(self) -> None:
        """End a round: what is still under way may be charged, and is not waited for."""
        with self._lock:
            self._round += 1
            self._change(opened=-self.charges.open, lost=self.charges.open)
            self._state.bounds.pop(self._model, None)
            self._state.write()

    def _note(self, usage: Usage, *, batch: bool) -> None:
        self._usage += usage
        if self._price is not None and self._dollars is not None:
            self._dollars += dollars_for(usage, self._price, batch=batch)

    def _change(self, *, opened: float = 0.0, lost: float = 0.0, usage: Usage = NOTHING, batch: bool = False) -> None:
        known = self.charges
        dollars = None
        if self._price is not None and known.dollars is not None:
            dollars = known.dollars + dollars_for(usage, self._price, batch=batch)
        self._state.charges[self._model] = Charges(
            usage=known.usage + usage,
            dollars=dollars,
            lost=known.lost + lost,
            open=still if (still := known.open + opened) > ROUNDING else 0.0,
        )

    def stop(self, left: int) -> CostLimitError:
        """Return the error that says where the money ended."""
        unsure = self._state.unsure
        besides = f", ${unsure:.4f} held for what is under way or got lost and may be charged" if unsure else ""
        return CostLimitError(
            f"stopped before the limit of ${self.max_cost:g}: ${self._state.dollars or 0.0:.4f} spent{besides}, {left} "
            "questions not asked; what was answered is kept: raise --max-cost and run again to go on",
            left=left,
        )
