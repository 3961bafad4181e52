"""What an analysis of pairs looks at: the pairs a run was made with, and the layer that matters most."""

from interp_steer.behaviors import Pair
from interp_steer.errors import InterpSteerError
from interp_steer.outcomes import read_outcomes
from interp_steer.pairs import pairs_sha256, read_pairs
from interp_steer.run import Run


def run_pairs(run: Run, n: int) -> list[Pair] | None:
    """Return the n pairs of a run, or None where their file is gone or has changed since."""
    manifest = run.manifest()
    source = manifest.get("behavior_source", "")
    try:
        if pairs_sha256(source) == manifest["pairs"]["sha256"] and len(found := read_pairs(source)) == n:
            return found
    except (OSError, InterpSteerError):
        pass
    return None


def studied_layer(run: Run, n_layers: int) -> tuple[int, str]:
    """Return the best layer of the sweep, or the middle one before there is a sweep, and which of the two it is."""
    best = read_outcomes(run).best_cell()
    if best is not None and best.layer is not None:
        return best.layer, "best of the sweep"
    return n_layers // 2, "middle; no sweep yet"
