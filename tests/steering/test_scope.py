"""Steered positions by hand."""

import inspect

import pytest
import torch

from interp_steer.errors import SteeringError
from interp_steer.steering.scope import prompt_positions

MASK = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]])  # the third prompt is a single token: the sink


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("response", [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]),
        ("generated", [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ("all", [[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]]),
    ],
)
def test_positions_of_left_padded_prompts(scope, expected):
    assert prompt_positions(MASK, scope).tolist() == [[bool(one) for one in row] for row in expected]


def test_an_unknown_scope_is_refused():
    with pytest.raises(SteeringError, match="scope 'prompt' is not known; expected one of response, all, generated"):
        inspect.unwrap(prompt_positions)(MASK, "prompt")  # past the annotations
