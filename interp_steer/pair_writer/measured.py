"""What a behavior's pairs tell of how to measure it: learned again as they grow, and never over a person's work."""

from dataclasses import dataclass, replace

from interp_steer.behavior_toml import behavior_toml
from interp_steer.behaviors import Behavior, Gate, ScorerSpec
from interp_steer.files import parsed, record_of, write_json, write_text
from interp_steer.judges.scorers import NO_SCORER
from interp_steer.pair_import.scaffold import measured_by_pairs
from interp_steer.pair_writer.collection import Collection
from interp_steer.records import digest, to_json

MEASURED = ".measured.json"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was learned last, to be told from what a person has changed since.

    Attributes:
        pairs: Digest of the pairs it was learned from.
        scorer: Digest of the scorer.
        gate: Digest of the gate, if it was made of a pair; else empty.
        before: Notes of the behavior before.
        notes: And after.
    """

    pairs: str
    scorer: str
    gate: str
    before: str
    notes: str


def measure(collection: Collection) -> None:
    """Learn an offline scorer from the pairs of a behavior that was made here, if there are others than last time.

    A scorer that a person has edited since stays, and so does all that was not learned.

    Raises:
        RunError: If the folder cannot be written, or the record of the last time is damaged.
    """
    path, behavior, pairs = collection.folder / MEASURED, collection.behavior, collection.pairs
    learned_from = digest([to_json(pair) for pair in pairs])
    if not pairs:
        return
    if path.exists():
        remedy = "delete the file: the scorer then stays as it is"
        known = record_of(Measured, parsed(path.read_bytes(), str(path), remedy), str(path), remedy)
        if known.pairs == learned_from or known.scorer != _digest(behavior.scorer):
            return
        plain = _without(behavior, known)
    elif "offline scorer" in behavior.notes.lower():
        return
    else:
        plain = behavior
    found = measured_by_pairs(plain, pairs)
    write_text(collection.folder / "behavior.toml", behavior_toml(found))
    record = Measured(
        pairs=learned_from,
        scorer=_digest(found.scorer),
        gate="" if found.gate == plain.gate else _digest(found.gate),
        before=plain.notes,
        notes=found.notes,
    )
    write_json(path, to_json(record))


def _without(behavior: Behavior, known: Measured) -> Behavior:
    """Return a behavior without what was learned."""
    made = known.gate == _digest(behavior.gate)
    return replace(
        behavior,
        scorer=ScorerSpec(name=NO_SCORER),
        gate=Gate(prompt=behavior.gate.prompt, high=(), low=(), gibberish=()) if made else behavior.gate,
        notes=_unlearned(behavior.notes, known),
    )


def _unlearned(notes: str, known: Measured) -> str:
    """Return notes without the lines that were learned; what a person has written since stays."""
    learned = known.notes.removeprefix(known.before.strip()).split("\n")
    return "\n".join(line for line in notes.split("\n") if not line or line not in learned)


def _digest(part: ScorerSpec | Gate) -> str:
    return digest([to_json(part)])
