"""One completion on the page: its title, its words as they come, and how far they point along the direction."""

from nicegui import ui
from nicegui.element import Element

from interp_steer.errors import InterpSteerError
from interp_steer.playground.choice import Variant
from interp_steer.report.phrases import count, fixed, visible
from interp_steer.serving.answer import LiveAnswer

_ENDED = {
    "eos": "ended by itself",
    "length": "cut off at its length",
    "loop": "stopped: it repeated itself without end",
    "cancelled": "stopped",
    "stop": "ended",
}


class Tokens(Element, component="tokens.js"):
    """Colored tokens that grow."""

    def __init__(self, bound: float) -> None:
        """Begin with none.

        Args:
            bound: Cosine at which colors saturate.
        """
        super().__init__()
        self._props["bound"] = bound

    def append(self, pieces: list[tuple[str, float | None]]) -> None:
        """Add tokens, each with the cosine of the one before it."""
        self.run_method("append", pieces)


class AnswerCard:
    """Shows one answer while it is written."""

    def __init__(self, variant: Variant, answer: LiveAnswer, *, bound: float, swept: str) -> None:
        """Draw the card, empty, in the current place of the page.

        Args:
            variant: What was asked for.
            answer: What is being written.
            bound: Cosine at which colors saturate.
            swept: What the sweep says of this cell; empty where it says nothing.
        """
        self._answer, self._seen, self._cosines = answer, 0, list[float]()
        self.over = False
        with ui.element("article").classes("answer" if variant.pushes else "answer plain"):
            with ui.element("header"):
                ui.label(variant.title).classes("title").props("role=heading aria-level=2")
                self._status = ui.label("waiting for a slot").classes("status").props("role=status")
            self._tokens = Tokens(bound)
            self._measure = ui.label("").classes("measure")
            ui.label(swept).classes("swept").set_visibility(bool(swept))

    def follow(self) -> None:
        """Show what has come since the last time."""
        if self.over:
            return
        try:
            pieces, self.over = self._answer.read(self._seen)
        except Exception as error:
            self.over = True
            known = isinstance(error, InterpSteerError)
            self._status.set_text(visible(str(error)) if known else f"failed ({type(error).__name__})")
            self._status.classes("failed")
            return
        if pieces:
            self._seen += len(pieces)
            before = [None if piece.before is None else piece.before[0] for piece in pieces]
            self._cosines += [cosine for cosine in before if cosine is not None]
            rounded = [None if cosine is None else round(cosine, 4) for cosine in before]
            self._tokens.append([(visible(piece.text), cosine) for piece, cosine in zip(pieces, rounded, strict=True)])
            self._status.set_text("writing")
        if self.over:
            self._status.set_text(_ENDED[self._answer.result(0).finish])
        if self._seen:
            mean = f"mean cosine {fixed(sum(self._cosines) / len(self._cosines))} · " if self._cosines else ""
            self._measure.set_text(mean + count(self._seen, "token"))
