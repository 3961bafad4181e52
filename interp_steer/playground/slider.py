"""The browser's own slider: what has the focus has the role, the name, the value and both ends."""

from collections.abc import Callable

from nicegui.elements.mixins.value_element import ValueElement

_PAUSE = 0.05  # s between two messages to the server; the last value always arrives


class Slider(ValueElement[float], component="slider.js"):
    """A slider that keeps up with a key held down: it moves at once, not when the server has answered."""

    LOOPBACK = False

    def __init__(self, *, low: float, high: float, step: float, on_change: Callable[[], None], name: str) -> None:
        """Draw the slider in the current place of the page, at 0.

        Args:
            low: Lower end.
            high: Upper end.
            step: Distance of two values that a hand or a key can reach.
            on_change: Told of every change.
            name: Id of the element whose text is the slider's name.
        """
        super().__init__(value=0.0, on_value_change=lambda _: on_change(), throttle=_PAUSE)
        self._props.update({"step": step, "aria-labelledby": name})
        self.set_ends(low, high)

    def set_ends(self, low: float, high: float) -> None:
        """Set both ends."""
        self._props.update({"min": low, "max": high})
        self.update()
