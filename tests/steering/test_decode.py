"""Batched, cached, compacted decoding against one row at a time in plain Hugging Face."""

import copy
import random
from types import SimpleNamespace

import pytest
import torch

from interp_steer.errors import SteeringError
from interp_steer.model.load import wrap_model
from interp_steer.model.slots import Slots
from interp_steer.steering.decode import auto_batch_size, decode, memory_per_row, stream
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import SCOPES

PROMPTS = ("Hi", "Name a color.", "How do I boil pasta for two people?")


def prompt_ids(model, text):
    return tuple(model.chat.prompt_ids(text))


@pytest.fixture
def mixed_rows(push):
    """Function to rows that share a batch: unequal prompts, and layers and alphas of all kinds."""

    def make(model):
        low, high = model.card.n_layers // 2 - 1, model.card.n_layers - 1
        pushes = [
            (),
            (push(model, low, 0.3),),
            (push(model, low, -0.3),),
            (push(model, high, 0.6),),
            (push(model, low, 0.25), push(model, low + 1, 0.25)),
            (push(model, low, 0.2), push(model, low, 0.2, seed=1)),
            (push(model, low, 0.0),),
        ]
        prompts = [prompt_ids(model, PROMPTS[i % len(PROMPTS)]) for i in range(len(pushes))]
        return [
            DecodeRow(prompt_ids=ids, interventions=one, seed=i)
            for i, (ids, one) in enumerate(zip(prompts, pushes, strict=True))
        ]

    return make


@pytest.fixture(scope="module")
def ending(plain_tiny_llama, tiny_llama):
    """The tiny Llama, ending at an eighth of its tokens: rows leave the batch one by one."""
    hf_model = copy.deepcopy(plain_tiny_llama)
    hf_model.generation_config.eos_token_id = list(range(3, 259, 8))
    return wrap_model(hf_model, tiny_llama.chat.tokenizer, name="ending")


@pytest.mark.parametrize("scope", SCOPES)
def test_tokens_are_those_of_plain_hugging_face(any_and_plain, mixed_rows, plain_greedy, scope):
    model, plain = any_and_plain
    large = model.card.n_layers > 8
    rows = mixed_rows(model)[1:5] if large else mixed_rows(model)
    n_tokens = 5 if large else 12
    completions = decode(model, rows, DecodeSettings(scope=scope, max_new_tokens=n_tokens))
    expected = [plain_greedy(plain, r.prompt_ids, r.interventions, scope, n_tokens, model.eos_ids) for r in rows]
    assert [completion.ids for completion in completions] == expected
    unsteered = decode(
        model, [DecodeRow(prompt_ids=r.prompt_ids) for r in rows], DecodeSettings(max_new_tokens=n_tokens)
    )
    assert sum(a != b for a, b in zip(completions, unsteered, strict=True)) >= 2, (
        "steering must show, or this proves little"
    )


def test_logits_that_are_not_numbers_name_the_push(tiny_llama, push):
    sound = DecodeRow(prompt_ids=prompt_ids(tiny_llama, "Hi"), interventions=(push(tiny_llama, 1, 0.3),))
    broken = DecodeRow(prompt_ids=prompt_ids(tiny_llama, "Hi"), interventions=(push(tiny_llama, 2, 1e38),))
    with pytest.raises(SteeringError, match=r"not numbers .* layer 2 at alpha 1e\+38.*smaller alphas"):
        decode(tiny_llama, [sound, broken], DecodeSettings(max_new_tokens=4))


