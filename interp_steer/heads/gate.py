"""Let a head decide where and how much to steer.

*Gate*: an intervention acts only on tokens where the head does not see the behavior yet. *Dose*: the residual is
moved along the head's own direction just as far as the head asks for, and not at all where it is content (a target
projection, StTP). The first reads a layer at or below the steered one, as the gate's own rule demands; the second
steers at the head's layer, where the same head then sees its target met by construction: judge that by the
text, read again unsteered.

Source:
    Conditional steering: Lee et al., "Programming Refusal with Conditional Activation Steering", arXiv:2409.05907.
    Target projection: arXiv:2604.08169.
"""

import numpy as np
from scipy.special import logit

from interp_steer.errors import SteeringError
from interp_steer.heads.head import Head
from interp_steer.steering.gate import Gate
from interp_steer.steering.intervention import Intervention


def gate_below(head: Head, *, probability: float) -> Gate:
    """Return a gate that lets an intervention act on tokens to which the head gives less than a probability.

    Args:
        head: What decides; at or below the layer that is steered.
        probability: Below it a token is steered.

    Raises:
        SteeringError: If it is no probability.
    """
    return Gate(layer=head.layer, weight=head.weight, bias=head.bias - _logit(probability))


def dose(head: Head, *, probability: float) -> Intervention:
    """Return what moves each token along the head's direction until the head gives it a probability.

    Tokens that have it already are left alone.

    Args:
        head: What decides, and along which direction.
        probability: What every steered token reads afterwards, at least.

    Raises:
        SteeringError: If it is no probability, or the head reads nothing.
    """
    length = float(np.linalg.norm(head.weight.astype(np.float64)))
    if length == 0:
        raise SteeringError(f"the {head.behavior!r} head has no direction: its weight is zero")
    return Intervention(
        layer=head.layer,
        alpha=(_logit(probability) - head.bias) / length,
        direction=(head.weight.astype(np.float64) / length).astype(np.float32),
        operation="reach",
    )


def _logit(probability: float) -> float:
    if not 0 < probability < 1:
        raise SteeringError(f"{probability:g} is no probability to steer by; expected a number between 0 and 1")
    return float(logit(probability))
