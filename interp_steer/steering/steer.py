"""Steer a model on a few prompts, from a script: along its vectors, or by any interventions."""

from collections.abc import Sequence

import numpy as np

from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model
from interp_steer.records import Cell, Generation
from interp_steer.steering.decode import decode
from interp_steer.steering.gate import Gate
from interp_steer.steering.intervention import Intervention, interventions
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import Operation, Scope
from interp_steer.vectors.vector import SteeringVectors


def steer(
    model: Model,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    *,
    layer: int | np.integer | Sequence[int],
    alpha: float,
    operation: Operation = "add",
    gate: Gate | None = None,
    scope: Scope = "response",
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    system: str | None = None,
) -> list[Generation]:
    """Answer prompts while the residual stream is steered; by default ``alpha * ||h|| * direction`` is added to it.

    Args:
        model: The model the vectors were made on.
        vectors: Steering vectors.
        prompts: What the user asks, one completion each.
        layer: Block whose output is steered, or several, each along its own direction.
        alpha: Fraction of the residual's norm to add; negative steers away, 0 is the unsteered model. Other operations
            have units of their own: :mod:`interp_steer.steering.intervention`.
        operation: What is done along the direction.
        gate: Which tokens it is done to, e.g. :func:`~interp_steer.heads.gate.gate_below`; by default all in scope.
        scope: ``response``, ``generated`` or ``all``: see :mod:`interp_steer.steering.scope`.
        max_new_tokens: Longest completion.
        temperature: 0 decodes greedily.
        top_p: Mass of the nucleus when sampling.
        seed: Seed of the sampling.
        system: System prompt, if any.

    Returns:
        One generation per prompt, in order.

    Raises:
        VectorError: If the vectors belong to another model.
        SteeringError: If no layer is given, a layer does not exist, or scope, operation or alpha are out of range.
    """
    if not prompts:
        return []
    vectors.check_model(model.card)
    layers = tuple(int(one) for one in np.atleast_1d(np.asarray(layer, dtype=int)))
    if not layers:
        raise SteeringError("no layer was given; name at least one")
    return generate(
        model,
        prompts,
        interventions(vectors, layers, alpha, operation, gate),
        scope=scope,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        seed=seed,
        system=system,
        behavior=vectors.card.activations.behavior,
    )


def generate(
    model: Model,
    prompts: Sequence[str],
    pushes: Sequence[Intervention] = (),
    *,
    scope: Scope = "response",
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    system: str | None = None,
    behavior: str = "script",
) -> list[Generation]:
    """Answer prompts while interventions of any kind act together, e.g. a head's :func:`~interp_steer.heads.gate.dose`.

    Args:
        model: The model.
        prompts: What the user asks, one completion each.
        pushes: What is done to the residual stream, at any layers and along any directions; nothing by default.
        scope: ``response``, ``generated`` or ``all``: see :mod:`interp_steer.steering.scope`.
        max_new_tokens: Longest completion.
        temperature: 0 decodes greedily.
        top_p: Mass of the nucleus when sampling.
        seed: Seed of the sampling.
        system: System prompt, if any.
        behavior: What the generations are filed under.

    Returns:
        One generation per prompt, in order. Its cell names the first intervention's layer and alpha, and the other
        layers.

    Raises:
        SteeringError: If a layer does not exist, a direction does not fit the model, or the scope is out of range.
    """
    if not prompts:
        return []
    rows = [
        DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(prompt, system)), interventions=tuple(pushes), seed=seed + i)
        for i, prompt in enumerate(prompts)
    ]
    settings = DecodeSettings(scope=scope, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p)
    return [
        Generation(
            behavior=behavior,
            split="script",
            prompt_id=f"script-{i}",
            prompt=prompt,
            cell=_cell(pushes),
            sample=0,
            text=model.chat.decode(list(completion.ids)),
            n_tokens=len(completion.ids),
            finish=completion.finish,
        )
        for i, (prompt, completion) in enumerate(zip(prompts, decode(model, rows, settings), strict=True))
    ]


def _cell(pushes: Sequence[Intervention]) -> Cell:
    if not pushes:
        return Cell(control="unsteered")
    first, *others = pushes
    more = tuple(push.layer for push in others)
    return Cell(control="steered", layer=first.layer, alpha=first.alpha, more_layers=more)