def test_scopes_differ(tiny_qwen, push):
    row = DecodeRow(prompt_ids=prompt_ids(tiny_qwen, PROMPTS[2]), interventions=(push(tiny_qwen, 2, 0.6),))
    found = {scope: decode(tiny_qwen, [row], DecodeSettings(scope=scope, max_new_tokens=12))[0].ids for scope in SCOPES}
    assert len(set(found.values())) == 3
    unsteered = decode(tiny_qwen, [DecodeRow(prompt_ids=row.prompt_ids)], DecodeSettings(max_new_tokens=1))
    assert found["generated"][0] == unsteered[0].ids[0], "generated leaves the first token unsteered"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_gives_what_each_row_gives_alone(tiny, mixed_rows, scope, temperature):
    rows = mixed_rows(tiny)
    settings = DecodeSettings(scope=scope, max_new_tokens=10, temperature=temperature)
    assert decode(tiny, rows, settings) == [decode(tiny, [row], settings)[0] for row in rows]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_order_of_the_batch_is_the_order_of_the_completions(tiny, mixed_rows, temperature):
    rows = mixed_rows(tiny)
    settings = DecodeSettings(max_new_tokens=10, temperature=temperature)
    order = random.Random(0).sample(range(len(rows)), len(rows))  # noqa: S311 (no secret)
    completions = decode(tiny, rows, settings)
    assert decode(tiny, [rows[i] for i in order], settings) == [completions[i] for i in order]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_end_leave_the_batch_and_change_no_other(ending, push, temperature):
    rows = [
        DecodeRow(
            prompt_ids=prompt_ids(ending, f"{'Ha' * i}?"),
            interventions=(push(ending, i % 4, 0.3),) * (i % 3 > 0),
            seed=i,
        )
        for i in range(24)
    ]
    settings = DecodeSettings(max_new_tokens=12, temperature=temperature)
    batch_sizes = []
    with ending.hooks({0: lambda resid: batch_sizes.append(resid.shape[0]) if resid.shape[1] == 1 else None}):
        completions = decode(ending, rows, settings)
    assert batch_sizes == sorted(batch_sizes, reverse=True)
    assert len(set(batch_sizes)) > 3, "the batch shrank several times"
    assert {completion.finish for completion in completions} == {"eos", "length"}
    assert completions == [decode(ending, [row], settings)[0] for row in rows]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_rows_that_wait_take_the_places_of_those_that_end(ending, push, scope, temperature, batch_size):
    rows = [
        DecodeRow(
            prompt_ids=prompt_ids(ending, f"{'Ha' * (i % 5)}?"),
            interventions=(push(ending, i % 4, 0.3),) * (i % 3 > 0),
            seed=i,
        )
        for i in range(40)
    ]
    settings = DecodeSettings(scope=scope, max_new_tokens=12, temperature=temperature)
    batch_sizes = []
    with ending.hooks({0: lambda resid: batch_sizes.append(resid.shape[0]) if resid.shape[1] == 1 else None}):
        completions = decode(ending, rows, settings, batch_size=batch_size)
    steps = sum(len(completion.ids) for completion in completions)
    full = batch_sizes.index(next(size for size in reversed(batch_sizes) if size == batch_size))
    assert max(batch_sizes) == batch_size
    assert sum(batch_sizes) == steps, "no pass carries a row that has ended"
    assert all(size == batch_size for size in batch_sizes[: full + 1]), "the batch is full while a row waits"
    assert completions == [decode(ending, [row], settings)[0] for row in rows]


def test_rows_come_as_they_end_and_no_hook_is_on_while_they_are_handled(ending, push, n_hooks):
    rows = [
        DecodeRow(prompt_ids=prompt_ids(ending, f"{i}"), interventions=(push(ending, 1, 0.3),), seed=i)
        for i in range(24)
    ]
    settings = DecodeSettings(max_new_tokens=12)
    found, probe = {}, torch.tensor([prompt_ids(ending, "Hi")])
    plain = ending.forward(probe, torch.ones_like(probe), logits="all").logits
    batches = 0
    for batch in stream(ending, rows, settings, batch_size=8):
        assert n_hooks(ending) == 0
        assert torch.equal(ending.forward(probe, torch.ones_like(probe), logits="all").logits, plain)
        assert not found.keys() & {place for place, _ in batch}
        found.update(batch)
        batches += 1
    assert batches > 3
    assert [found[i] for i in range(24)] == decode(ending, rows, settings)


