"""What the engine refuses before anything is computed."""

from interp_steer.errors import ServingError, SteeringError
from interp_steer.model.protocol import Model
from interp_steer.records import ModelCard
from interp_steer.serving.answer import LiveRequest
from interp_steer.steering.batch import bytes_per_row, free_memory
from interp_steer.terms import SCOPES

MEMORY_SHARE = 0.6
MOST_ALPHA = 1e38  # beyond, a push leaves float32 before it is added


def check_request(request: LiveRequest, card: ModelCard, capacity: int) -> None:
    """Refuse a request that does not fit the model or a slot.

    Args:
        request: The request.
        card: Of the model.
        capacity: Most tokens of a row, prompt and completion together.

    Raises:
        ServingError: If prompt and completion do not fit into a slot.
        SteeringError: If an intervention or setting does not fit the model.
    """
    row, settings = request.row, request.settings
    n = len(row.prompt_ids)
    if n < 1 or settings.max_new_tokens < 1:
        raise ServingError(f"{n} tokens of prompt and {settings.max_new_tokens} to come; both need at least one")
    if n + settings.max_new_tokens > capacity:
        raise ServingError(
            f"the prompt has {n} tokens and the completion may have {settings.max_new_tokens}, but prompt and "
            f"completion share {capacity}; shorten one of them"
        )
    if settings.scope not in SCOPES:
        raise SteeringError(f"scope {settings.scope!r} is not known; expected one of {', '.join(SCOPES)}")
    if not 0 <= settings.temperature < float("inf") or not 0 < settings.top_p <= 1:
        raise SteeringError(
            f"temperature {settings.temperature:g} and top_p {settings.top_p:g}: expected a temperature of 0 or more, "
            "and a top_p above 0 and up to 1"
        )
    if (total := sum(abs(one.alpha) for one in row.interventions)) > MOST_ALPHA:
        raise SteeringError(f"alphas of {total:g} in sum are out of range; sensible ones are below 1")
    for one in row.interventions:
        if not 0 <= one.layer < card.n_layers:
            raise SteeringError(f"layer {one.layer} does not exist: {card.name!r} has layers 0 to {card.n_layers - 1}")
        if one.direction.shape != (card.d_model,):
            raise SteeringError(
                f"the direction at layer {one.layer} has shape {one.direction.shape}, but {card.name!r} has d_model "
                f"{card.d_model}; use vectors of this model"
            )
    for read in request.watch:
        if not 0 <= read.layer < card.n_layers or read.direction.shape != (card.d_model,):
            raise SteeringError(
                f"cannot read layer {read.layer} along a direction of shape {read.direction.shape}: {card.name!r} has "
                f"layers 0 to {card.n_layers - 1} and d_model {card.d_model}"
            )


def check_memory(model: Model, slots: int, capacity: int) -> None:
    """Refuse more slots than fit into memory.

    Raises:
        ServingError: If they do not.
    """
    needed, free = slots * bytes_per_row(model, capacity), free_memory(model)
    if needed > MEMORY_SHARE * free:
        raise ServingError(
            f"{slots} slots of {capacity} tokens need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free (a share "
            f"of {MEMORY_SHARE:.0%} may be reserved); use fewer slots, or shorter ones"
        )
