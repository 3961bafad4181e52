"""What was spent, what may still be: nothing is sent whose worst case does not fit.

The worst case of a question takes every byte of its prompt for a token (a byte-level vocabulary has no token that is
less), writes what it shares with others to the cache, and has the longest answer. What is shared is counted by the
service, once, or taken by bytes where it cannot be. What a reply took replaces what was held for it; a reply that got
lost on the way may have been charged, so its worst case stays held.
"""

import json
import math
from collections.abc import Callable
from dataclasses import replace

from interp_steer.claude.prices import PRICES_DATE, Cost, dollars_for, price_of
from interp_steer.claude.questions import Question, Usage
from interp_steer.errors import JudgeError

FRAME_TOKENS = 1000
"""More than the service adds around a question: roles, and what it says about the schema."""

COUNTED_SLACK = 1.1
"""What the service counts beforehand may be a little less than what it charges."""


class CostLimitError(JudgeError):
    """The next question could exceed ``max_cost``; what was answered before has been given.

    Attributes:
        left: Questions that were not sent.
    """

    def __init__(self, message: str, *, left: int) -> None:
        super().__init__(message)
        self.left = left


class Budget:
    """The account of one model.

    Args:
        model: Whose prices hold.
        max_cost: Most dollars to spend; None for no limit.
        count: Counts the input tokens of a question; None where it cannot. Used only where there is a limit.

    Raises:
        JudgeError: If there is a limit and the model's price is unknown, or the limit is no amount of money.
    """

    def __init__(
        self, model: str, max_cost: float | None, count: Callable[[Question], int | None] = lambda _: None
    ) -> None:
        self._count = count
        self._shared: dict[tuple[str, str], int] = {}
        self._price = price_of(model)
        self.max_cost = max_cost
        self._usage = Usage()
        self._dollars = 0.0
        self._held = 0.0
        if max_cost is not None and not (math.isfinite(max_cost) and max_cost > 0):
            raise JudgeError(f"max cost is {max_cost}: expected an amount of dollars above 0")
        if max_cost is not None and self._price is None:
            raise JudgeError(
                f"max cost cannot be kept: the price table of {PRICES_DATE} does not know {model!r}; "
                "leave the limit out, or choose a model with a known price"
            )

    @property
    def spent(self) -> Cost:
        """What the replies so far took."""
        return Cost(usage=self._usage, dollars=None if self._price is None else self._dollars)

    def worst(self, question: Question, *, batch: bool) -> float:
        """Return the most dollars a question can cost; 0 where there is no limit to keep."""
        if self.max_cost is None or self._price is None:
            return 0.0
        usage = Usage(
            input_tokens=len(question.prompt.encode()),
            cache_write_tokens=self._shared_tokens(question),
            output_tokens=question.max_tokens,
        )
        return dollars_for(usage, self._price, batch=batch)

    def _shared_tokens(self, question: Question) -> int:
        """Return the most tokens that all but the prompt can have."""
        shared = question.system, json.dumps(question.schema, ensure_ascii=False)
        if shared not in self._shared:
            counted = self._count(replace(question, prompt="."))
            by_bytes = len("".join(shared).encode()) + FRAME_TOKENS
            self._shared[shared] = by_bytes if counted is None else math.ceil(COUNTED_SLACK * counted)
        return self._shared[shared]

    def hold(self, dollars: float, *, committed: bool = False) -> bool:
        """Set dollars aside; False, and nothing is set aside, if they do not fit and are not committed anyway."""
        if not committed and self.max_cost is not None and self._dollars + self._held + dollars > self.max_cost:
            return False
        self._held += dollars
        return True

    def has_room(self, share: float) -> bool:
        """Whether more than a share of the limit is neither spent nor set aside."""
        return self.max_cost is None or self._dollars + self._held < (1 - share) * self.max_cost

    def settle(self, held: float, usage: Usage, *, batch: bool) -> None:
        """Replace what was held for a question by what it took."""
        self._held -= held
        self._usage += usage
        if self._price is not None:
            self._dollars += dollars_for(usage, self._price, batch=batch)

    def stop(self, left: int) -> CostLimitError:
        """Return the error that says where the money ended."""
        return CostLimitError(
            f"stopped before the limit of ${self.max_cost:g}: ${self._dollars:.4f} spent, {left} questions not asked; "
            "what was answered is kept: raise the limit and run again to go on",
            left=left,
        )
