"""What a server can steer: the behaviors of its runs, and how a request or a model's name asks for them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from interp_steer.errors import ServingError, SteeringError
from interp_steer.model.protocol import Model
from interp_steer.outcomes import read_outcomes
from interp_steer.records import Cell
from interp_steer.run import open_run
from interp_steer.steering.intervention import Intervention, interventions
from interp_steer.terms import Operation, Scope
from interp_steer.vectors.vector import SteeringVectors, read_vectors

MOST_LAYERS = 256
_PUSH = re.compile(
    r"(?P<behavior>[^@:+]{1,200})(@(?P<layers>\d{1,9}(,\d{1,9})*))?(:(?P<alpha>[+-]?[\d.]+([eE][+-]?\d+)?))?"
)


class Steering(BaseModel):
    """What a request asks for: one behavior, at one layer or several.

    Attributes:
        behavior: Name of the behavior.
        layer: Layer or layers; by default that of the run's chosen cell.
        alpha: Strength; by default that of the run's chosen cell.
        scope: Steered positions; by default those of the run's sweep.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    behavior: str = Field(min_length=1, max_length=200)
    layer: int | list[int] | None = Field(default=None)
    alpha: FiniteFloat | None = None
    scope: Scope | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Steerable:
    """A behavior that can be steered.

    Attributes:
        behavior: Its name.
        vectors: Steering vectors of the run.
        cell: The cell chosen on the dev prompts; None where the run has no scores, or its sweep did not add.
        scope: Steered positions of the run's sweep.
        operation: What the run's sweep did. Requests add: an alpha of another operation has another unit.
    """

    behavior: str
    vectors: SteeringVectors
    cell: Cell | None
    scope: Scope
    operation: Operation = "add"


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is done for a request.

    Attributes:
        interventions: What is added to the residual stream.
        scope: Where.
        pushes: The same with every default filled in.
    """

    interventions: tuple[Intervention, ...] = ()
    scope: Scope = "response"
    pushes: tuple[Steering, ...] = ()


class Catalog:
    """Behaviors that can be steered on one model, by name."""

    def __init__(self, model_name: str, steerables: Sequence[Steerable]) -> None:
        """Take the name of the model and what can be steered on it.

        Raises:
            ServingError: If two have the same behavior.
        """
        self.model_name = model_name
        self.steerables: Mapping[str, Steerable] = {one.behavior: one for one in steerables}
        if len(self.steerables) < len(steerables):
            names = [one.behavior for one in steerables]
            twice = next(name for name in names if names.count(name) > 1)
            raise ServingError(f"two runs are of behavior {twice!r}; serve one of them")

    def name(self, pushes: Sequence[Steering]) -> str:
        """Return the model's name with interventions, e.g. ``smollm2-135m+french@11:0.25``."""
        return self.model_name + "".join(_written(push) for push in pushes)

    def names(self) -> dict[str, Plan]:
        """Return the model's name, and one for the chosen cell of each run that has one."""
        chosen = [
            self.plan([Steering(behavior=one.behavior)]) for one in self.steerables.values() if one.cell is not None
        ]
        return {self.model_name: Plan(), **{self.name(plan.pushes): plan for plan in chosen}}

    def parse(self, name: str) -> list[Steering]:
        """Return what a model's name asks for; see :meth:`name`. Layer and alpha may be left out.

        Raises:
            ServingError: If it is another model, or the rest cannot be read.
        """
        if name != self.model_name and not name.startswith(f"{self.model_name}+"):
            raise ServingError(
                f"the model {name[:200]!r} does not exist here; expected {self.model_name!r}, or that with "
                "interventions, such as " + repr(f"{self.model_name}+behavior@12:0.2")
            )
        rest, found, at = name[len(self.model_name) :], [], 0
        while at < len(rest):
            part = _PUSH.match(rest, at + 1)
            if part is None or (part.end() < len(rest) and rest[part.end()] != "+"):
                raise ServingError(
                    f"cannot read {rest[at : at + 100]!r} of the model's name; expected '+behavior', '+behavior@12' or "
                    "'+behavior@12:0.2', several one after the other"
                )
            layers = [int(layer) for layer in (part["layers"] or "").split(",") if layer]
            found.append(
                Steering(
                    behavior=part["behavior"],
                    layer=(layers[0] if len(layers) == 1 else layers) if layers else None,
                    alpha=_alpha(part["alpha"]),
                )
            )
            at = part.end()
        return found

    def plan(self, wanted: Sequence[Steering]) -> Plan:
        """Return the interventions of a request, every default filled in.

        Raises:
            SteeringError: If a behavior is not known, a layer does not exist, a strength is missing, or scopes differ.
        """
        if not wanted:
            return Plan()
        pushes = [self._filled(one) for one in wanted]
        scopes = {push.scope for push in pushes if push.scope}
        if len(scopes) > 1:
            raise SteeringError(f"scopes {', '.join(sorted(scopes))} in one request; give all its interventions one")
        added = [
            one
            for push in pushes
            for one in interventions(self.steerables[push.behavior].vectors, _layers(push), push.alpha or 0.0)
        ]
        if len(added) > MOST_LAYERS:
            raise SteeringError(f"{len(added)} layers are to be steered; expected at most {MOST_LAYERS}")
        return Plan(interventions=tuple(added), scope=scopes.pop(), pushes=tuple(pushes))

    def _filled(self, one: Steering) -> Steering:
        held = self.steerables.get(one.behavior)
        if held is None:
            known = ", ".join(map(repr, self.steerables)) or "none: start the server with --run"
            raise SteeringError(f"behavior {one.behavior!r} is not known; this server steers {known}")
        layers = _layers(one)
        cell = held.cell
        if cell is not None and cell.layer is not None and not layers:
            layers = (cell.layer, *cell.more_layers)
        alpha = one.alpha
        if alpha is None and cell is not None and layers == (cell.layer, *cell.more_layers):
            alpha = cell.alpha
        if not layers or alpha is None:
            missing = "alpha" if layers else "layer"
            if cell is not None:
                why = f"its chosen cell is {cell.key}"
            elif held.operation != "add":
                why = f"the sweep of its run was of {held.operation!r}, whose alphas are not those of adding"
            else:
                why = "its run has no scores to choose a cell by"
            raise SteeringError(f"give {missing!r} for behavior {one.behavior!r} too: {why}")
        where = layers[0] if len(layers) == 1 else list(layers)
        return Steering(behavior=one.behavior, layer=where, alpha=alpha, scope=one.scope or held.scope)


