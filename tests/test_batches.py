"""Every text in exactly one batch, padded where asked, never over the budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp_steer.batches import length_sorted_batches, pad

TEXTS = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), max_size=12)


def test_padding_by_hand():
    ids, mask = pad([[5, 6, 7], [8]], "left")
    assert (ids.tolist(), mask.tolist()) == ([[5, 6, 7], [0, 0, 8]], [[1, 1, 1], [0, 0, 1]])
    ids, mask = pad([[5, 6, 7], [8]], "right")
    assert (ids.tolist(), mask.tolist()) == ([[5, 6, 7], [8, 0, 0]], [[1, 1, 1], [1, 0, 0]])


@given(texts=TEXTS, budget=st.integers(1, 60))
def test_batches_hold_every_text_once_and_keep_to_the_budget(texts, budget):
    batches = list(length_sorted_batches(texts, budget))
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(texts)))
    for batch in batches:
        assert batch.input_ids.numel() <= budget or len(batch.rows) == 1
        for row, ids, mask in zip(batch.rows, batch.input_ids.tolist(), batch.attention_mask.tolist(), strict=True):
            assert ids[: len(texts[row])] == texts[row]
            assert mask == [1] * len(texts[row]) + [0] * (len(mask) - len(texts[row]))
    widths = [batch.input_ids.shape[1] for batch in batches]
    assert widths == sorted(widths, reverse=True), "the longest come first"


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_single_text_needs_no_padding(side):
    assert pad([[1, 2]], side)[1].tolist() == [[1, 1]]
