"""Questions cut into batches: as many as one may hold, and as the budget has room for."""

from collections.abc import Iterator

from interp_steer.claude.budget import Budget
from interp_steer.claude.questions import Question
from interp_steer.claude.state import custom_id
from interp_steer.errors import JudgeError

MOST_QUESTIONS = 2_000
MOST_BYTES = 32_000_000
"""The service takes 100,000 questions and 256 MB; less keeps memory flat and comes back sooner."""

NOT_WORTH = 0.1
"""Once the budget has cut a batch, its last tenth buys no more of them: each may take an hour."""


class Chunks:
    """The questions, chunk by chunk.

    Attributes:
        waiting: The next question; None when all have been given out.
    """

    def __init__(self, questions: Iterator[Question], purpose: str, model: str, budget: Budget) -> None:
        self._questions = questions
        self._purpose = purpose
        self._model = model
        self._budget = budget
        self._cut = False
        self.waiting = next(questions, None)

    def next(self) -> tuple[dict[str, Question], float]:
        """Return the next questions by custom id, and the most dollars they cost; no questions where none fit.

        Raises:
            JudgeError: If a question is there twice.
        """
        chunk: dict[str, Question] = {}
        worst, size = 0.0, 0
        if self._cut and not self._budget.has_room(NOT_WORTH):
            return chunk, worst
        while self.waiting is not None and len(chunk) < MOST_QUESTIONS and size < MOST_BYTES:
            more = self._budget.worst(self.waiting, batch=True)
            if not self._budget.fits(worst + more):
                self._cut = True
                break
            name = custom_id(self._purpose, self._model, self.waiting)
            if name in chunk:
                raise JudgeError(f"question {self.waiting.key!r} is there twice; give each its own key")
            chunk[name] = self.waiting
            worst += more
            size += len(self.waiting.system.encode()) + len(self.waiting.prompt.encode()) + 2_000
            self.waiting = next(self._questions, None)
        return chunk, worst

    def count_left(self) -> int:
        """Draw the questions that were not given out, and return how many they are."""
        return 0 if self.waiting is None else 1 + sum(1 for _ in self._questions)