def read_catalog(runs: Sequence[str | Path], model: Model) -> Catalog:
    """Read the vectors and chosen cells of runs that were made on a model.

    Raises:
        RunError: If a run is missing or damaged.
        VectorError: If its vectors belong to another model.
        ServingError: If two runs have the same behavior.
    """
    found = []
    for path in runs:
        run = open_run(path)
        vectors = read_vectors(run.vectors_path)
        vectors.check_model(model.card)
        sweep = run.manifest().get("sweep") or {}
        operation: Operation = sweep.get("operation") or "add"
        chosen = operation == "add" and run.generations_path.exists()
        cell = read_outcomes(run).best_cell("dev") if chosen else None
        scope = sweep.get("scope", "response")
        name = run.behavior().name
        found.append(Steerable(behavior=name, vectors=vectors, cell=cell, scope=scope, operation=operation))
    return Catalog(model.card.name, found)


def _layers(push: Steering) -> tuple[int, ...]:
    if push.layer is None:
        return ()
    return (push.layer,) if isinstance(push.layer, int) else tuple(push.layer)


def _written(push: Steering) -> str:
    layers = ",".join(map(str, _layers(push)))
    return f"+{push.behavior}" + (f"@{layers}" if layers else "") + ("" if push.alpha is None else f":{push.alpha:g}")


def _alpha(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        alpha = float(text)
    except ValueError:
        alpha = math.nan
    if not math.isfinite(alpha):
        raise ServingError(f"cannot read alpha {text[:100]!r} of the model's name; expected a number, e.g. 0.2")
    return alpha
