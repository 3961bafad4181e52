"""The folder of a behavior while pairs are added to it: nothing is overwritten, nothing is decided twice."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from interp_steer.behaviors import Pair
from interp_steer.errors import PairsError, RunError
from interp_steer.files import append_records, read_records, write_text
from interp_steer.pair_writer.filters import Fault, Reason, Rejected, pair_fault
from interp_steer.pair_writer.overlap import Seen
from interp_steer.pairs import numbered_lines, pair_of, read_behavior, record_of, text_of
from interp_steer.terms import Split

HELD_OUT: tuple[Split, ...] = ("dev", "test")
Identity = tuple[str, str, str]


class Collection:
    """The pairs of a behavior, on disk and in mind; hold its folder (:func:`holding`) while you add to it.

    Attributes:
        folder: The behavior's folder.
        behavior: What the pairs contrast.
        pairs: Training pairs, those that were there before included.
    """

    def __init__(self, folder: Path) -> None:
        """Read what the folder holds.

        Raises:
            BehaviorError: If its ``behavior.toml`` cannot be used.
            PairsError: If a line is malformed.
        """
        self.folder = folder
        self.behavior = read_behavior(folder.resolve())  # a name might be found elsewhere
        train = self._lines("train")
        held_out = [line for split in HELD_OUT for line in self._lines(split)]
        self.pairs = [pair_of(line) for line in train]
        self._rejected = {_identity(one): one for one in read_records(self._rejected_path, Rejected)}
        self._held_out = Seen(line["prompt"] for line in held_out)
        self._asked = Seen(pair.prompt for pair in self.pairs)
        self._said = Seen(line[side] for line in [*train, *held_out] if paired(line) for side in _SIDES)

    @property
    def _rejected_path(self) -> Path:
        return self.folder / "rejected.jsonl"

    def _lines(self, split: Split) -> list[dict[str, Any]]:
        path = self.folder / f"{split}.jsonl"
        lines = []
        for number, text in numbered_lines(path) if path.exists() else ():
            try:
                line = record_of(text)
                text_of(line, "prompt")
                if split == "train" or paired(line):
                    pair_of(line)
            except PairsError as error:
                raise PairsError(f"{path}:{number}: {error}") from error
            lines.append(line)
        return lines

    def prompts(self, split: Split) -> list[str]:
        """Return the prompts of a split."""
        return [line["prompt"] for line in self._lines(split)]

    def rejected(self, pair: Pair) -> bool:
        """Return whether this very pair was rejected before."""
        return _identity(pair) in self._rejected

    def reasons(self, *splits: Split) -> Counter[Reason]:
        """Count what was rejected of some splits, by reason; not where a proposal for the same prompt was kept."""
        answered = {pair.prompt for pair in self.pairs}
        answered.update(line["prompt"] for split in HELD_OUT for line in self._lines(split) if paired(line))
        return Counter(
            one.reason for one in self._rejected.values() if one.split in splits and one.prompt not in answered
        )

    def held_out(self) -> dict[str, tuple[int, int]]:
        """Return, for each held-out split, how many prompts have responses, and how many there are."""
        lines = {split: self._lines(split) for split in HELD_OUT}
        return {split: (sum(map(paired, every)), len(every)) for split, every in lines.items() if every}

    def hold_out(self, prompt: str) -> bool:
        """Set a prompt aside for a held-out split; False, and it is not, if it repeats another one."""
        if self.prompt_fault(prompt) is not None:
            return False
        self._held_out.add(prompt)
        return True

    def prompt_fault(self, prompt: str, *, chosen: bool = False) -> Fault | None:
        """Return why a training prompt cannot be used: it repeats another, of this split or of those held out.

        Args:
            prompt: The prompt.
            chosen: Whether a person has chosen it: among training prompts, it may then resemble others, as the
                questions of trait files do, and must only not be the same.
        """
        if (other := self._held_out.repeated_by(prompt)) is not None:
            return Fault(reason="split_leakage", detail=repr(other))
        if (other := self._asked.repeated_by(prompt, nearly=not chosen)) is not None:
            return Fault(reason="duplicate_prompt", detail=repr(other))
        return None

    def fault(self, pair: Pair) -> Fault | None:
        """Return what is wrong between the sides of a pair, or between them and the responses that are there."""
        if found := pair_fault(pair, self.behavior):
            return found
        for side in (pair.positive, pair.negative):
            if (other := self._said.repeated_by(side)) is not None:
                return Fault(reason="duplicate_response", detail=repr(other[:80]))
        return None

    def accept(self, pair: Pair) -> None:
        """Append a pair to ``train.jsonl``."""
        append_records(self.folder / "train.jsonl", [pair])
        self.pairs.append(pair)
        self._asked.add(pair.prompt)
        self._remember(pair)

    def reject(self, pair: Pair, fault: Fault, split: Split = "train") -> None:
        """Append a pair to ``rejected.jsonl``, unless it is there."""
        if self.rejected(pair):
            return
        line = Rejected(
            prompt=pair.prompt,
            positive=pair.positive,
            negative=pair.negative,
            reason=fault.reason,
            detail=fault.detail,
            topic=pair.topic,
            split=split,
        )
        append_records(self._rejected_path, [line])
        self._rejected[_identity(line)] = line

    def unanswered(self, split: Split) -> list[str]:
        """Return the held-out prompts that have no responses yet."""
        return [line["prompt"] for line in self._lines(split) if not paired(line)]

    def answer(self, split: Split, pairs: Iterable[Pair]) -> None:
        """Put the responses beside held-out prompts that have none; the rest of the file stays."""
        found = {pair.prompt: pair for pair in pairs}
        lines = self._lines(split)
        for line in lines:
            if not paired(line) and line["prompt"] in found:
                pair = found[line["prompt"]]
                line.update(positive=pair.positive, negative=pair.negative)
                self._remember(pair)
        write_lines(self.folder / f"{split}.jsonl", lines)

    def _remember(self, pair: Pair) -> None:
        for side in (pair.positive, pair.negative):
            self._said.add(side)


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a folder against other writers; if no behavior is in it at the end, nothing of it is left behind.

    Raises:
        RunError: If another process adds pairs to it, or it cannot be written.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise RunError(f"{folder} is being written by another process; wait for it") from error
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error
    try:
        yield
    finally:
        lock.release()
        if [path.name for path in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink()
            folder.rmdir()


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Replace a file of JSON lines whole."""
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def paired(line: dict[str, Any]) -> bool:
    """Return whether a line holds responses, not a prompt alone."""
    return any(side in line for side in _SIDES)


_SIDES = ("positive", "negative")


def end_last_line(path: Path) -> None:
    """End a last line that a person left open, so that it does not pass for one torn by a crash."""
    if not path.exists():
        return
    data = path.read_bytes()
    last = data.rpartition(b"\n")[2]
    if last.strip():
        try:
            json.loads(last)
        except ValueError:  # torn: appending drops it
            write_text(path, data[: len(data) - len(last)].decode())
        else:
            write_text(path, data.decode() + "\n")


def _identity(pair: Pair | Rejected) -> Identity:
    return pair.prompt, pair.positive, pair.negative
