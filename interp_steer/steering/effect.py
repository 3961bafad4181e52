"""How far interventions really turn and stretch the residual stream of some prompts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.model.protocol import Model, ResidualHook
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.operations import realised
from interp_steer.steering.scope import prompt_positions


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What happens at one layer, over prompts.

    Attributes:
        layer: Block that is steered.
        angle: Median angle between the residual before and after, in degrees.
        norm_ratio: Median norm after over norm before.
    """

    layer: int
    angle: float
    norm_ratio: float


def measure_effect(
    model: Model, interventions: tuple[Intervention, ...], prompts: Sequence[tuple[int, ...]]
) -> list[Effect]:
    """Read prompts with the last token steered, and compare its residual before and after at every steered layer.

    Args:
        model: The model to steer.
        interventions: What is done to each prompt.
        prompts: Tokens of each prompt, at least two each.

    Returns:
        One effect per layer that is changed, lowest first; layers above the first see an already steered stream.
    """
    input_ids, mask = (part.to(model.device) for part in pad(prompts, "left"))
    steering = BatchSteering([interventions], model.device)
    steering.assign([interventions] * len(prompts), prompt_positions(mask, "response"))
    seen: dict[int, Effect] = {}

    def watched(layer: int) -> ResidualHook:
        def hook(resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"] | None:
            after = steering.apply(layer, resid)
            if after is not None:
                found = realised(resid[:, -1].cpu(), after[:, -1].cpu())
                angle, ratio = (float(np.median(one.numpy())) for one in (found.angle, found.norm_ratio))
                seen[layer] = Effect(layer=layer, angle=angle, norm_ratio=ratio)
            return after

        return hook

    with torch.inference_mode(), model.hooks({layer: watched(layer) for layer in steering.functions()}):
        model.forward(input_ids, mask, logits="none")
    return [seen[layer] for layer in sorted(seen)]
