"""Prompts are read once, and with scope ``all`` the blocks below the steered one as well."""

import pytest

from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings

PROMPTS = ("Hi", "Name a color.", "How do I boil pasta for two people?")


@pytest.fixture
def rows(tiny, push):
    """Three prompts at three layers of two strengths, and unsteered."""
    cells = [(), *((push(tiny, layer, alpha),) for layer in (0, 1, tiny.card.n_layers - 1) for alpha in (0.2, 0.4))]
    return [DecodeRow(prompt_ids=tuple(tiny.chat.prompt_ids(p)), interventions=c) for p in PROMPTS for c in cells]


def tokens_read(model, run):
    """Padded tokens that each block reads before decoding begins: passes over more than one token."""
    counts = [0] * model.card.n_layers

    def count(layer):
        def hook(resid):
            counts[layer] += resid.shape[0] * resid.shape[1] * (resid.shape[1] > 2)

        return hook

    with model.hooks({layer: count(layer) for layer in range(model.card.n_layers)}):
        run()
    return counts


@pytest.mark.parametrize("scope", ["response", "generated"])
def test_a_prompt_is_read_once_for_all_cells(tiny, rows, scope):
    widest = max(len(row.prompt_ids) for row in rows) - 1
    settings = DecodeSettings(scope=scope, max_new_tokens=2)
    assert tokens_read(tiny, lambda: decode(tiny, rows, settings)) == [len(PROMPTS) * widest] * tiny.card.n_layers


def test_with_scope_all_cells_share_the_blocks_below_their_own(tiny, rows):
    widest = max(len(row.prompt_ids) for row in rows) - 1
    once, top = len(PROMPTS) * widest, tiny.card.n_layers - 1
    counts = tokens_read(tiny, lambda: decode(tiny, rows, DecodeSettings(scope="all", max_new_tokens=2)))
    # Two strengths begin at block 1, two more at block 2; the last block's push changes no cache.
    assert counts == [once, once * 3, *[once * 5] * (top - 1)]


@pytest.mark.parametrize("scope", ["response", "all"])
@pytest.mark.parametrize("tokens", [1, 150, 100_000])
def test_how_much_is_read_at_a_time_changes_nothing(tiny, rows, scope, tokens, monkeypatch):
    settings = DecodeSettings(scope=scope, max_new_tokens=6)
    expected = decode(tiny, rows, settings)
    from interp_steer.steering import decode as module
    from interp_steer.steering.prefixes import read_prefixes

    monkeypatch.setattr(module, "read_prefixes", lambda *args: read_prefixes(*args, tokens=tokens))
    assert decode(tiny, rows, settings) == expected


def test_samples_of_one_cell_share_their_reading(tiny_llama, push):
    cell = (push(tiny_llama, 1, 0.3),)
    ids = tuple(tiny_llama.chat.prompt_ids(PROMPTS[1]))
    samples = [DecodeRow(prompt_ids=ids, interventions=cell, seed=seed) for seed in range(4)]
    settings = DecodeSettings(scope="all", max_new_tokens=5, temperature=1.0)
    together = decode(tiny_llama, samples, settings)
    read = {  # blocks 2 and 3, above the push, read the prompt once for all samples
        n: tokens_read(tiny_llama, lambda n=n: decode(tiny_llama, samples[:n], settings)) for n in (1, 4)
    }
    assert read[1] == read[4]
    assert together == [decode(tiny_llama, [row], settings)[0] for row in samples]
    assert len(set(together)) > 1
