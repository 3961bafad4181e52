"""Does a head still read right on what the model itself wrote, steered and not?

Generations of a sweep are read again by the *unsteered* model, so that the head sees the text and not the vector,
and compared with the judge's behavior score.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from interp_steer.errors import TemplateError
from interp_steer.heads.head import GeneratedScores, Head
from interp_steer.heads.read import read_text
from interp_steer.model.protocol import Model
from interp_steer.outcomes import Judged, read_outcomes
from interp_steer.run import Run
from interp_steer.stats import spearman

MOST = 200
SHOWN_FROM = 0.5


def judged_generations(run: Run, most: int = MOST) -> list[Judged]:
    """Return scored generations of a run, at most so many, evenly over splits and cells; empty ones left out."""
    outcomes = read_outcomes(run)
    found = [
        one
        for split in ("dev", "test")
        for cell in outcomes.cells(split)
        for one in outcomes.judged(split, cell)
        if one.generation.text.strip() and one.verdict.behavior is not None
    ]
    n = min(most, len(found))
    return [found[round(place)] for place in np.linspace(0, len(found) - 1, n).tolist()]


def generated_scores(model: Model, head: Head, judged: Sequence[Judged]) -> GeneratedScores:
    """Compare a head with the judge on generations.

    Args:
        model: The model the head was fitted on.
        head: What reads.
        judged: Generations with a behavior score.

    Raises:
        VectorError: If the head belongs to another model.
    """
    logits: list[float] = []
    shown: list[float] = []
    for one in judged:
        try:
            found = read_text(model, [head], one.generation.prompt, one.generation.text)
        except TemplateError:
            continue  # its tokens merge with the prompt: there is no telling where it begins
        if one.verdict.behavior is not None:
            logits.append(float(found.logits[0].mean()))
            shown.append(one.verdict.behavior)
    labels = np.array(shown) >= SHOWN_FROM
    both = bool(labels.any()) and not bool(labels.all())
    return GeneratedScores(
        auc=float(roc_auc_score(labels, logits)) if both else None,
        correlation=spearman(np.array(logits), np.array(shown)) if len(shown) > 2 else None,
        n=len(shown),
        n_shown=int(labels.sum()),
        reason=None if both else "the judge found the behavior in all of them, or in none",
    )
