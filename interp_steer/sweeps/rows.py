"""The rows of a sweep: which are to be done, and whether they belong with those already there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from interp_steer.behaviors import EvaluationPrompt
from interp_steer.errors import RunError
from interp_steer.records import Cell, ModelCard, digest, from_json, generation_key, to_json
from interp_steer.run import Run
from interp_steer.sweeps.grid import SweepSpec


@dataclass(frozen=True, kw_only=True)
class SweepRow:
    """One completion to make: a prompt, answered at a cell."""

    prompt: EvaluationPrompt
    cell: Cell
    sample: int

    @property
    def key(self) -> str:
        """The key its generation will have."""
        return generation_key(self.prompt.id, self.cell, self.sample)

    def seed(self, seed: int) -> int:
        """The same prompt and sample draws the same random numbers in every cell, so that cells pair up."""
        return int(digest([seed, self.prompt.id, self.sample])[:15], 16)


def rows_to_do(
    prompts: Sequence[EvaluationPrompt], cells: Sequence[Cell], spec: SweepSpec, done: Collection[str]
) -> list[SweepRow]:
    """Return the rows of ``prompts x cells x samples`` whose key is not among ``done``, each key once."""
    rows = (
        SweepRow(prompt=prompt, cell=cell, sample=sample)
        for prompt in prompts
        for cell in cells
        for sample in range(spec.samples)
    )
    return list({row.key: row for row in rows if row.key not in done}.values())


def claim_model(run: Run, card: ModelCard) -> None:
    """Record the model of a sweep, or refuse one that would answer differently from what the run was begun with.

    Raises:
        RunError: Naming what differs: weights, dtype, or tokenizer and chat template.
    """
    if "model" not in run.manifest():
        run.update_manifest(model=to_json(card))
    held = run.model_card()
    for name in ("fingerprint", "dtype", "template"):
        before, now = getattr(held, name), getattr(card, name)
        if before != now:
            raise RunError(
                f"{run.path} was begun with another {name}: {before} there, {now} here; choose another --out"
            )


def claim_spec(run: Run, spec: SweepSpec, *, started: bool) -> None:
    """Record the specification of a sweep, or refuse one that differs from what the run was begun with.

    Args:
        run: The run directory.
        spec: What is about to be swept.
        started: Whether the run holds generations already.

    Raises:
        RunError: Naming every field that differs.
    """
    if started and "sweep" in run.manifest():
        check_spec(run, spec)
    else:
        run.update_manifest(sweep=to_json(spec))


def check_spec(run: Run, spec: SweepSpec) -> None:
    """Refuse a specification that differs from the one a run holds generations of.

    Raises:
        RunError: Naming every field that differs.
    """
    wanted, held = to_json(spec), run.manifest()["sweep"]
    before = to_json(from_json(SweepSpec, held))
    changed = [f"{name}: {before[name]!r} -> {wanted[name]!r}" for name in wanted if before[name] != wanted[name]]
    if changed:
        raise RunError(
            f"{run.path} already holds generations of another sweep ({'; '.join(changed)}); "
            "use the same settings to continue, or another --out"
        )
