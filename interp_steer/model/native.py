"""Forward passes through Hugging Face's own modules, in which only the residual stream can be hooked.

The bridge wraps every norm, projection and activation in a component with hook points of its own; at one
token a pass, calling them costs as much as the arithmetic of a small model. For the time of a pass the
original modules are put back, and what leaves a block goes through the bridge's own
``blocks.<l>.hook_resid_post``. Where some other hook point is in use, the bridge's components stay.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from transformer_lens.hook_points import HookPoint
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.generalized_components.attention import AttentionBridge
from transformer_lens.model_bridge.generalized_components.base import GeneralizedComponent


@dataclass(frozen=True, kw_only=True, eq=False)
class _Place:
    """Where a module hangs in its parent, and what the bridge put there in place of what."""

    siblings: dict[str, nn.Module | None]
    leaf: str
    bridged: nn.Module
    native: nn.Module

    def put(self, module: nn.Module) -> None:
        self.siblings[self.leaf] = module


class _Skipped(nn.Module):
    """Stands in for a block below the one where a pass starts: hands on the residual stream it is given.

    Attributes that the model reads from its blocks are those of the block.
    """

    def __init__(self, native: nn.Module, *, as_tuple: bool) -> None:
        super().__init__()
        object.__setattr__(self, "_native", native)
        self._as_tuple = as_tuple
        self.resid: Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_native"), name)

    def forward(self, *_: Any, **__: Any) -> Any:
        return (self.resid,) if self._as_tuple else self.resid


class NativePasses:
    """Puts the original modules of a bridged model back for the time of a forward pass."""

    def __init__(self, hf_model: nn.Module, bridge: TransformerBridge) -> None:
        """Find every component that wraps an original module, and listen at the end of each block.

        Args:
            hf_model: The Hugging Face model inside the bridge.
            bridge: The bridge around it.
        """
        _restore_native_attention(hf_model)
        blocks = {id(block): layer for layer, block in enumerate(bridge.blocks)}
        outputs = [block.hook_out for block in bridge.blocks]
        self._native = False
        self._as_tuple = [False] * len(outputs)
        self._places: list[_Place] = []
        self._blocks: dict[int, _Place] = {}
        for name, module in list(hf_model.named_modules()):
            parent_name, _, leaf = name.rpartition(".")
            parent = hf_model.get_submodule(parent_name)
            if not isinstance(module, GeneralizedComponent) or isinstance(parent, GeneralizedComponent):
                continue
            native = module.original_component
            if native is None:
                continue
            place = _Place(siblings=parent._modules, leaf=leaf, bridged=module, native=native)
            self._places.append(place)
            if id(module) in blocks:
                self._blocks[blocks[id(module)]] = place
        self._other_points = [
            module
            for module in hf_model.modules()
            if isinstance(module, HookPoint) and not any(module is one for one in outputs)
        ]
        for layer, output in enumerate(outputs):
            self._blocks[layer].native.register_forward_hook(self._through(layer, output))

    @contextmanager
    def passing(self, start: tuple[int, Float[Tensor, "batch pos d_model"]] | None = None) -> Iterator[None]:
        """Run the model natively inside the block.

        Args:
            start: The block to enter first, and the residual stream that enters it; those below are skipped.
        """
        hooked = any(point.fwd_hooks or point.bwd_hooks for point in self._other_points)
        places = [] if hooked else self._places
        skipped = [self._blocks[layer] for layer in range(start[0])] if start else []
        for place in places:
            place.put(place.native)
        for layer, place in enumerate(skipped):
            stand_in = _Skipped(place.native, as_tuple=self._as_tuple[layer])
            stand_in.resid = start[1] if start else None
            place.put(stand_in)
        self._native = not hooked
        try:
            yield
        finally:
            self._native = False
            for place in [*places, *skipped]:
                place.put(place.bridged)

    def _through(self, layer: int, output_point: HookPoint) -> Any:
        def through(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            self._as_tuple[layer] = isinstance(output, tuple)
            if not self._native or not output_point.fwd_hooks:
                return None
            if isinstance(output, tuple):
                return (output_point(output[0]), *output[1:])
            return output_point(output)

        return through


def _restore_native_attention(hf_model: Any) -> None:
    """Let Hugging Face's own attention modules run, through SDPA, in place of the bridge's eager ones.

    The bridge computes attention step by step, so that scores and patterns can be hooked; memory then grows
    with the square of the length. This toolkit reads and writes the residual stream only: the hook points
    inside attention do not fire, all others do.
    """
    for name, module in list(hf_model.named_modules()):
        if isinstance(module, AttentionBridge):
            parent, _, leaf = name.rpartition(".")
            setattr(hf_model.get_submodule(parent), leaf, module.original_component)
    hf_model.set_attn_implementation("sdpa")
