"""Does a direction promote the words of the positive responses by the direct path to the output?

``A_l = sum_w (p+(w) - p-(w)) z_l(w) / sd(z_l)``: z_l is the logit lens of the layer's direction over the
vocabulary, p+ and p- are the frequencies of tokens in the positive and the negative responses, with one half
added to the count of every token that either side uses.

It does not show what steering does through the blocks above the layer, and it uses the labels of the pairs.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp_steer.behaviors import Pair
from interp_steer.errors import SteeringError
from interp_steer.model.protocol import Model

SMOOTHING = 0.5


def lens_alignment(
    model: Model, logits: Float[Tensor, "layer vocab"], pairs: Sequence[Pair]
) -> Float[np.ndarray, " layer"]:
    """Compare the logit lens of directions with the words of pairs.

    Args:
        model: Its chat template says which tokens are of the response.
        logits: Logit lens of each direction, centered over the vocabulary; no row is constant.
        pairs: Contrastive pairs, those the vector was made from or others.

    Returns:
        In standard deviations of the logits; above 0 where positive words are promoted over negative ones.

    Raises:
        SteeringError: If there are no pairs.
        TemplateError: If tokens merge across the seam between a prompt and its response.
    """
    if not pairs:
        raise SteeringError("the alignment with the words of pairs needs at least one pair")
    counts = Counter[int](), Counter[int]()
    for pair in pairs:
        for side, response in zip(counts, (pair.positive, pair.negative), strict=True):
            ids, n_prompt = model.chat.pair_ids(pair.prompt, response)
            side.update(ids[n_prompt:])
    seen = sorted(counts[0] | counts[1])
    frequencies = [np.array([side[token] + SMOOTHING for token in seen]) for side in counts]
    contrast = frequencies[0] / frequencies[0].sum() - frequencies[1] / frequencies[1].sum()
    standard = (logits / logits.std(dim=-1, keepdim=True))[:, torch.tensor(seen)]
    return standard.double().numpy() @ contrast