def test_out_of_memory_halves_the_batch_and_loses_no_row(plain_tiny_llama, tiny_llama, push, n_hooks, caplog):
    model = wrap_model(copy.deepcopy(plain_tiny_llama), tiny_llama.chat.tokenizer, name="small")
    rows = [
        DecodeRow(prompt_ids=prompt_ids(model, f"{i}"), interventions=(push(model, i % 4, 0.4),), seed=i)
        for i in range(20)
    ]
    settings = DecodeSettings(max_new_tokens=6)
    expected, sizes = decode(tiny_llama, rows, settings), []

    def memory(_module, args):
        sizes.append(args[0].shape[0])
        if args[0].shape[0] > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.bridge.original_model.lm_head.original_component.register_forward_pre_hook(memory)
    assert decode(model, rows, settings, batch_size=16) == expected
    assert {16, 8, 4} <= set(sizes)
    assert max(sizes[2:]) == 4
    assert "batches of 4 rows" in caplog.text
    assert n_hooks(model) == 0


def test_memory_that_cannot_be_reserved_halves_the_batch_too(tiny_llama, monkeypatch):
    rows = [DecodeRow(prompt_ids=prompt_ids(tiny_llama, f"{i}")) for i in range(12)]
    settings = DecodeSettings(max_new_tokens=4)
    expected, tried = decode(tiny_llama, rows, settings), []

    class Small(Slots):
        def __init__(self, example, n, capacity):
            tried.append(n)
            if n > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            super().__init__(example, n, capacity)

    monkeypatch.setattr("interp_steer.steering.decode.Slots", Small)
    assert decode(tiny_llama, rows, settings, batch_size=12) == expected
    assert tried == [12, 6, 3]


