"""How much do the model's predictions depend on the direction? One small push per layer, without labels.

``KL(unsteered || steered)`` of the next-token distribution, averaged over the tokens of the unsteered model's own
answers to neutral prompts, read again under the push:

- at an *equal dose* (alpha 0.1 of each token's norm). The registered direction is that a *larger* KL makes the
  better layer: a pilot on five behaviors found it to pick well by likelihoods, and no better than fixed depths by
  generations;
- of *random directions* at that dose: what the layer does to any push. Its pick is the control of the one above;
- at the *natural dose*, alpha the magnitude ratio, scored as ``-log KL``: there a *smaller* one is the better layer,
  because the pairs' own difference should not break unrelated text.

*Sensitivity* is ``||z(h + eps ||h|| v) - z(h)|| / eps``, z the logits centered over the vocabulary, at the smallest
dose: what the two have in common for small pushes (the KL grows with its square, weighed by the predictions).
*Logit-lens alignment* ``A_l = sum_w (p+(w) - p-(w)) z_l(w) / sd(z_l)`` alone uses the labels: it asks whether the
direction promotes the words of the positive sides directly (:mod:`interp_steer.sweeps.lens`).

What it does not show: that the dependence is on the behavior. A push that breaks the model has a large KL as well.

Source: a finite difference of the Jacobian along the vector; nostalgebraist, "interpreting GPT: the logit lens" (2020).
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analyses.artifacts import usable_pushes
from analyses.command import main
from analyses.measure import Measure, layer_names, show, table_by_layer, top_layers, undefined, values
from interp_steer.findings import AnalysisResult, Figure, Series, Table
from interp_steer.run import Run
from interp_steer.sweeps.shifts import Pushes

QUESTION = "How much do the model's predictions depend on the direction of each layer?"
TOKENS = 8
NOT_PUSHED = "not pushed: the vector is zero, or the layer was left out"


def small_push(run: Run) -> AnalysisResult:
    """Describe what pushes did to the predictions, layer by layer; without pushes, say why there are no scores.

    Raises:
        RunError: If the pushes of the run cannot be read.
    """
    pushes = usable_pushes(run)
    if isinstance(pushes, str):
        return AnalysisResult(
            name="small_push",
            title="Small pushes",
            question=QUESTION,
            finding=f"Absent: {pushes}.",
            caveats=("Its heuristics are absent from the layer selection.",),
        )
    n_layers = pushes.card.model.n_layers
    layers, columns = tuple(range(n_layers)), push_columns(pushes, n_layers)
    spec, n_answers = pushes.card.spec, len(pushes.first_tokens)
    return AnalysisResult(
        name="small_push",
        title="Small pushes",
        question=QUESTION,
        finding=_finding(columns),
        caveats=(
            "A large KL may be the behavior or mere damage; hold it against the random directions.",
            "The logit lens sees the direct path to the output only, and uses the labels of the pairs.",
            *_rounding(pushes.card.model.dtype, spec.least_alpha),
        ),
        tables=(
            table_by_layer(
                "Pushes by layer",
                columns,
                (
                    f"KL(unsteered || steered), nats, over {pushes.answers.size} tokens of {n_answers} neutral answers",
                    f"equal dose: alpha {spec.alpha:g}; natural dose: the magnitude ratio",
                    f"sensitivity: change of the centered logits per unit of alpha, at alpha {spec.least_alpha:g}",
                ),
            ),
            _promoted_table(pushes),
        ),
        figures=(
            Figure(
                kind="lines",
                title="KL of a small push by layer",
                x_label="Layer",
                y_label="KL to the unsteered model, nats per token",
                x=layers,
                series=(
                    Series(name="equal dose", y=values(columns["KL"])),
                    Series(name="natural dose", y=values(columns["KL, natural dose"]), role="other"),
                    Series(name="random directions", y=values(columns["KL, random"]), role="reference"),
                ),
            ),
            Figure(
                kind="lines",
                title="Logit-lens alignment by layer",
                x_label="Layer",
                y_label="Positive minus negative words, in sd of the logits",
                x=layers,
                series=(Series(name="alignment", y=values(columns["alignment"])),),
            ),
        ),
        scores={
            "kl_small_push": values(columns["KL"]),
            "kl_small_push_random": values(columns["KL, random"]),
            "minus_log_kl_natural": values(minus_log(columns["KL, natural dose"])),
            "sensitivity": values(columns["sensitivity"]),
            "logit_lens_alignment": values(columns["alignment"]),
        },
    )


def _rounding(dtype: str, least_alpha: float) -> tuple[str, ...]:
    """Say what the precision does to the sensitivity, a difference quotient."""
    if dtype == "float32":
        return ()
    return (
        f"In {dtype} the push that the sensitivity is measured with (alpha {least_alpha:g}) is rounded with the "
        "residual stream: the smaller it is, the more of the sensitivity is rounding.",
    )


def push_columns(pushes: Pushes, n_layers: int) -> dict[str, list[Measure]]:
    """Return what the pushes of each layer did, undefined at layers that were not pushed."""
    rows = {layer: row for row, layer in enumerate(pushes.card.spec.layers)}

    def column(found: Float[np.ndarray, " row"]) -> list[Measure]:
        return [Measure(float(found[rows[at]])) if at in rows else undefined(NOT_PUSHED) for at in range(n_layers)]

    columns = {
        "KL": column(pushes.equal.mean(axis=1)),
        "median": column(np.median(pushes.equal, axis=1)),
        "p95": column(np.quantile(pushes.equal, 0.95, axis=1)),
    }
    if pushes.random.shape[1]:
        columns["KL, random"] = column(pushes.random.mean(axis=(1, 2)))
        columns["highest random"] = column(pushes.random.mean(axis=2).max(axis=1))
    else:
        columns["KL, random"] = [undefined("no random direction was pushed")] * n_layers
    return {
        **columns,
        "natural alpha": column(pushes.natural_alpha),
        "KL, natural dose": column(pushes.natural.mean(axis=1)),
        "first token": column(pushes.natural[:, pushes.first_tokens].mean(axis=1)),
        "sensitivity": column(pushes.moved.mean(axis=1)),
        "alignment": column(pushes.alignment),
    }


def minus_log(kls: Sequence[Measure]) -> list[Measure]:
    """Return ``-log KL``; undefined where nothing moved."""
    return [
        undefined("the KL is zero")
        if kl.value is not None and kl.value <= 0
        else kl.map(lambda value: -math.log(value))
        for kl in kls
    ]


def _promoted_table(pushes: Pushes) -> Table:
    return Table(
        title="Tokens the direction promotes",
        columns=("layer", "alignment", "tokens"),
        rows=tuple(
            (layer, float(alignment), " ".join(repr(token) for token in tokens[:TOKENS]))
            for layer, alignment, tokens in zip(
                pushes.card.spec.layers, pushes.alignment, pushes.card.promoted, strict=True
            )
        ),
        notes=("by the direct path to the output, strongest first",),
    )


def _finding(columns: dict[str, list[Measure]]) -> str:
    kls, random = values(columns["KL"]), values(columns["KL, random"])
    top, control = top_layers(kls), top_layers(random)
    against = f", where random directions reach {show(random[top[0]], 3)}" if control else ""
    points = f" Random directions move them most at {layer_names(control)}." if control else ""
    aligned = top_layers(values(columns["alignment"]))
    return (
        f"At an equal dose the predictions move most at {layer_names(top)} (KL {show(kls[top[0]], 3)} nats{against})."
        f"{points} The words of the positive sides are promoted most at {layer_names(aligned)}."
    )


if __name__ == "__main__":
    main(small_push)
