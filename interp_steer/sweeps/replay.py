"""Known texts read again under steering, with what steering cannot change read only once.

A push after block l changes nothing below that block, and with the scopes ``response`` and ``generated`` nothing
before the last token of the prompt. So the prompts are read once, their cache is tiled over the rows of a
batch, the rest of every text is read once unsteered, and each row enters the model above its layer, with the
residual stream it had there and the push added. Only positions that predict a token of the response reach
the unembedding.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.likelihood import unembedded
from interp_steer.model.protocol import Model
from interp_steer.model.tiling import tile
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.steps import Interventions
from interp_steer.sweeps.texts import ReadTexts, Text, keeping, read_texts, together
from interp_steer.terms import Scope

TOKENS_PER_BATCH = 4096

Measure = Callable[[Float[Tensor, "place vocab"], Int[Tensor, " place"]], Float[Tensor, "place *what"]]
"""From logits, in float32, and the places they are at, to what is to be known of each."""


class Replay:
    """Reads texts once, and then says what the model would have predicted in them under any push.

    The places of the results are the tokens of the responses, text after text: a response of n tokens has the
    n places at which those tokens are predicted.
    """

    def __init__(
        self,
        model: Model,
        texts: Sequence[Text],
        layers: Sequence[int],
        scope: Scope,
        *,
        tokens_per_batch: int = TOKENS_PER_BATCH,
    ) -> None:
        """Read every text without steering.

        Args:
            model: The model to read with.
            texts: What is read.
            layers: The layers that will be steered: their residual stream is kept.
            scope: Which positions are steered.
            tokens_per_batch: Most padded tokens of one forward pass; a longer text gets one of its own.
        """
        self._model = model
        self._last = model.card.n_layers - 1
        self._tokens = tokens_per_batch
        self._n_places = sum(len(text.response) for text in texts)
        starts = torch.tensor([0, *(len(text.response) for text in texts)]).cumsum(0).tolist()
        kept = sorted({*layers, self._last})
        self._readings = [
            read_texts(model, [(texts[i], starts[i]) for i in members], kept, scope)
            for members in together(texts, scope, tokens_per_batch)
        ]

    def unsteered(self, measure: Measure) -> Float[Tensor, "place *what"]:
        """Return what ``measure`` says of the unsteered model at every place."""
        found: list[Tensor] = []
        order: list[Tensor] = []
        for reading in self._readings:
            here = reading.places >= 0
            order.append(reading.places[here])
            final = reading.resid[self._last]
            found.append(self._measured(final[here.to(final.device)], order[-1], measure))
        values = torch.cat(found)
        return values[torch.cat(order).argsort().to(values.device)]

    def steered(
        self, pushes: Sequence[Intervention], measure: Measure, advance: Callable[[int], None] = lambda _: None
    ) -> Float[Tensor, "push place"]:
        """Return what ``measure`` says at every place under each of several pushes at one layer.

        Args:
            pushes: Interventions at the same layer, one of those the texts were read for; each steers every text.
            measure: One number for each place.
            advance: Told how many rows (one text under one push) were read.
        """
        if any(one.layer != pushes[0].layer for one in pushes):
            raise AssertionError("pushes of one call share a layer")
        return self.steered_by_sets([(one,) for one in pushes], measure, advance)

    def steered_by_sets(
        self, choices: Sequence[Interventions], measure: Measure, advance: Callable[[int], None] = lambda _: None
    ) -> Float[Tensor, "push place"]:
        """Return what ``measure`` says at every place under each of several sets of interventions, at any layers.

        Args:
            choices: Each steers every text; the lowest layer of all is one of those the texts were read for.
            measure: One number for each place.
            advance: Told how many rows (one text under one set) were read.
        """
        steering = BatchSteering(choices, self._model.device)
        firsts = [first for choice in choices if (first := steering.first_layer(choice)) is not None]
        layer = min(firsts, default=choices[0][0].layer)
        above = {at: hook for at, hook in steering.functions().items() if at > layer}
        values = torch.full((len(choices), self._n_places), torch.nan, device=self._model.device)
        for reading in self._readings:
            rows = [(text, push) for text in range(len(reading.mask)) for push in range(len(choices))]
            size = max(1, self._tokens // reading.width)
            for at in range(0, len(rows), size):
                batch = torch.tensor(rows[at : at + size], device=self._model.device)
                texts, members = batch[:, 0], batch[:, 1]
                width = int(reading.mask[texts].sum(dim=1).max())
                steering.assign([choices[push] for push in members.tolist()], reading.steered[texts, :width])
                resid = reading.resid[layer]
                resid = resid[texts.to(resid.device), :width]
                after = steering.apply(layer, resid)
                with self._model.hooks(above):
                    final = self._above(layer, resid if after is None else after, reading, texts)
                places = reading.places[texts, :width]
                here = places >= 0
                measured = self._measured(final[here.to(final.device)], places[here], measure)
                values[members.unsqueeze(1).expand_as(places)[here], places[here]] = measured.to(values.device)
                advance(len(batch))
        return values

    def _above(
        self, layer: int, resid: Float[Tensor, "row pos d_model"], reading: ReadTexts, texts: Int[Tensor, " row"]
    ) -> Float[Tensor, "row pos d_model"]:
        """Return what leaves the last block when ``resid`` leaves block ``layer``."""
        if layer == self._last:
            return resid
        width = resid.shape[1]
        mask = torch.cat([reading.cache_mask[texts], reading.mask[texts, :width]], dim=1)
        cache = None if reading.cache is None else _tiled_above(reading.cache, reading.cache_rows[texts], layer + 1)
        start = (layer + 1, resid)
        with keeping(self._model, [self._last]) as kept:
            self._model.forward(reading.input_ids[texts, :width], mask, logits="none", cache=cache, start=start)
        return kept[self._last]

    def _measured(
        self, resid: Float[Tensor, "place d_model"], places: Int[Tensor, " place"], measure: Measure
    ) -> Float[Tensor, "place *what"]:
        """Return what ``measure`` says at positions whose residual left the last block."""
        found = [measure(logits, places[part].to(logits.device)) for part, logits in unembedded(self._model, resid)]
        return torch.cat(found)


def _tiled_above(cache: Any, rows: Int[Tensor, " row"], first: int) -> Any:
    """Tile the entries of the blocks from ``first`` on; those below are shared, since no pass will touch them."""
    above = copy.copy(cache)
    above.layers = cache.layers[first:]
    tiled = tile(above, rows)
    tiled.layers = [*cache.layers[:first], *tiled.layers]
    return tiled
