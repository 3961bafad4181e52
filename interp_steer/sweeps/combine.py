"""Solve schedules to an equal KL and measure each on held-out pairs; what it means: :mod:`.combination`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.files import write_json
from interp_steer.findings import AnalysisResult
from interp_steer.model.protocol import Model
from interp_steer.pairs import read_pairs
from interp_steer.progress import progress
from interp_steer.records import to_json
from interp_steer.run import Run
from interp_steer.steering.effect import measure_effect
from interp_steer.steering.steps import Interventions
from interp_steer.sweeps.alpha_search import START, Solution, solve
from interp_steer.sweeps.calibration import CalibrationSpec
from interp_steer.sweeps.combination import NAME, Combination, Outcome, combination_result
from interp_steer.sweeps.disturbance import kl_from_steered, log_probabilities, own_answers
from interp_steer.sweeps.pushes import NEUTRAL_PROMPTS
from interp_steer.sweeps.replay import TOKENS_PER_BATCH, Replay
from interp_steer.sweeps.rows import claim_model
from interp_steer.sweeps.schedules import Schedule, gaussian, single, top
from interp_steer.sweeps.sides import SidesReplay
from interp_steer.terms import Operation, Split
from interp_steer.vectors.controls import random_direction
from interp_steer.vectors.vector import SteeringVectors, read_vectors

TOP = (3, 5)
OTHER_OPERATIONS: tuple[Operation, ...] = ("add_norm_preserving", "rotate", "project_at_least")
N_RANDOM = 5
PROMPTS = 4
HELD_OUT: tuple[Split, Split] = ("dev", "test")


def combine(
    model: Model,
    vectors: SteeringVectors,
    prompts: Sequence[str],
    dev: Sequence[Pair],
    test: Sequence[Pair],
    spec: CalibrationSpec,
    *,
    width: float | None = None,
    tokens_per_batch: int = TOKENS_PER_BATCH,
) -> Combination:
    """Compare one layer with several, and adding with other operations, at equal KL.

    Args:
        model: The model the vectors were made on.
        vectors: One direction per layer.
        prompts: What the unsteered model answers, for the KL.
        dev: Pairs that rank the layers.
        test: Other pairs, which show the outcome.
        spec: Candidate layers, target and scope.
        width: Standard deviation of the Gaussian over depth, in layers; by default a tenth of the depth.
        tokens_per_batch: Most padded tokens of one forward pass; bounds the memory.

    Raises:
        SteeringError: If the specification does not fit, no layer reaches the target, pairs or prompts are missing,
            or a KL or likelihood is not finite.
        VectorError: If the vectors belong to another model.
    """
    vectors.check_model(model.card)
    spec.check(vectors)
    if not prompts or not dev or not test:
        raise SteeringError("comparing schedules needs at least one prompt, one dev pair and one test pair")
    texts = own_answers(model, prompts, spec.n_tokens)
    solver = _Solver(Replay(model, texts, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch), spec)
    alphas: dict[int, float] = {}
    with progress("single layers", len(spec.layers)) as advance:
        for layer in spec.layers:
            alpha = solver.solved(single(layer), vectors, next(reversed(alphas.values()), START)).alpha
            if alpha is not None:
                alphas[layer] = alpha
            advance(1, f"layer {layer}")
    if not alphas:
        raise SteeringError(f"no layer reaches a KL of {spec.target_kl:g} nats; choose another target")
    change = _dev_changes(_Margins(SidesReplay(model, dev, list(alphas), spec.scope)), vectors, alphas)
    ranking = sorted(change, key=lambda layer: -change[layer])
    best = ranking[0]
    schedules = [
        single(best),
        *(top(ranking, k) for k in TOP if k <= len(ranking)),
        gaussian(ranking, best, width or model.card.n_layers / 10),
        *(single(best, operation) for operation in OTHER_OPERATIONS),
    ]
    margins = _Margins(SidesReplay(model, test, spec.layers, spec.scope, tokens_per_batch=tokens_per_batch))
    ids = [text.prompt for text in texts]

    def outcome(schedule: Schedule, along: SteeringVectors) -> Outcome:
        solution = solver.solved(schedule, along, alphas[best])
        if solution.alpha is None:
            return Outcome(schedule=schedule, scale=None, kl=None, reason=solution.reason)
        chosen = schedule.interventions(along, solution.alpha)
        effects = tuple(measure_effect(model, chosen, ids))
        found = margins.changes(chosen)
        return Outcome(schedule=schedule, scale=solution.alpha, kl=solution.kl, effects=effects, change=found)

    outcomes: list[Outcome] = []
    controls: list[Outcome] = []
    with progress("schedules", len(schedules) + N_RANDOM) as advance:
        for schedule in schedules:
            outcomes.append(outcome(schedule, vectors))
            advance(1, schedule.name)
        for seed in range(N_RANDOM):
            controls.append(outcome(single(best), _random_like(vectors, seed)))
            advance(1, f"random direction {seed + 1}")
    return Combination(
        spec=spec,
        ranking=tuple(ranking),
        dev_change=tuple(change[layer] for layer in ranking),
        outcomes=tuple(outcomes),
        random=tuple(controls),
        n_positions=sum(len(text.response) for text in texts),
    )


def run_combination(run: Run, load: Callable[[], Model], spec: CalibrationSpec, width: float | None) -> AnalysisResult:
    """Compare schedules on a run and keep the result among its analyses; hold the run's lock while calling it.

    The KL is measured on neutral prompts; the run's dev pairs rank the layers, its test pairs show the outcome.

    Args:
        run: A run with vectors.
        load: Returns the model.
        spec: Candidate layers, target and scope.
        width: Standard deviation of the Gaussian over depth; by default a tenth of the depth.

    Raises:
        RunError: If the run holds no vectors, or was begun with another model.
        PairsError: If its dev or test prompts have no responses.
        SteeringError: As for :func:`combine`.
    """
    vectors, source = read_vectors(run.vectors_path), run.manifest()["behavior_source"]
    spec.check(vectors)
    dev, test = (read_pairs(source, split) for split in HELD_OUT)
    model = load()
    claim_model(run, model.card)
    result = combination_result(combine(model, vectors, NEUTRAL_PROMPTS[:PROMPTS], dev, test, spec, width=width))
    write_json(run.analysis_path(NAME), to_json(result))
    return result


class _Solver:
    """Finds the scale at which a schedule reaches the target."""

    def __init__(self, replay: Replay, spec: CalibrationSpec) -> None:
        self._replay, self._spec = replay, spec
        self._measure = kl_from_steered(replay.unsteered(log_probabilities))

    def solved(self, schedule: Schedule, vectors: SteeringVectors, start: float) -> Solution:
        def reach(scale: float) -> float:
            chosen = schedule.interventions(vectors, scale)
            values = self._replay.steered_by_sets([chosen], self._measure)[0]
            kl = float(torch.quantile(values, self._spec.quantile))
            if not math.isfinite(kl):
                raise SteeringError(
                    f"{schedule.name}, scale {scale:g}: the KL is NaN or Inf; load the model in float32 or bfloat16"
                )
            return kl

        return solve(self._spec.search(start), reach)


class _Margins:
    """By how much interventions change the margin of each pair, in nats per token."""

    def __init__(self, sides: SidesReplay) -> None:
        self._sides = sides
        self._before = self._margins(sides.unsteered())

    def changes(self, chosen: Interventions) -> Float[np.ndarray, " pair"]:
        return self._margins(self._sides.steered_by_sets([chosen])[:, 0]) - self._before

    def _margins(self, loglik: Float[np.ndarray, "side pair"]) -> Float[np.ndarray, " pair"]:
        tokens = self._sides.tokens
        return loglik[0] / tokens[0] - loglik[1] / tokens[1]


def _dev_changes(margins: _Margins, vectors: SteeringVectors, alphas: dict[int, float]) -> dict[int, float]:
    return {
        layer: float(margins.changes(single(layer).interventions(vectors, alpha)).mean())
        for layer, alpha in alphas.items()
    }


def _random_like(vectors: SteeringVectors, seed: int) -> SteeringVectors:
    width = vectors.direction.shape[1]
    directions = [random_direction(width, layer=layer, seed=seed) for layer in range(vectors.n_layers)]
    return replace(vectors, direction=np.stack(directions).astype(np.float32))