def test_a_row_that_does_not_fit_alone_is_an_error(plain_tiny_llama, tiny_llama):
    model = wrap_model(copy.deepcopy(plain_tiny_llama), tiny_llama.chat.tokenizer, name="smaller")

    def memory(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

    model.bridge.original_model.lm_head.original_component.register_forward_pre_hook(memory)
    with pytest.raises(SteeringError, match="a single row does not fit into memory"):
        decode(model, [DecodeRow(prompt_ids=(5, 6, 7))] * 3, DecodeSettings())


def test_a_loop_ends_a_row_and_says_so(plain_tiny_llama, tiny_llama):
    stuck = copy.deepcopy(plain_tiny_llama)
    with torch.no_grad():  # every token is as good as any, so the first is taken
        stuck.lm_head.weight.zero_()
    model = wrap_model(stuck, tiny_llama.chat.tokenizer, name="stuck")
    rows = [DecodeRow(prompt_ids=prompt_ids(model, "Hi"))]
    looped = decode(model, rows, DecodeSettings(max_new_tokens=96))[0]
    whole = decode(model, rows, DecodeSettings(max_new_tokens=96, stop_early=False))[0]
    assert (looped.finish, len(looped.ids)) == ("loop", 64)
    assert (whole.finish, len(whole.ids)) == ("length", 96)
    for kept in ({"stop_loops": False}, {"temperature": 1e-6}):
        assert decode(model, rows, DecodeSettings(max_new_tokens=80, **kept))[0].finish == "length"
    assert whole.ids[:64] == looped.ids


def test_the_batch_follows_the_free_memory(tiny_llama, monkeypatch):
    rows = [DecodeRow(prompt_ids=(5,) * 40)] * 500
    settings = DecodeSettings(max_new_tokens=60)
    each = memory_per_row(tiny_llama, rows, settings)
    assert auto_batch_size(tiny_llama, rows, settings) == 128
    for fits in (50, 3, 0):
        free = SimpleNamespace(available=int(each * fits / 0.6) + each // 2)
        monkeypatch.setattr("psutil.virtual_memory", lambda free=free: free)
        assert auto_batch_size(tiny_llama, rows, settings) == max(1, fits)


def test_a_completion_ends_with_its_first_end_token(ending):
    rows = [DecodeRow(prompt_ids=prompt_ids(ending, f"{i}"), seed=i) for i in range(16)]
    completions = decode(ending, rows, DecodeSettings(max_new_tokens=12, temperature=1.0))
    for completion in completions:
        assert not set(completion.ids[:-1]) & ending.eos_ids
        assert (completion.ids[-1] in ending.eos_ids) == (completion.finish == "eos")
        assert completion.finish == "eos" or len(completion.ids) == 12


def test_a_seed_gives_one_text_and_another_seed_another(tiny):
    ids = prompt_ids(tiny, PROMPTS[1])
    rows = [DecodeRow(prompt_ids=ids, seed=seed) for seed in (5, 5, 6)]
    settings = DecodeSettings(max_new_tokens=12, temperature=1.0)
    first, again, other = decode(tiny, rows, settings)
    assert first == again
    assert first != other
    assert decode(tiny, rows, settings) == [first, again, other]


@pytest.mark.parametrize("scope", SCOPES)
def test_alpha_zero_is_the_unsteered_model(tiny, push, scope):
    ids = prompt_ids(tiny, PROMPTS[1])
    rows = [DecodeRow(prompt_ids=ids), DecodeRow(prompt_ids=ids, interventions=(push(tiny, 1, 0.0),))]
    plain, zero = decode(tiny, rows, DecodeSettings(scope=scope, max_new_tokens=12))
    assert zero == plain


@pytest.mark.parametrize("scope", SCOPES)
def test_a_prompt_of_one_token_is_the_sink_and_not_steered(tiny_and_plain, push, plain_greedy, scope):
    model, plain = tiny_and_plain
    rows = [
        DecodeRow(prompt_ids=(70,), interventions=(push(model, 1, 0.5),)),
        DecodeRow(prompt_ids=prompt_ids(model, "Hi"), interventions=(push(model, 1, 0.5),)),
    ]
    completions = decode(model, rows, DecodeSettings(scope=scope, max_new_tokens=8))
    expected = [plain_greedy(plain, r.prompt_ids, r.interventions, scope, 8, model.eos_ids) for r in rows]
    assert [completion.ids for completion in completions] == expected


def test_max_new_tokens_is_the_longest_completion(tiny):
    rows = [DecodeRow(prompt_ids=prompt_ids(tiny, text)) for text in PROMPTS]
    assert [len(one.ids) for one in decode(tiny, rows, DecodeSettings(max_new_tokens=1))] == [1, 1, 1]
    longer, shorter = (decode(tiny, rows, DecodeSettings(max_new_tokens=n)) for n in (9, 4))
    assert [one.ids[:4] for one in longer] == [one.ids for one in shorter]


def test_no_hook_remains_after_decoding_or_an_exception(plain_tiny_llama, tiny_llama, push, n_hooks):
    row = DecodeRow(prompt_ids=prompt_ids(tiny_llama, "Hi"), interventions=(push(tiny_llama, 1, 0.5),))
    decode(tiny_llama, [row], DecodeSettings(max_new_tokens=3))
    assert n_hooks(tiny_llama) == 0
    model = wrap_model(copy.deepcopy(plain_tiny_llama), tiny_llama.chat.tokenizer, name="breaks")
    calls = []

    def breaks_in_the_third_pass(*_):
        calls.append(n_hooks(model))
        if len(calls) == 3:
            raise RuntimeError("out of memory")

    model.bridge.original_model.lm_head.original_component.register_forward_pre_hook(breaks_in_the_third_pass)
    with pytest.raises(RuntimeError, match="out of memory"):
        decode(model, [row], DecodeSettings(max_new_tokens=8))
    assert calls == [1, 1, 1]
    assert n_hooks(model) == 0


def test_a_layer_that_does_not_exist_is_refused(tiny_llama, push, n_hooks):
    row = DecodeRow(prompt_ids=prompt_ids(tiny_llama, "Hi"), interventions=(push(tiny_llama, 4, 0.5),))
    with pytest.raises(SteeringError, match="layer 4 does not exist"):
        decode(tiny_llama, [row], DecodeSettings(max_new_tokens=3))
    assert n_hooks(tiny_llama) == 0


def test_decoding_leaves_no_state_in_the_model(tiny, mixed_rows):
    ids = torch.tensor([prompt_ids(tiny, PROMPTS[1])])
    before = tiny.forward(ids, torch.ones_like(ids), logits="all").logits
    decode(tiny, mixed_rows(tiny), DecodeSettings(scope="all", max_new_tokens=6))
    assert torch.equal(tiny.forward(ids, torch.ones_like(ids), logits="all").logits, before)
