"""What the sweep says beside an alpha slider: the coherent range as a band, and a mark at every swept alpha."""

from collections.abc import Sequence

from interp_steer.playground.shelf import COHERENT, LayerRange, Playable
from interp_steer.report.phrases import alpha, fixed


def swept_ranges(playable: Playable, layers: Sequence[int]) -> list[LayerRange]:
    """Return what the sweep says of the chosen layers, those that were swept."""
    return [playable.ranges[layer] for layer in layers if layer in playable.ranges]


def in_words(playable: Playable, layers: Sequence[int]) -> str:
    """Say up to which alpha the sweep stayed coherent; one layer steered alone is what was swept."""
    if playable.steerable.operation != "add":
        return f"The sweep was of {playable.steerable.operation!r}: nothing is known of what is added here."
    if not playable.ranges:
        return "This run has no sweep: nothing is known of its alphas."
    found = swept_ranges(playable, layers)
    if not found:
        nearest = min(playable.ranges, key=lambda layer: min(abs(layer - one) for one in layers or [0]))
        return f"Not swept at this layer. {_said(playable.ranges[nearest])}"
    caution = " Several layers at once add up: expect to need less." if len(layers) > 1 else ""
    return " ".join(map(_said, found)) + caution


def drawing(found: Sequence[LayerRange], low: float, high: float, chosen: float | None) -> str:
    """Return the band and marks as an SVG that lies under a slider from ``low`` to ``high``; numbers only.

    With several layers the band is what all of them have in common.

    Args:
        found: The swept layers.
        low: Left end.
        high: Right end.
        chosen: Alpha of the run's chosen cell, if it belongs to one of these layers.
    """

    def x(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    parts = ['<rect class="track" x="0" y="3" width="100%" height="6" rx="3"/>']
    if found:
        left, right = max(max(one.low for one in found), low), min(min(one.high for one in found), high)
        if right > left:
            width = f"{100 * (right - left) / (high - low):.2f}%"
            parts.append(f'<rect class="coherent" x="{x(left)}" y="3" width="{width}" height="6" rx="3"/>')
    for one in found:
        for point in one.points:
            if not low <= point.alpha <= high:
                continue
            good = point.coherence is not None and point.coherence >= COHERENT
            shade = 0 if point.behavior is None else min(4, int(5 * max(0.0, point.behavior)))
            name = f"h{shade}" + ("" if good else " broken") + (" chosen" if point.alpha == chosen else "")
            parts.append(f'<circle class="{name}" cx="{x(point.alpha)}" cy="6" r="5"/>')
    label = "" if low >= 0 else f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="12"/>'
    return f'<svg class="strip" height="12" width="100%" aria-hidden="true">{"".join(parts)}{label}</svg>'


def _said(one: LayerRange) -> str:
    most = max(point.alpha for point in one.points)
    if one.high > 0:
        bound = "the largest swept" if one.high >= most else "beyond, it broke"
        at = next(point for point in one.points if point.alpha == one.high)
        reach = (
            f"Layer {one.layer} stayed coherent up to {alpha(one.high)} ({bound}); behavior there {fixed(at.behavior)}."
        )
    elif most > 0:
        first = min(point.alpha for point in one.points if point.alpha > 0)
        reach = f"Layer {one.layer} was incoherent from the first swept alpha on, {alpha(first)}."
    else:
        reach = f"Layer {one.layer} was swept below 0 only."
    return reach + (f" Downwards to {alpha(one.low)}." if one.low < 0 else "")


def of_cell(playable: Playable, layers: Sequence[int], strength: float) -> str:
    """Return the sweep's scores of one cell, where it was swept just so."""
    if len(layers) != 1 or layers[0] not in playable.ranges:
        return ""
    points = [one for one in playable.ranges[layers[0]].points if abs(one.alpha - strength) < 1e-6]
    if not points:
        return ""
    return f"in the sweep: behavior {fixed(points[0].behavior)}, coherence {fixed(points[0].coherence)}"
