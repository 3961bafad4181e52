"""What somebody has set on the page, and the completions that come of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from interp_steer.errors import ServingError
from interp_steer.model.protocol import Model
from interp_steer.playground.shelf import Shelf
from interp_steer.report.phrases import alpha as written
from interp_steer.serving.answer import LiveRequest
from interp_steer.serving.catalog import Steering
from interp_steer.serving.watch import Watch
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import Scope

MOST_CHARACTERS = 8000
MOST_PUSHES = 4
MOST_RUNGS = 8
MOST_ALPHA = 2.0
MOST_TEMPERATURE = 2.0


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The settings of the page.

    Attributes:
        prompt: What is asked.
        pushes: What is steered: behavior, layers and alpha of each.
        scope: Steered positions, the same for all.
        max_new_tokens: Longest completion.
        temperature: 0 decodes greedily.
        seed: Seed of the sampling, the same for every completion.
        rungs: Alphas of the first push that are asked for side by side; empty compares with the unsteered model.
        colored: Behavior whose direction the tokens are read along.
        read_layer: Layer they are read at.
    """

    prompt: str
    pushes: tuple[Steering, ...]
    scope: Scope = "response"
    max_new_tokens: int = 96
    temperature: float = 0.0
    seed: int = 0
    rungs: tuple[float, ...] = ()
    colored: str
    read_layer: int


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One completion of a choice: its title, and what it is steered by; nothing is the unsteered model."""

    title: str
    pushes: tuple[Steering, ...]


def variants(choice: Choice) -> tuple[Variant, ...]:
    """Return what is asked for: unsteered and steered, or one completion per rung of the ladder.

    On a ladder only the first push changes; the others stay as they are.
    """
    if not choice.rungs:
        return (Variant(title="Unsteered", pushes=()), Variant(title=_title(choice.pushes), pushes=choice.pushes))
    first, others = choice.pushes[0], choice.pushes[1:]
    found = []
    for alpha in choice.rungs:
        kept = (*((first.model_copy(update={"alpha": alpha}),) if alpha else ()), *others)
        found.append(Variant(title=f"alpha {written(alpha)}" + ("" if kept else ", unsteered"), pushes=kept))
    return tuple(found)


def ladder(low: float, high: float, n: int) -> tuple[float, ...]:
    """Return ``n`` alphas from ``low`` to ``high``, evenly spaced, each once."""
    step = (high - low) / max(1, n - 1)
    return tuple(dict.fromkeys(round(low + step * i, 3) + 0.0 for i in range(n)))


def check(choice: Choice, shelf: Shelf, *, max_tokens: int) -> None:
    """Refuse what is out of bounds; what does not fit the model, the engine refuses itself.

    Raises:
        ServingError: Saying which setting, and what was expected.
    """
    alphas = [*choice.rungs, *(push.alpha or 0.0 for push in choice.pushes)]
    faults = {
        "write a prompt first": not choice.prompt.strip(),
        f"the prompt has {len(choice.prompt):,} characters; expected at most {MOST_CHARACTERS:,}": (
            len(choice.prompt) > MOST_CHARACTERS
        ),
        f"choose 1 to {MOST_PUSHES} behaviors": not 1 <= len(choice.pushes) <= MOST_PUSHES,
        "choose a layer for every behavior": any(push.layer in (None, []) for push in choice.pushes),
        "each behavior may be pushed once": len({push.behavior for push in choice.pushes}) < len(choice.pushes),
        f"alphas go from {-MOST_ALPHA:g} to {MOST_ALPHA:g}": any(abs(alpha) > MOST_ALPHA for alpha in alphas),
        f"a ladder has at most {MOST_RUNGS} rungs": len(choice.rungs) > MOST_RUNGS,
        f"an answer has 1 to {max_tokens} tokens": not 1 <= choice.max_new_tokens <= max_tokens,
        f"the temperature goes from 0 to {MOST_TEMPERATURE:g}": not 0 <= choice.temperature <= MOST_TEMPERATURE,
        "the seed is a whole number from 0 to 2 to the 31": not 0 <= choice.seed <= 2**31,
        "choose a behavior to color by": choice.colored not in shelf.playables,
    }
    for fault, there in faults.items():
        if there:
            raise ServingError(fault)


def requests(choice: Choice, wanted: Sequence[Variant], shelf: Shelf, model: Model) -> list[LiveRequest]:
    """Return what the engine is asked for, one request per variant.

    Raises:
        SteeringError: If a behavior or layer is not there.
        VectorError: If the layer to read has no direction.
    """
    ids = tuple(model.chat.prompt_ids(choice.prompt))
    settings = DecodeSettings(scope=choice.scope, max_new_tokens=choice.max_new_tokens, temperature=choice.temperature)
    vectors = shelf.playables[choice.colored].steerable.vectors
    watch = (Watch(layer=choice.read_layer, direction=vectors.at(choice.read_layer)),)
    plans = [shelf.catalog.plan([one.model_copy(update={"scope": choice.scope}) for one in v.pushes]) for v in wanted]
    return [
        LiveRequest(
            row=DecodeRow(prompt_ids=ids, interventions=plan.interventions, seed=choice.seed),
            settings=settings,
            watch=watch,
        )
        for plan in plans
    ]


def _title(pushes: Sequence[Steering]) -> str:
    return " + ".join(f"{push.behavior} at {written(push.alpha or 0.0)}" for push in pushes)
