"""A :class:`~interp_steer.model.protocol.Model` on TransformerLens' ``TransformerBridge``, raw weights.

Hooks go in through the bridge's named hook points; forward passes go through the Hugging Face model
inside it, which fires them and keeps the batched caches and masks of that library.
"""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from interp_steer.errors import HookError, SteeringError
from interp_steer.model.chat import Chat
from interp_steer.model.native import NativePasses
from interp_steer.model.protocol import ForwardOutput, ResidualHook
from interp_steer.records import ModelCard

FINGERPRINT_SAMPLES = 4096


class BridgeModel:
    """A Hugging Face causal model wrapped by TransformerLens."""

    def __init__(self, hf_model: Any, tokenizer: Any, *, name: str, revision: str) -> None:
        """Wrap a loaded model.

        Args:
            hf_model: A Hugging Face ``...ForCausalLM`` in eval mode, on its device, in its dtype.
            tokenizer: Its tokenizer.
            name: Name for cards and messages.
            revision: Commit or version of the weights.
        """
        fingerprint = weights_fingerprint(hf_model)
        self._hf = hf_model
        self._dtype = str(hf_model.dtype).removeprefix("torch.")
        self._bridge = TransformerBridge.boot_transformers(
            name, hf_model=hf_model, tokenizer=_for_transformer_lens(tokenizer, name)
        )
        self._passes = NativePasses(hf_model, self._bridge)
        self._chat = Chat(tokenizer)
        self._eos_ids = _eos_ids(hf_model, tokenizer)
        config = hf_model.config
        n_layers = int(config.num_hidden_layers)
        self._card = ModelCard(
            name=name,
            revision=revision,
            fingerprint=fingerprint,
            dtype=self._dtype,
            n_layers=n_layers,
            d_model=int(config.hidden_size),
            layer_types=tuple(getattr(config, "layer_types", None) or ["full_attention"] * n_layers),
            template=self._chat.digest,
        )
        self._runs = [0] * n_layers

    @property
    def card(self) -> ModelCard:
        """What identifies the model."""
        return self._card

    @property
    def chat(self) -> Chat:
        """Turns prompts and responses into token ids."""
        return self._chat

    @property
    def device(self) -> torch.device:
        """Where input ids go."""
        device: torch.device = self._hf.get_input_embeddings().weight.device
        return device

    @property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a completion."""
        return self._eos_ids

    @property
    def vocab_size(self) -> int:
        """Number of logits at each position."""
        return int(self._hf.config.vocab_size)

    @property
    def bridge(self) -> TransformerBridge:
        """The TransformerLens model itself. Attention runs natively: the hook points inside it do not fire.

        The other hook points do, at the price of the bridge's components: without a hook at one of them, a pass
        runs Hugging Face's own modules, and only the residual stream goes through the bridge.
        """
        return self._bridge

    @contextmanager
    def hooks(self, functions: Mapping[int, ResidualHook]) -> Iterator[None]:
        """Attach one function per layer to ``blocks.<l>.hook_resid_post``; see ``Model.hooks``."""
        fired = dict.fromkeys(functions, 0)
        before = list(self._runs)

        def counted(layer: int, function: ResidualHook) -> Any:
            def hook(resid: Tensor, hook: Any) -> Tensor | None:  # noqa: ARG001 (TransformerLens names it)
                fired[layer] += 1
                return function(resid)

            return hook

        for layer in functions:
            if not 0 <= layer < self._card.n_layers:
                raise SteeringError(
                    f"layer {layer} does not exist: {self._card.name!r} has layers 0 to {self._card.n_layers - 1}"
                )
        named = [(hook_name(layer), counted(layer, function)) for layer, function in functions.items()]
        with self._bridge.hooks(fwd_hooks=named), self._passes.native():
            yield
        for layer, count in fired.items():
            passes = self._runs[layer] - before[layer]
            if count != passes:
                raise HookError(
                    f"{hook_name(layer)} fired {count} times in {passes} forward passes of {self._card.name!r}; "
                    "the architecture does not run this hook point as expected: run 'interp-steer doctor'"
                )

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
        """Run the blocks without gradients; see ``Model.forward``."""
        positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -input_ids.shape[1] :]
        inputs = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": positions,
            "past_key_values": cache,
            "use_cache": keep_cache or cache is not None,
        }
        for layer in range(start[0] if start else 0, self._card.n_layers):
            self._runs[layer] += 1
        started = self._passes.starting(*start) if start else nullcontext()
        with torch.inference_mode(), self._passes.native(), started:
            if logits == "none":
                output = self._hf.base_model(**inputs)
                return ForwardOutput(logits=None, cache=output.past_key_values)
            output = self._hf(**inputs, logits_to_keep=1 if logits == "last" else 0)
        return ForwardOutput(logits=output.logits, cache=output.past_key_values)


def hook_name(layer: int) -> str:
    """Return the name of the residual stream after a block."""
    return f"blocks.{layer}.hook_resid_post"


def weights_fingerprint(hf_model: Any) -> str:
    """Hash a fixed, evenly spaced sample of every parameter, rounded to bfloat16.

    Cheap for any size, and equal for one checkpoint loaded in float32 or bfloat16.
    """
    sha = hashlib.sha256()
    for name, parameter in sorted(hf_model.named_parameters()):
        flat = parameter.detach().reshape(-1)
        index = torch.linspace(0, flat.numel() - 1, min(flat.numel(), FINGERPRINT_SAMPLES), dtype=torch.float64).long()
        sample = flat[index.to(flat.device)].to(torch.bfloat16).float().cpu().numpy().astype(np.float32)
        sha.update(f"{name}{tuple(parameter.shape)}".encode())
        sha.update(sample.tobytes())
    return sha.hexdigest()[:16]


def _for_transformer_lens(tokenizer: Any, name: str) -> Any:
    """Return a copy to change: a missing beginning-of-text token becomes the end-of-text token in place.

    The two settings keep a tokenizer that has one, but came from no folder, from being loaded again by its name.
    """
    theirs = copy.deepcopy(tokenizer)
    theirs.init_kwargs = {"name_or_path": name, "add_bos_token": True, **theirs.init_kwargs}
    return theirs


def _eos_ids(hf_model: Any, tokenizer: Any) -> frozenset[int]:
    configured = getattr(hf_model.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*listed, tokenizer.eos_token_id] if token is not None)
