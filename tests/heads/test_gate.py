"""A head that decides: rows it is content with are untouched, tokens below are steered, doses reach their target."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from interp_steer.errors import SteeringError
from interp_steer.heads.gate import dose, gate_below
from interp_steer.heads.read import read_tokens
from interp_steer.steering.decode import decode
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import SCOPES

PROMPTS = ("Hi", "Name a color.", "How do I boil pasta for two people?")
NEVER, ALWAYS = 100.0, -100.0


def gated(interventions, head, below):
    return tuple(replace(one, gate=gate_below(head, probability=below)) for one in interventions)


def row(model, prompt, interventions):
    return DecodeRow(prompt_ids=tuple(model.chat.prompt_ids(prompt)), interventions=interventions)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_row_whose_head_says_already_there_is_unsteered_and_the_opposite_is_steered(tiny, push, random_head, scope):
    settings = DecodeSettings(scope=scope, max_new_tokens=10)
    for where, reads in ((2, 1), (1, 1)):
        pushes = (push(tiny, where, 0.6),)
        shut, wide = (gated(pushes, random_head(tiny, reads, bias=bias), below=0.5) for bias in (NEVER, ALWAYS))
        rows = [row(tiny, prompt, one) for prompt in PROMPTS for one in ((), shut, pushes, wide)]
        found = decode(tiny, rows, settings)
        for plain, closed, free, opened in zip(*(found[i::4] for i in range(4)), strict=True):
            assert closed == plain
            assert opened == free
        assert sum(a != b for a, b in zip(found[0::4], found[2::4], strict=True)) >= 2, "or this proves little"


def test_a_shut_gate_leaves_the_logits_bit_for_bit(tiny, push, random_head):
    ids = torch.tensor([tiny.chat.prompt_ids("Name a color.")] * 2)
    mask = torch.ones_like(ids)
    plain = tiny.forward(ids, mask, logits="all").logits
    shut = gated((push(tiny, 2, 0.6),), random_head(tiny, 1, bias=NEVER), below=0.5)
    steering = BatchSteering([shut, (other := (push(tiny, 2, 0.6),))], tiny.device)
    steering.assign([shut, other])
    with tiny.hooks(steering.functions()):
        found = tiny.forward(ids, mask, logits="all").logits
    assert torch.equal(found[0], plain[0])
    assert not torch.equal(found[1], plain[1])


@pytest.mark.parametrize("operation", ["add", "rotate"])
def test_tokens_are_steered_exactly_where_the_head_reads_less(tiny, push, random_head, operation):
    head, one = random_head(tiny, 1, scale=5.0), push(tiny, 2, 0.5)
    one = replace(one, operation=operation, alpha=20.0 if operation == "rotate" else 0.5)
    ids = tiny.chat.prompt_ids(PROMPTS[2])
    low = read_tokens(tiny, [head], ids[:1], ids[1:]).token_probabilities[0]
    threshold = float(np.sort(low)[len(low) // 2 - 1 : len(low) // 2 + 1].mean())
    (held,) = gated((one,), head, below=threshold)
    seen = {}
    steering = BatchSteering([(held,)], tiny.device)
    steering.assign([(held,)])
    watch = {layer: hook for layer, hook in steering.functions().items() if layer == 1}

    def at_two(resid):
        after = steering.apply(2, resid)
        seen.update(before=resid, after=after)
        return after

    with tiny.hooks({**watch, 2: at_two}):
        tiny.forward(torch.tensor([ids]), torch.ones(1, len(ids)).long(), logits="none")
    changed = (seen["after"] != seen["before"]).any(dim=-1)[0, 1:].tolist()
    assert changed == (low < threshold).tolist()
    assert 0 < sum(changed) < len(changed)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_mixed_batch_of_gates_and_doses_gives_what_each_gives_alone(tiny, push, random_head, scope):
    first, second = random_head(tiny, 0, seed=1, scale=3.0), random_head(tiny, 1, seed=2, scale=3.0)
    cells = [
        (),
        gated((push(tiny, 2, 0.5),), first, below=0.5),
        gated((push(tiny, 2, 0.5), push(tiny, 1, 0.3)), first, below=0.6),
        gated((push(tiny, 2, 0.5),), second, below=0.5),
        (push(tiny, 2, 0.5),),
        (dose(second, probability=0.9),),
        (*gated((push(tiny, 2, 0.5),), second, below=0.4), push(tiny, 2, 0.2, seed=3)),
    ]
    rows = [row(tiny, PROMPTS[i % 3], cell) for i, cell in enumerate(cells * 2)]
    settings = DecodeSettings(scope=scope, max_new_tokens=8)
    together = decode(tiny, rows, settings)
    assert together == [decode(tiny, [one], settings)[0] for one in rows]


def test_a_dose_gives_every_token_the_probability_it_lacks_and_leaves_the_others(tiny, random_head):
    head = random_head(tiny, 1, scale=2.0)
    one = (dose(head, probability=0.8),)
    resid = 3 * torch.randn(2, 30, tiny.card.d_model, generator=torch.Generator().manual_seed(0))
    steering = BatchSteering([one], torch.device("cpu"))
    steering.assign([one, one])
    after = steering.apply(1, resid)
    before, now = (1 / (1 + np.exp(-head.logits(h.numpy()))) for h in (resid, after))
    content = torch.from_numpy(before > 0.8)
    assert 0.05 < float(content.float().mean()) < 0.95
    assert torch.equal(after[content], resid[content])
    np.testing.assert_allclose(now[~content.numpy()], 0.8, atol=1e-4)


def test_what_cannot_decide_is_refused(tiny_llama, push, random_head):
    with pytest.raises(SteeringError, match="gate reads layer 2, above layer 1"):
        gated((push(tiny_llama, 1, 0.3),), random_head(tiny_llama, 2), below=0.5)
    for probability in (0.0, 1.0, -0.2):
        with pytest.raises(SteeringError, match="expected a number between 0 and 1"):
            gated((push(tiny_llama, 1, 0.3),), random_head(tiny_llama, 1), below=probability)
    with pytest.raises(SteeringError, match="its weight is zero"):
        dose(random_head(tiny_llama, 1, scale=0.0), probability=0.5)
