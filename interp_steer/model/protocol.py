"""What the rest of the library may ask of a model."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.model.chat import Chat
from interp_steer.records import ModelCard

ResidualHook = Callable[[Float[Tensor, "batch pos d_model"]], Float[Tensor, "batch pos d_model"] | None]
"""Sees the residual stream after a block; returns its replacement, or None to leave it alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ForwardOutput:
    """What one forward pass gives back.

    Attributes:
        logits: At every position of this call, at the last one, or None, as asked.
        cache: Attention keys and values, and the state of linear-attention blocks; None if not asked for.
    """

    logits: Float[Tensor, "batch pos vocab"] | None
    cache: Any


@runtime_checkable
class Model(Protocol):
    """A causal language model whose residual stream can be read and written after every block."""

    @property
    def card(self) -> ModelCard:
        """What identifies the model."""
        ...

    @property
    def chat(self) -> Chat:
        """Turns prompts and responses into token ids."""
        ...

    @property
    def device(self) -> torch.device:
        """Where input ids go."""
        ...

    @property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a completion."""
        ...

    @property
    def vocab_size(self) -> int:
        """Number of logits at each position."""
        ...

    def hooks(self, functions: Mapping[int, ResidualHook]) -> AbstractContextManager[None]:
        """Attach one function per layer to ``blocks.<l>.hook_resid_post`` for the duration of the block.

        Raises:
            SteeringError: If a layer does not exist.
            HookError: On leaving, if a hook did not fire once per forward pass.
        """
        ...

    def forward(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch past_and_pos"],
        *,
        logits: Literal["all", "last", "none"],
        cache: Any = None,
        keep_cache: bool = False,
        start: tuple[int, Float[Tensor, "batch pos d_model"]] | None = None,
    ) -> ForwardOutput:
        """Run the blocks on (the continuation of) a left- or right-padded batch, without gradients.

        Args:
            input_ids: Tokens of this call.
            attention_mask: 1 for real tokens, 0 for pads, over what the cache holds and this call.
            logits: Where to apply the unembedding; ``none`` skips it.
            cache: What an earlier call returned, to continue from.
            keep_cache: Whether to return the cache. A passed cache is always continued in place.
            start: The block to enter first, and the residual stream that enters it; the blocks below are skipped.
        """
        ...
