"""The controls of one behavior: which, at which layers, how strongly, and what the sweep says of that."""

from collections.abc import Callable

from nicegui import ui

from interp_steer.playground.choice import MOST_ALPHA
from interp_steer.playground.shelf import Playable, Shelf
from interp_steer.playground.slider import Slider
from interp_steer.playground.strip import drawing, in_words, swept_ranges
from interp_steer.serving.catalog import Steering

_STEP = 0.01


class PushPanel:
    """One behavior to push."""

    def __init__(self, shelf: Shelf, behavior: str, changed: Callable[[], None], *, number: int) -> None:
        """Draw the controls in the current place of the page, set to the run's chosen cell.

        Args:
            shelf: What there is.
            behavior: What is chosen at first.
            changed: Told of every change.
            number: Which panel of the page this is, from 1, for the names of its controls.
        """
        self._shelf, self._changed = shelf, changed
        with ui.element("fieldset").classes("push") as self.box:
            ui.element("legend").props(f'id="push-{number}"')
            self._behavior = ui.select(list(shelf.playables), value=behavior, label="Behavior", on_change=self._renew)
            self._layers = ui.select([], multiple=True, label="Layers", on_change=self._redraw).props("use-chips")
            with ui.element("div").classes("alpha"):
                ui.label("alpha").props(f'id="alpha-{number}"')
                with ui.element("div").classes("knob"):
                    self.slider = Slider(low=-1, high=1, step=_STEP, on_change=self._moved, name=f"alpha-{number}")
                    self._strip = ui.html("", sanitize=False).classes("swept-strip")
                self.number = ui.number(min=-MOST_ALPHA, max=MOST_ALPHA, step=_STEP, format="%.2f", value=0)
                self.number.props(f'dense outlined aria-label="alpha {number}"')
                self.number.on_value_change(self._typed)
            self._words = ui.label("").classes("hint")
        self._renew()

    @property
    def playable(self) -> Playable:
        """The behavior that is chosen."""
        return self._shelf.playables[str(self._behavior.value)]

    @property
    def layers(self) -> list[int]:
        """The layers that are chosen, ascending."""
        return sorted(self._layers.value or [])

    @property
    def push(self) -> Steering:
        """What is set."""
        alpha = round(float(self.slider.value or 0), 4)
        return Steering(behavior=str(self._behavior.value), layer=self.layers, alpha=alpha)

    @property
    def span(self) -> tuple[float, float]:
        """The ends of the slider: a third beyond what was swept, and half as far where nothing was."""
        alphas = [point.alpha for one in self.playable.ranges.values() for point in one.points] or [0.75]
        reach = min(MOST_ALPHA, max(0.1, round(4 / 3 * max(map(abs, alphas)), 1)))
        return (-reach if min(alphas) < 0 else -reach / 2, reach if max(alphas) > 0 else reach / 2)

    def _renew(self) -> None:
        """Set everything to the chosen cell of the behavior, or to the middle layer and nothing."""
        one = self.playable
        cell, n = one.steerable.cell, one.steerable.vectors.n_layers
        names = {layer: f"{layer} · swept" if layer in one.ranges else str(layer) for layer in range(n)}
        first = [n // 2] if cell is None or cell.layer is None else [cell.layer, *cell.more_layers]
        self._layers.set_options(names, value=first)
        low, high = self.span
        self.slider.set_ends(low, high)
        self.slider.set_value(0.0 if cell is None else cell.alpha)
        self._redraw()

    def _moved(self) -> None:
        self.number.set_value(self.slider.value)
        self._changed()

    def _typed(self) -> None:
        if self.number.value is not None and self.number.value != self.slider.value:
            low, high = self.span
            self.slider.set_value(max(low, min(high, float(self.number.value))))
            self.number.set_value(self.slider.value)  # also where the slider stood at its end already

    def _redraw(self) -> None:
        one, found = self.playable, swept_ranges(self.playable, self.layers)
        cell = one.steerable.cell
        chosen = cell.alpha if cell is not None and cell.layer in self.layers else None
        self._strip.set_content(drawing(found, *self.span, chosen))
        self._words.set_text(in_words(one, self.layers))
        self._changed()
