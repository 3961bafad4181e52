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

    def __init__(self, native: nn.Module, resid: Tensor, *, as_tuple: bool) -> None:
        super().__init__()
        object.__setattr__(self, "_native", native)  # not as a submodule: it has a place of its own
        self._output = (resid,) if as_tuple else resid

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_native"), name)

    def forward(self, *_: Any, **__: Any) -> Any:
        return self._output


class NativePasses:
    """Puts the original modules of a bridged model back for the time of some forward passes."""

    def __init__(self, hf_model: nn.Module, bridge: TransformerBridge) -> None:
        """Find every component that wraps an original module, and listen at the end of each block.

        Args:
            hf_model: The Hugging Face model inside the bridge.
            bridge: The bridge around it.
        """
        _restore_native_attention(hf_model)
        blocks = {id(block): layer for layer, block in enumerate(bridge.blocks)}
        self._outputs: list[HookPoint] = [block.hook_out for block in bridge.blocks]
        self._as_tuple = [False] * len(self._outputs)
        self._through: dict[int, Any] = {}
        self._depth = 0
        self._put: list[_Place] = []
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
        outputs = {id(point) for point in self._outputs}
        self._other_points = [
            module for module in hf_model.modules() if isinstance(module, HookPoint) and id(module) not in outputs
        ]
        for layer, place in self._blocks.items():
            self._note_output(layer, place.native)

    @contextmanager
    def native(self) -> Iterator[None]:
        """Put the original modules in place for the duration of the block, which may be nested.

        Where a hook point other than the residual stream is in use as the outermost block is entered, the bridge's
        components stay.
        """
        if self._depth == 0 and not any(point.fwd_hooks or point.bwd_hooks for point in self._other_points):
            self._put = self._places
            for place in self._put:
                place.put(place.native)
        self._depth += 1
        if self._put:
            for layer, point in enumerate(self._outputs):
                if point.fwd_hooks and layer not in self._through:
                    self._through[layer] = self._blocks[layer].native.register_forward_hook(_into(point))
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                for handle in self._through.values():
                    handle.remove()
                for place in self._put:
                    place.put(place.bridged)
                self._through, self._put = {}, []

    @contextmanager
    def starting(self, layer: int, resid: Float[Tensor, "batch pos d_model"]) -> Iterator[None]:
        """Skip the blocks below ``layer``, which is given ``resid``, in the passes inside."""
        skipped = [self._blocks[below] for below in range(layer)]
        before = [place.siblings[place.leaf] for place in skipped]
        for below, place in enumerate(skipped):
            place.put(_Skipped(place.native, resid, as_tuple=self._as_tuple[below]))
        try:
            yield
        finally:
            for place, module in zip(skipped, before, strict=True):
                place.siblings[place.leaf] = module

    def _note_output(self, layer: int, block: nn.Module) -> None:
        """Learn from its first call whether a block returns a tuple."""

        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._as_tuple[layer] = isinstance(output, tuple)
            handle.remove()

        handle = block.register_forward_hook(note)


def _into(point: HookPoint) -> Any:
    """Return a hook of a block that sends its output through a hook point of the bridge."""

    def through(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if not point.fwd_hooks:
            return None
        return (point(output[0]), *output[1:]) if isinstance(output, tuple) else point(output)

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
