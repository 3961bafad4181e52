"""Which batches are under way: written down before they are waited for, so that none is paid twice."""

from dataclasses import dataclass
from pathlib import Path

from interp_steer.claude.questions import Question
from interp_steer.errors import JudgeError, RunError
from interp_steer.files import parsed, record_of, write_json
from interp_steer.records import digest, to_json


def custom_id(model: str, question: Question) -> str:
    """Return what a question is called within a batch: the same in every process that asks the same."""
    return digest([model, question.key, question.system, question.prompt, dict(question.schema), question.max_tokens])


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch that was handed in.

    Attributes:
        id: Its id at the service.
        items: Custom ids of its questions, in order; each is a digest of model and question.
        held: Dollars that it may cost at most; 0 where no limit was kept.
    """

    id: str
    items: tuple[str, ...]
    held: float

    @property
    def held_for_one(self) -> float:
        """Dollars that one of its questions may cost, on average."""
        return self.held / len(self.items)


class State:
    """The batches under way, in a JSON file.

    Args:
        path: The file; None keeps them in memory, and a batch is lost with the process.

    Raises:
        JudgeError: If the file is not one of these.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.batches: dict[str, Batch] = {}
        if path is None or not path.exists():
            return
        remedy = "restore the file, or delete it and pay for its batches again"
        try:
            data = parsed(path.read_bytes(), str(path), remedy)
            entries = data["batches"] if isinstance(data, dict) and isinstance(data.get("batches"), list) else [None]
            batches = [record_of(Batch, entry, str(path), remedy) for entry in entries]
        except RunError as error:
            raise JudgeError(str(error)) from error
        self.batches = {batch.id: batch for batch in batches}

    def add(self, batch: Batch) -> None:
        """Write down a batch."""
        self.batches[batch.id] = batch
        self._write()

    def drop(self, batch: str) -> None:
        """Forget a batch whose replies have been taken."""
        del self.batches[batch]
        self._write()

    @property
    def kept(self) -> str:
        """Where the ids are, for a message."""
        return f"the ids are kept in {self._path}" if self._path is not None else "the ids were not kept"

    def _write(self) -> None:
        if self._path is not None:
            write_json(self._path, {"batches": [to_json(batch) for batch in self.batches.values()]})
