"""Which positions are steered.

=============  ===================================================================================
``response``   from the last prompt token on: the residual that makes the first generated token, and
               every generated token after it (the default; the prompt's cache stays clean)
``generated``  generated tokens only: the first generated token is then unsteered
``all``        every token but the first, which is the attention sink
=============  ===================================================================================
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp_steer.errors import SteeringError
from interp_steer.terms import SCOPES, Scope


def prompt_positions(mask: Int[Tensor, "row pos"], scope: Scope) -> Bool[Tensor, "row pos"]:
    """Mark the steered positions of left-padded prompts.

    Args:
        mask: 1 for real tokens, 0 for pads.
        scope: Which positions are steered.

    Raises:
        SteeringError: If the scope is unknown.
    """
    if scope not in SCOPES:
        raise SteeringError(f"scope {scope!r} is not known; expected one of {', '.join(SCOPES)}")
    not_sink = (mask.cumsum(dim=1) > 1) & mask.bool()
    if scope == "all":
        return not_sink
    steered = torch.zeros_like(mask, dtype=torch.bool)
    if scope == "response":
        steered[:, -1] = not_sink[:, -1]
    return steered
