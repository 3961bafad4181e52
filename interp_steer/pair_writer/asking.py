"""Ask Claude, and never the same thing twice: what was answered once is read from ``replies.jsonl``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interp_steer.claude.client import Claude
from interp_steer.claude.failures import MissingKeyError
from interp_steer.claude.questions import Question, Reply, Usage
from interp_steer.claude.state import State
from interp_steer.errors import JudgeError
from interp_steer.files import append_records, read_records
from interp_steer.progress import Advance
from interp_steer.records import digest

REPLIES = "replies.jsonl"
ACCOUNT = ".account.json"
"""What the behavior has cost, and its batches under way."""
GATE = "gate"
"""Purpose of the questions about obvious cases."""
OF_PAIRS = ("pairs", "judge")
"""Purposes of which one answer more or less does not matter: there are other pairs."""
FINAL = ("refused", "truncated")
"""Reasons for which a question of these is not asked again; every other question without an answer is, by the next
call, whatever the reason: a sheet, topics, the requests of a topic and the gate are what all pairs rest on."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A line of ``replies.jsonl``.

    Attributes:
        key: Digest of the model and of everything it was asked.
        purpose: What the question was for, e.g. ``pairs``.
        model: Who was asked.
        answer: The answer; None if there is none.
        reason: Why there is none.
        usage: Tokens it took.
    """

    key: str
    purpose: str
    model: str
    answer: Mapping[str, Any] | None
    reason: str | None
    usage: Usage


class Asker:
    """The two models of a writer behind one ledger and one limit of cost."""

    def __init__(
        self, folder: Path, *, batches: bool | None = None, concurrency: int = 8, max_cost: float | None = None
    ) -> None:
        """Read what was answered before.

        Args:
            folder: The behavior's folder, where replies and the ids of batches under way are kept.
            batches: Whether to use message batches; by default for more than 50 questions.
            concurrency: Most direct questions under way.
            max_cost: Most dollars to spend on this behavior, earlier calls included.
        """
        self._folder, self._batches, self._concurrency, self._max_cost = folder, batches, concurrency, max_cost
        self._held = {line.key: line for line in read_records(self._path, Answered)}
        self._asked: set[str] = set()

    @property
    def _path(self) -> Path:
        return self._folder / REPLIES

    @property
    def dollars(self) -> float | None:
        """What all replies took, those of earlier calls included; None if a price is unknown."""
        return State(self._folder / ACCOUNT).dollars

    @property
    def unsure_dollars(self) -> float:
        """Most dollars charged besides, over all calls: for replies that got lost, or wait in a batch."""
        return State(self._folder / ACCOUNT).unsure

    @property
    def unanswered(self) -> dict[str, int]:
        """Questions without an answer so far, by purpose and reason, e.g. ``topics: refused``."""
        without = [line for line in self._held.values() if line.answer is None]
        return dict(Counter(f"{line.purpose}: {line.reason}" for line in without).most_common())

    def answers(self, purpose: str) -> list[Mapping[str, Any]]:
        """Return all answers that were given for a purpose so far."""
        return [line.answer for line in self._held.values() if line.purpose == purpose and line.answer is not None]

    def ask(
        self, purpose: str, model: str, questions: Sequence[Question], advance: Advance | None = None
    ) -> Iterator[tuple[Question, Reply]]:
        """Yield every question with its reply: first what was answered before, then what comes.

        Raises:
            JudgeError: If there is no key, the service answers nothing any more, or the limit of cost is reached; what
                was answered is kept.
        """
        asked = {digest([model, one.system, one.prompt, dict(one.schema), one.max_tokens]): one for one in questions}
        for key, question in asked.items():
            held = self._held.get(key)
            if held is not None and (held.answer is not None or self._is_final(held)):
                yield question, Reply(key=question.key, answer=held.answer, reason=held.reason, usage=held.usage)
                asked = {other: one for other, one in asked.items() if other != key}
        if not asked:
            return
        by_key = {question.key: (key, question) for key, question in asked.items()}
        claude = Claude(
            model,
            batches=False if purpose == GATE else self._batches,
            concurrency=self._concurrency,
            max_cost=self._max_cost,
            state=self._folder / ACCOUNT,
            purpose=purpose,
            advance=advance,
        )
        try:
            with closing(claude.answers([question for _, question in by_key.values()])) as answers:
                for reply in answers:
                    key, question = by_key[reply.key]
                    line = Answered(
                        key=key,
                        purpose=purpose,
                        model=model,
                        answer=reply.answer,
                        reason=reply.reason,
                        usage=reply.usage,
                    )
                    append_records(self._path, [line])
                    self._held[key] = line
                    self._asked.add(key)
                    yield question, reply
        except MissingKeyError:
            raise JudgeError(
                "Claude needs a key: set ANTHROPIC_API_KEY in the environment, or let the model write its own pairs "
                "with --writer self"
            ) from None

    def _is_final(self, held: Answered) -> bool:
        """Whether a question without an answer is not asked again, by this call at least."""
        return held.reason in FINAL and (held.purpose in OF_PAIRS or held.key in self._asked)
