"""A cache in which rows come and go, against each row's own growing cache."""

import random

import pytest
import torch

from interp_steer.batches import pad
from interp_steer.errors import ModelError
from interp_steer.model.readings import Prefix, Reading
from interp_steer.model.slots import Slots, bytes_per_slot
from interp_steer.model.tiling import tile

TEXTS = ("Hi", "Name a color.", "How do I boil pasta for two people?", "Why?", "Tell me a story.", "No.")


def read(model, texts):
    """Read texts in one left-padded pass, and return a prefix for each."""
    ids, mask = pad(texts, "left")
    cache = model.forward(ids, mask, logits="none", keep_cache=True).cache
    reading = Reading(cache=cache, pads=tuple((mask == 0).sum(dim=1).tolist()))
    return [Prefix(length=len(text), sources=((reading, row),)) for row, text in enumerate(texts)]


def alone(model, ids):
    """The logits at the last of these tokens, read in one piece."""
    whole = torch.tensor([ids])
    return model.forward(whole, torch.ones_like(whole), logits="last").logits[0, -1]


def test_rows_that_come_and_go_see_their_own_text_only(any_model):
    """Rows join when there is room and leave at random, from every place of the batch."""
    rng = random.Random(0)  # noqa: S311
    waiting = [tuple(any_model.chat.prompt_ids(text)) for text in TEXTS * (1 if any_model.card.n_layers > 8 else 3)]
    n, longest = 4, max(map(len, waiting)) + 8
    example = any_model.forward(torch.zeros(1, 2).long(), torch.ones(1, 2).long(), logits="none", keep_cache=True).cache
    slots = Slots(example, n, max(map(len, waiting)) + 12)
    live, places = [], set()
    while waiting or live:
        free = min(n - len(live), len(waiting))
        if free:
            joining, waiting = waiting[:free], waiting[free:]
            slots.admit(read(any_model, [ids[:-1] for ids in joining]))
            live += [list(ids) for ids in joining]
        assert slots.lengths == tuple(len(ids) - 1 for ids in live)
        output = any_model.forward(
            torch.tensor([[ids[-1]] for ids in live]), slots.mask(any_model.device), logits="last", cache=slots
        )
        slots.advance()
        for ids, logits in zip(live, output.logits[:, -1], strict=True):
            expected = alone(any_model, ids)
            assert float((logits - expected).norm() / expected.norm()) < 1e-4
            ids.append(rng.randrange(3, any_model.vocab_size))
        ended = [slot for slot in range(len(live)) if rng.random() < 0.3 or slots.lengths[slot] > longest]
        places |= {(slot, len(live)) for slot in ended}
        if ended:
            live = [live[slot] for slot in slots.dismiss(ended)]
    assert len(places) > 4, "rows left from several places"


def test_a_row_that_outgrows_its_slot_is_not_written_into_the_next(tiny_llama):
    example = tiny_llama.forward(
        torch.zeros(1, 2).long(), torch.ones(1, 2).long(), logits="none", keep_cache=True
    ).cache
    slots = Slots(example, 2, 16)
    slots.admit(read(tiny_llama, [tuple(range(5, 20))]))
    slots.mask(torch.device("cpu"))  # the last place of the slot is still free
    slots.advance()
    with pytest.raises(AssertionError, match="outgrown"):
        slots.mask(torch.device("cpu"))


def test_a_slot_forgets_the_row_it_held(tiny):
    """What the last row left is behind the mask, but a NaN would come through it."""
    ids = tuple(tiny.chat.prompt_ids("Name a color."))
    example = tiny.forward(torch.zeros(1, 2).long(), torch.ones(1, 2).long(), logits="none", keep_cache=True).cache
    slots = Slots(example, 1, 100)
    slots.admit(read(tiny, [(*ids, *ids)]))
    for layer in slots.layers:
        for buffer in (getattr(layer, "keys", None), getattr(layer, "values", None)):
            if buffer is not None:
                buffer[:] = float("nan")
        for states in (getattr(layer, "conv_states", {}), getattr(layer, "recurrent_states", {})):
            for state in states.values():
                state[:] = float("nan")
    slots.dismiss([0])
    slots.admit(read(tiny, [ids[:-1]]))
    logits = tiny.forward(torch.tensor([[ids[-1]]]), slots.mask(tiny.device), logits="last", cache=slots).logits[0, -1]
    torch.testing.assert_close(logits, alone(tiny, ids), rtol=1e-3, atol=1e-4)


def test_the_memory_of_a_slot_is_what_it_takes(tiny):
    example = tiny.forward(torch.zeros(1, 2).long(), torch.ones(1, 2).long(), logits="none", keep_cache=True).cache
    capacity = 50
    slots = Slots(example, 3, capacity)
    taken = 0
    for layer in slots.layers:
        buffers = [getattr(layer, "keys", None), getattr(layer, "values", None)]
        for states in (getattr(layer, "conv_states", {}), getattr(layer, "recurrent_states", {})):
            buffers += states.values()
        taken += sum(buffer.numel() * buffer.element_size() for buffer in buffers if buffer is not None)
    assert taken == 3 * bytes_per_slot(example, capacity)


def test_a_window_shorter_than_the_text_is_refused(tiny_llama):
    example = tiny_llama.forward(
        torch.zeros(1, 2).long(), torch.ones(1, 2).long(), logits="none", keep_cache=True
    ).cache
    example.layers[2].sliding_window = 40
    Slots(example, 1, 40)
    with pytest.raises(ModelError, match="keeps the last 40 tokens, and 41 tokens are needed"):
        Slots(example, 1, 41)


def test_tiling_copies_and_leaves_the_first_alone(tiny):
    ids, mask = pad([tiny.chat.prompt_ids(text) for text in TEXTS[:2]], "left")
    cache = tiny.forward(ids, mask, logits="none", keep_cache=True).cache
    index = torch.tensor([1, 0, 1])
    before = [
        layer.keys.clone() if hasattr(layer, "keys") else layer.recurrent_states[0].clone() for layer in cache.layers
    ]
    tiled = tile(cache, index)
    more = torch.cat([mask[index], torch.ones(3, 1).long()], dim=1)
    logits = tiny.forward(torch.tensor([[5], [6], [5]]), more, logits="last", cache=tiled).logits
    assert torch.equal(logits[0], logits[2])
    texts = [(*ids[1][mask[1] == 1].tolist(), 5), (*ids[0][mask[0] == 1].tolist(), 6)]
    for found, text in zip(logits, texts, strict=False):
        torch.testing.assert_close(found[0], alone(tiny, text), rtol=1e-3, atol=1e-4)
    for layer, was in zip(cache.layers, before, strict=True):
        assert torch.equal(layer.keys if hasattr(layer, "keys") else layer.recurrent_states[0], was)
