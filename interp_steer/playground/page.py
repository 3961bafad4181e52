"""The page: controls on one side, answers as they are written on the other."""

import asyncio
from collections.abc import Sequence

from nicegui import ui

from interp_steer.errors import InterpSteerError
from interp_steer.playground.answer_card import AnswerCard
from interp_steer.playground.choice import (
    MOST_CHARACTERS,
    MOST_PUSHES,
    MOST_RUNGS,
    MOST_TEMPERATURE,
    Choice,
    Variant,
    check,
    ladder,
    requests,
    variants,
)
from interp_steer.playground.push_panel import PushPanel
from interp_steer.playground.shelf import Shelf
from interp_steer.playground.snippets import as_python, as_shell
from interp_steer.playground.strip import of_cell
from interp_steer.report.phrases import SCOPES, fixed, visible
from interp_steer.serving.answer import LiveAnswer, news
from interp_steer.serving.catalog import Steering
from interp_steer.serving.live import LiveBatch

SECONDS_BETWEEN_LOOKS = 0.05


class Page:
    """What one visitor sees and has set; everybody has a page of their own, and all share the engine."""

    def __init__(self, batch: LiveBatch, shelf: Shelf, *, max_tokens: int) -> None:
        """Draw the page for the visitor that has just come.

        Args:
            batch: The engine.
            shelf: What can be played with.
            max_tokens: Longest completion.
        """
        self._batch, self._shelf, self._max_tokens = batch, shelf, max_tokens
        self._answers: list[LiveAnswer] = []
        self._panels: list[PushPanel] = []
        self._followed: tuple[str, int | None] = ("", None)
        self._ready = False
        card = batch.model.card
        with ui.element("div").classes("top"):  # the page's own main landmark is around all of this
            ui.label("interp-steer playground").classes("kicker").props("role=heading aria-level=1")
            ui.label(f"{card.name} · {card.n_layers} layers · {batch.slots} answers at a time").classes("hint")
        with ui.element("div").classes("desk"):
            with ui.element("form").classes("controls").props('aria-label="Settings"').on("submit.prevent", self._go):
                self._draw_controls()
            with ui.element("section").classes("results").props('aria-label="Answers"'):
                self._draw_results()
        self._ready = True
        self._settings_changed()
        ui.context.client.on_delete(self.stop)

    def stop(self) -> None:
        """End what this visitor is being answered; the slots are free before the next step."""
        for answer in self._answers:
            answer.cancel()

    def _draw_controls(self) -> None:
        first = next(iter(self._shelf.playables.values()))
        self._prompt = ui.textarea("Prompt", value=(first.prompts or ("",))[0], on_change=self._settings_changed)
        self._prompt.props(f"outlined autogrow maxlength={MOST_CHARACTERS} input-style='min-height:4.5rem'")
        with ui.element("div").classes("suggestions"):
            for prompt in first.prompts[1:]:
                ui.button(visible(prompt), on_click=lambda prompt=prompt: self._prompt.set_value(prompt)).props(
                    "flat no-caps dense align=left"
                )
        self._pushes = ui.element("div").classes("pushes")
        with ui.element("div").classes("row"):
            self._more = ui.button("Add a behavior", on_click=self._add).props("flat no-caps dense")
            self._fewer = ui.button("Remove the last", on_click=self._remove).props("flat no-caps dense")
        self._mode = ui.toggle({"pair": "Beside unsteered", "ladder": "Ladder of alphas"}, value="pair")
        self._mode.props("no-caps spread unelevated").on_value_change(self._settings_changed)
        with ui.element("div").classes("ladder").bind_visibility_from(self._mode, "value", value="ladder"):
            self._span = ui.range(min=-1, max=1, step=0.01, value={"min": 0, "max": 0.5})
            self._span.props('label aria-label="alphas of the ladder"').on_value_change(self._settings_changed)
            self._rungs = ui.number("Rungs", value=6, min=2, max=MOST_RUNGS, precision=0).props("dense outlined")
            self._rungs.on_value_change(self._settings_changed)
            self._ladder_said = ui.label("").classes("hint")
        names = {scope: f"{scope}: {words}" for scope, words in SCOPES.items()}
        self._scope = ui.select(names, value=first.steerable.scope, label="Steered tokens")
        self._scope.on_value_change(self._settings_changed)
        with ui.expansion("Length, sampling, colors").classes("more"), ui.element("div").classes("fields"):
            self._length = ui.number("Tokens, at most", value=min(96, self._max_tokens), min=1, max=self._max_tokens)
            self._temperature = ui.number("Temperature", value=0, min=0, max=MOST_TEMPERATURE, step=0.1)
            self._seed = ui.number("Seed", value=0, min=0, max=2**31, precision=0)
            self._colored = ui.select(list(self._shelf.playables), value=first.steerable.behavior, label="Colored by")
            n_layers = self._batch.model.card.n_layers
            self._read = ui.select(dict(enumerate(map(str, range(n_layers)))), value=n_layers // 2, label="Read at")
            for field in (self._length, self._temperature, self._seed, self._colored, self._read):
                field.on_value_change(self._settings_changed)
        with ui.element("div").classes("row act"):
            self._generate = ui.button("Generate").props("type=submit unelevated no-caps color=primary")
            self._stop = ui.button("Stop", on_click=self.stop).props("outline no-caps")
            self._stop.set_enabled(False)
        self._fault = ui.label("").classes("fault").props("role=alert")
        self._add()

    def _draw_results(self) -> None:
        with ui.element("div").classes("legend"):
            self._legend = ui.label("")
            self._low, _, self._high = ui.label(""), ui.element("i"), ui.label("")
        self._cards = ui.element("div").classes("answers")
        with self._cards:
            ui.label("Move alpha, press Generate, and watch both answers come.").classes("empty")
        self._snippets: dict[str, ui.code] = {}
        with ui.element("div").classes("snippets"):
            for name, language in (("Python", "python"), ("shell", "bash")):
                with ui.element("details"):
                    with ui.element("summary"):
                        ui.label(f"The same in {name}")
                    self._snippets[name] = ui.code("", language=language)
                self._snippets[name].copy_button.props(f'aria-label="Copy the {name}"')

    def _add(self) -> None:
        taken = {panel.push.behavior for panel in self._panels}
        behavior = next((name for name in self._shelf.playables if name not in taken), None)
        if behavior is None or len(self._panels) >= MOST_PUSHES:
            return
        with self._pushes:
            self._panels.append(PushPanel(self._shelf, behavior, self._settings_changed, number=len(self._panels) + 1))
        self._settings_changed()

    def _remove(self) -> None:
        if len(self._panels) > 1:
            self._panels.pop().box.delete()
            self._settings_changed()

    def _choice(self) -> Choice:
        span = self._span.value
        n_rungs = max(2, min(MOST_RUNGS, int(self._rungs.value or 2)))  # what is typed is not clamped yet
        rungs = ladder(float(span["min"]), float(span["max"]), n_rungs)
        return Choice(
            prompt=self._prompt.value or "",
            pushes=tuple(panel.push for panel in self._panels),
            scope=self._scope.value,
            max_new_tokens=int(self._length.value or 0),
            temperature=float(self._temperature.value or 0),
            seed=int(self._seed.value or 0),
            rungs=rungs if self._mode.value == "ladder" else (),
            colored=str(self._colored.value),
            read_layer=int(self._read.value or 0),
        )

    def _settings_changed(self) -> None:
        """Bring what is said about the settings up to date: snippets, ladder, buttons, legend."""
        if not self._ready:
            return
        self._follow()
        choice = self._choice()
        low, high = self._panels[0].span
        self._span.props(f"min={low} max={high}")
        self._ladder_said.set_text("alphas " + ", ".join(f"{alpha:g}" for alpha in choice.rungs).replace("-", "−"))
        self._more.set_visibility(len(self._panels) < min(MOST_PUSHES, len(self._shelf.playables)))
        self._fewer.set_visibility(len(self._panels) > 1)
        bound = self._shelf.playables[choice.colored].bounds[choice.read_layer]
        self._legend.set_text(f"cosine with {choice.colored} at layer {choice.read_layer}")
        self._low.set_text(fixed(-bound))
        self._high.set_text(fixed(bound))
        wanted = variants(choice)
        self._snippets["Python"].set_content(as_python(choice, wanted, self._shelf))
        self._snippets["shell"].set_content(as_shell(choice, wanted, self._shelf))

    def _follow(self) -> None:
        """Color by the first behavior at its first layer, and steer what its sweep did, until somebody says else."""
        first = self._panels[0]
        now = (first.push.behavior, min(first.layers, default=None))
        if now == self._followed:
            return
        before, self._followed = self._followed, now
        if now[0] != before[0]:
            self._colored.set_value(now[0])
            self._scope.set_value(first.playable.steerable.scope)
        if now[1] is not None:
            self._read.set_value(now[1])

    async def _go(self) -> None:
        self.stop()
        self._fault.set_text("")
        choice = self._choice()
        wanted = variants(choice)
        try:
            check(choice, self._shelf, max_tokens=self._max_tokens)
            asked = requests(choice, wanted, self._shelf, self._batch.model)
            self._answers = self._batch.submit_all(asked)
        except InterpSteerError as error:
            self._fault.set_text(visible(str(error)))
            return
        await self._show(choice, wanted, self._answers)

    async def _show(self, choice: Choice, wanted: Sequence[Variant], answers: Sequence[LiveAnswer]) -> None:
        bound = self._shelf.playables[choice.colored].bounds[choice.read_layer]
        self._cards.clear()
        with self._cards:
            cards = [
                AnswerCard(one, answer, bound=bound, swept=self._swept(choice, one.pushes))
                for one, answer in zip(wanted, answers, strict=True)
            ]
        self._stop.set_enabled(True)
        self._cards.run_method("scrollIntoView", {"block": "nearest", "behavior": "smooth"})
        try:
            async for _ in news(answers):
                for card in cards:
                    card.follow()
                if all(card.over for card in cards):
                    break
                await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            for answer in answers:
                answer.cancel()
            if answers is self._answers:
                self._stop.set_enabled(False)

    def _swept(self, choice: Choice, pushes: Sequence[Steering]) -> str:
        """Return what the sweep says of a completion that is steered just so."""
        if len(pushes) != 1:
            return ""
        playable = self._shelf.playables[pushes[0].behavior]
        layers = [pushes[0].layer] if isinstance(pushes[0].layer, int) else list(pushes[0].layer or ())
        if playable.steerable.scope != choice.scope:
            return ""
        return of_cell(playable, layers, pushes[0].alpha or 0.0)
