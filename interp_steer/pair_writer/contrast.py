"""Which instruction wrote a text, by the model's own account: a filter that needs no scorer and no judge.

The model reads a response under a pair of contrastive system prompts. Its log-odds that the first one wrote it are,
with equal priors and by Bayes' rule, ``log p(response | pos) - log p(response | neg)``; per token::

    contrast = mean over instruction pairs of [nll(response | neg) - nll(response | pos)]   (nats per token)

Instruction pairs other than the one that wrote the response are asked (two of them, where there are so many), so that
words caught from one instruction do not vouch for the text.

What it does not show: that a reader would find the behavior. A model that misunderstands both instructions agrees
with itself; one that is too small to hear a system prompt has a contrast near 0, and hardly a side passes. Words of
an instruction raise it as well as its meaning does. It knows no neutral: a plain answer has a contrast of its own,
which need not be 0 where one instruction is what the model does anyway.

Source:
    Chen et al., "Persona Vectors", arXiv:2507.21509 (contrastive system prompts; there a judge filters the responses).
"""

from collections.abc import Sequence

from interp_steer.pair_writer.filters import Fault

MARGIN = 0.02
"""Nats per token: the odds of a response of 60 tokens are then above 3 to 1."""
CONFIRMING = 2
"""Instruction pairs that confirm a response."""


def confirming(written_by: int, n_instructions: int) -> tuple[int, ...]:
    """Return which instruction pairs confirm what another wrote; its own, where there is but one."""
    others = [(written_by + step) % n_instructions for step in range(1, n_instructions)]
    return tuple(others[:CONFIRMING]) or (written_by,)


def contrast(nll_positive: Sequence[float], nll_negative: Sequence[float]) -> float:
    """Return the log-odds per token that the positive instructions wrote a text, averaged over pairs of them.

    Args:
        nll_positive: Mean negative log-likelihood of the text under each positive instruction, nats per token.
        nll_negative: The same under its counterpart.
    """
    gaps = [negative - positive for positive, negative in zip(nll_positive, nll_negative, strict=True)]
    return sum(gaps) / len(gaps)


def contrast_fault(value: float, *, positive: bool) -> Fault | None:
    """Return why a side is not what its instruction asked for; None if its contrast has the sign, by a margin."""
    if (value if positive else -value) >= MARGIN:
        return None
    expected = f"at least {MARGIN:+g}" if positive else f"at most {-MARGIN:+g}"
    return Fault(reason="contrast", detail=f"{value:+.3f} nats per token, expected {expected}")
