"""Artifacts that need a model and may be missing: what a heuristic reads, or why it is absent."""

from interp_steer.run import Run
from interp_steer.sweeps.margins import Propensity, read_propensity, vectors_digest
from interp_steer.sweeps.shifts import Pushes, read_pushes
from interp_steer.vectors.vector import read_vectors


def usable_pushes(run: Run) -> Pushes | str:
    """Return the pushes of a run, or why there are none to use.

    Raises:
        RunError: If a file is there and cannot be read.
    """
    remedy = f"run 'interp-steer pushes {run.path.name}' first"
    if not run.pushes_path.exists():
        return f"no push was measured; {remedy}"
    pushes = read_pushes(run.pushes_path)
    return pushes if _fits(run, pushes.card.vectors) else f"the pushes are of other vectors; {remedy}"


def usable_propensity(run: Run) -> Propensity | str:
    """Return the propensity of a run, or why there is none to use.

    Raises:
        RunError: If a file is there and cannot be read.
    """
    remedy = f"run 'interp-steer propensity {run.path.name}' first"
    if not run.propensity_path.exists():
        return f"no propensity was measured; {remedy}"
    found = read_propensity(run.propensity_path)
    if found.card.spec.operation != "add":
        return f"the propensity is of the operation {found.card.spec.operation!r}, which has no natural dose"
    return found if _fits(run, found.card.vectors) else f"the propensity is of other vectors; {remedy}"


def _fits(run: Run, digest: str) -> bool:
    return run.vectors_path.exists() and vectors_digest(read_vectors(run.vectors_path)) == digest
