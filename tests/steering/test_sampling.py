"""Sampling against the softmax it should draw from."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from interp_steer.steering.sampling import STEP, Sampler, mixed

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.5])
N = 4000


def counts(temperature, top_p, many_seeds):
    """Draw N tokens: one step of N rows, or N steps of one row."""
    if many_seeds:
        tokens = Sampler(range(N), temperature, top_p).choose(LOGITS.expand(N, -1), range(N))
    else:
        sampler = Sampler([7], temperature, top_p)
        tokens = torch.cat([sampler.choose(LOGITS[None], [0]) for _ in range(N)])
    return torch.bincount(tokens, minlength=len(LOGITS))


@pytest.mark.parametrize("many_seeds", [True, False])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_frequencies_are_the_softmax(temperature, many_seeds):
    expected = N * torch.softmax(LOGITS / temperature, dim=0)
    assert (
        chisquare(counts(temperature, 1.0, many_seeds), expected.double() * N / expected.double().sum()).pvalue > 1e-3
    )


def test_another_temperature_would_be_noticed():
    expected = torch.softmax(LOGITS.double() / 1.2, dim=0)
    assert chisquare(counts(1.0, 1.0, True), N * expected).pvalue < 1e-3


def test_the_nucleus_is_the_smallest_set_that_holds_its_mass():
    # The softmax is .45 .17 .06 .02 .28: the first and the last hold .73.
    kept = counts(1.0, 0.7, True)
    assert kept[1:4].sum() == 0
    inside = torch.softmax(LOGITS[[0, 4]].double(), dim=0)
    assert chisquare(kept[[0, 4]], N * inside).pvalue > 1e-3


def test_temperature_zero_takes_the_largest():
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Sampler([0] * 6, 0.0, 0.5).choose(logits, range(6)), logits.argmax(dim=1))


def test_a_row_draws_alike_whoever_is_beside_it():
    logits = torch.zeros(4, 97)
    alone, together = Sampler([3], 1.0, 1.0), Sampler([1, 2, 3, 4], 1.0, 1.0)
    for rows in ([0, 1, 2, 3], [1, 2, 3], [3, 2], [2]):  # neighbors leave, the order changes
        drawn = together.choose(logits[: len(rows)], rows)
        assert alone.choose(logits[:1], [0])[0] == drawn[rows.index(2)]


def test_seeds_and_steps_draw_anew():
    sampler = Sampler(range(64), 1.0, 1.0)
    logits = torch.zeros(64, 1000)
    first, second = sampler.choose(logits, range(64)), sampler.choose(logits, range(64))
    assert len(set(first.tolist())) > 50
    assert (first == second).float().mean() < 0.1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_not_a_number_is_no_token(temperature):
    logits = torch.zeros(3, 7)
    logits[1, 4] = torch.nan
    drawn = Sampler(range(3), temperature, 0.9).choose(logits, range(3))
    assert drawn[1] == -1
    assert (drawn[[0, 2]] >= 0).all()


def test_a_token_without_mass_is_never_drawn():
    logits = torch.full((N, 5), -torch.inf)
    logits[:, 2] = 0.0
    assert (Sampler(range(N), 1.0, 1.0).choose(logits, range(N)) == 2).all()


def test_random_numbers_are_those_of_splitmix64():
    """The first outputs for the seed 1234567, as other implementations have them."""
    states = np.array([1234567], dtype=np.uint64) + STEP * np.arange(1, 4, dtype=np.uint64)
    assert mixed(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_near_and_negative_seeds_draw_apart():
    tokens = Sampler([-1, 0, 1, 2, 2**64 - 2, 2**60], 1.0, 1.0).choose(torch.zeros(6, 100_000), range(6))
    assert len(set(tokens.tolist())) == 6
