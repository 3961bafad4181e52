"""What is written down before it is sent: the batches under way, and what may be charged for questions.

One JSON file for a run or a behavior, and beside it the answers that nobody has asked for yet. A batch is written down
before it is handed in, without its id; a process that ends before the id comes leaves that entry, and the next one
looks for the batch at the service instead of paying for it again. The money is a bound: what the file holds is never
less than what may have been charged.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from interp_steer.claude.questions import Question, Usage
from interp_steer.errors import JudgeError, RunError
from interp_steer.files import append_records, parsed, read_records, record_of, write_json
from interp_steer.records import digest, to_json


def custom_id(purpose: str, model: str, question: Question) -> str:
    """Return what a question is called within a batch: the same in every process that asks the same for a purpose."""
    return digest(
        [purpose, model, question.key, question.system, question.prompt, dict(question.schema), question.max_tokens]
    )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch that was, or may have been, handed in.

    Attributes:
        id: Its id at the service; empty while it is not known whether it was taken.
        purpose: What its questions are for: the same question may be asked for two purposes.
        items: Custom ids of its questions, in order; each is a digest of purpose, model and question.
        held: Dollars that it may cost at most; 0 where the price is not known.
        begun: When it was about to be handed in, in seconds since 1970 by the clock of this machine.
    """

    id: str
    purpose: str
    items: tuple[str, ...]
    held: float
    begun: float


@dataclass(frozen=True, kw_only=True)
class Charges:
    """What one model has cost, and may have cost besides, apart from batches under way.

    Attributes:
        usage: Tokens of the replies.
        dollars: Their price; None if it is not known.
        lost: Most dollars that may have been charged for requests whose replies got lost.
        open: Most dollars that may be charged for requests under way. What a process left here as it was killed is
            lost.
    """

    usage: Usage = field(default_factory=Usage)
    dollars: float | None = 0.0
    lost: float = 0.0
    open: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Unclaimed:
    """An answer that was paid for in a batch, read by a round which did not ask for it.

    Attributes:
        item: Custom id of its question.
        message: What the service sent.
    """

    item: str
    message: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What the file of a :class:`State` holds."""

    charges: dict[str, Charges]
    batches: tuple[Batch, ...]


class State:
    """The batches under way and the charges, in a JSON file.

    Args:
        path: The file; None keeps them in memory, and a batch is lost with the process.

    Attributes:
        charges: By model.
        batches: In the order in which they were begun.
        bounds: By model, dollars up to which requests may be made before the file is written again.
        unclaimed: Messages by custom id: answers that were paid for, and read when nobody asked for them.

    Raises:
        JudgeError: If the file is not one of these.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._unclaimed_path = path and path.with_name(f"{path.stem}-unclaimed.jsonl")
        self.unclaimed: dict[str, Mapping[str, Any]] = {}
        self.charges: dict[str, Charges] = {}
        self.batches: list[Batch] = []
        self.bounds: dict[str, float] = {}
        if path is None or self._unclaimed_path is None:
            return
        remedy = "restore the file, or delete it: its batches are then paid for again, and its costs are forgotten"
        try:
            self.unclaimed = {one.item: one.message for one in read_records(self._unclaimed_path, Unclaimed)}
            if not path.exists():
                return
            kept = record_of(Ledger, parsed(path.read_bytes(), str(path), remedy), str(path), remedy)
        except RunError as error:
            raise JudgeError(str(error)) from error
        self.batches = list(kept.batches)
        for model, known in kept.charges.items():
            self.charges[model] = replace(known, lost=known.lost + known.open, open=0.0)

    @property
    def dollars(self) -> float | None:
        """What the replies have cost; None if the price of a model is not known."""
        prices = [known.dollars for known in self.charges.values()]
        return None if None in prices else sum(price for price in prices if price is not None)

    @property
    def unsure(self) -> float:
        """Most dollars that may be charged besides: for what got lost, is under way, or waits in a batch."""
        return sum(known.lost + known.open for known in self.charges.values()) + sum(one.held for one in self.batches)

    @property
    def kept(self) -> str:
        """Where the ids of batches are, for a message."""
        return f"the ids are kept in {self._path}" if self._path is not None else "the ids were not kept"

    def paid(self, purpose: str) -> frozenset[str]:
        """Return the custom ids of the questions in batches for a purpose, and of answers that nobody asked for yet."""
        under_way = (item for batch in self.batches if batch.purpose == purpose for item in batch.items)
        return frozenset((*under_way, *self.unclaimed))

    def begin(self, batch: Batch) -> None:
        """Write down a batch that is about to be handed in."""
        self.batches.append(batch)
        self.write()

    def name(self, batch: Batch, name: str) -> Batch:
        """Write down the id of a batch, and return it with that id."""
        named = replace(batch, id=name)
        self.batches[self.batches.index(batch)] = named
        self.write()
        return named

    def keep(self, messages: Mapping[str, Mapping[str, Any]]) -> None:
        """Write down answers that were paid for and not asked for, by custom id."""
        self.unclaimed.update(messages)
        if self._unclaimed_path is not None and messages:
            lines: Iterable[Unclaimed] = (Unclaimed(item=item, message=said) for item, said in messages.items())
            append_records(self._unclaimed_path, lines)

    def drop(self, batch: Batch) -> None:
        """Forget a batch that was not taken, or whose replies have been taken."""
        self.batches.remove(batch)
        self.write()

    def write(self) -> None:
        """Replace the file; what it says of each model adds up to :attr:`bounds` at least.

        There is no file where there is nothing to say.
        """
        if self._path is None:
            return
        if not self.batches and not self.bounds and all(known == Charges() for known in self.charges.values()):
            self._path.unlink(missing_ok=True)
            return
        charges = {}
        for model, known in self.charges.items():
            bound = self.bounds.get(model, 0.0) - (known.dollars or 0.0) - known.lost
            charges[model] = replace(known, open=max(known.open, bound))
        write_json(self._path, to_json(Ledger(charges=charges, batches=tuple(self.batches))))
