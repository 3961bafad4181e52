"""The arithmetic of each operation on many tokens at once, in float32; what they mean: :mod:`.intervention`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp_steer.terms import Operation

Resid = Float[Tensor, "row pos d_model"]
Direction = Float[Tensor, "row #pos d_model"]
Amount = Float[Tensor, "row #pos one"]


def add(h: Resid, push: Direction) -> Resid:
    """Add ``||h|| * push`` to every token; the push has its amount for its length."""
    return h + torch.linalg.vector_norm(h, dim=-1, keepdim=True) * push


def add_norm_preserving(h: Resid, v: Direction, alpha: Amount) -> Resid:
    """Add ``alpha ||h|| v`` and scale back to ``||h||``; where the two cancel, ``h`` stays."""
    norm = torch.linalg.vector_norm(h, dim=-1, keepdim=True)
    moved = h + alpha * norm * v
    length = torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
    return torch.where(length > 0, moved * (norm / length.clamp(min=torch.finfo(h.dtype).tiny)), h)


def ablate(h: Resid, v: Direction, share: Amount) -> Resid:
    """Take away a share of the component along ``v``."""
    return h - share * (h * v).sum(dim=-1, keepdim=True) * v


def project(h: Resid, v: Direction, target: Amount) -> Resid:
    """Move ``h`` along ``v`` until its projection is ``target ||h||``."""
    return h + _missing(h, v, target) * v


def project_at_least(h: Resid, v: Direction, target: Amount) -> Resid:
    """Move ``h`` along ``v`` until its projection is ``target ||h||``, where it is less."""
    missing = _missing(h, v, target)
    return torch.where(missing > 0, h + missing * v, h)


def reach(h: Resid, v: Direction, least: Amount) -> Resid:
    """Move ``h`` along ``v`` until its projection is ``least``, where it is less."""
    missing = least - (h * v).sum(dim=-1, keepdim=True)
    return torch.where(missing > 0, h + missing * v, h)


def rotate(h: Resid, v: Direction, degrees: Amount) -> Resid:
    """Turn ``h`` toward ``v`` in the plane of both, no further than ``v`` itself (``-v`` below 0 degrees).

    Where ``h`` lies on the axis there is no such plane, and ``h`` stays.
    """
    along = (h * v).sum(dim=-1, keepdim=True)
    beside = h - along * v
    width = torch.linalg.vector_norm(beside, dim=-1, keepdim=True)
    norm = torch.linalg.vector_norm(h, dim=-1, keepdim=True)
    angle = (torch.atan2(width, along) - torch.deg2rad(degrees)).clamp(0, torch.pi)
    unit = beside / width.clamp(min=torch.finfo(h.dtype).tiny)
    return torch.where(width > 0, norm * (angle.cos() * v + angle.sin() * unit), h)


def _missing(h: Resid, v: Direction, target: Amount) -> Float[Tensor, "row pos one"]:
    return target * torch.linalg.vector_norm(h, dim=-1, keepdim=True) - (h * v).sum(dim=-1, keepdim=True)


OPERATION: Mapping[Operation, Callable[[Resid, Direction, Amount], Resid]] = {
    "add_norm_preserving": add_norm_preserving,
    "ablate": ablate,
    "project": project,
    "project_at_least": project_at_least,
    "rotate": rotate,
    "reach": reach,
}
"""Every operation but ``add``, whose pushes are summed beforehand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Realised:
    """What became of each token, whatever the operation was called.

    Attributes:
        angle: Between the residual before and after, in degrees; NaN where either is zero.
        norm_ratio: Norm after over norm before; NaN where that is zero.
    """

    angle: Float[Tensor, "*token"]
    norm_ratio: Float[Tensor, "*token"]


def realised(before: Float[Tensor, "*token d_model"], after: Float[Tensor, "*token d_model"]) -> Realised:
    """Compare a residual stream with what an intervention made of it.

    Rotation and change of length are two different doses: adding is both.
    """
    before, after = before.double(), after.double()
    norms = [torch.linalg.vector_norm(one, dim=-1) for one in (before, after)]
    units = [one / norm.unsqueeze(-1) for one, norm in zip((before, after), norms, strict=True)]
    # Half the angle from both sums: arccos of the cosine loses half its digits near 0.
    chord, sum_ = (torch.linalg.vector_norm(one, dim=-1) for one in (units[0] - units[1], units[0] + units[1]))
    return Realised(angle=torch.rad2deg(2 * torch.atan2(chord, sum_)), norm_ratio=norms[1] / norms[0])
