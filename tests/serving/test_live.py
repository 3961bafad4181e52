"""Rows that come and go against each row alone; what ends one, and what ends all."""

import asyncio
import threading

import pytest
import torch

from interp_steer.errors import BusyError, InterpSteerError, ServingError, SteeringError, StoppedError
from interp_steer.serving.answer import news
from interp_steer.serving.live import LiveBatch
from interp_steer.steering.decode import decode
from interp_steer.terms import SCOPES

LONG = {"max_new_tokens": 1900, "stop_early": False}


def alone(model, request):
    return decode(model, [request.row], request.settings)[0]


@pytest.fixture
def mixed(push, ask):
    """Function to requests that differ in everything a request can say."""

    def make(model, n):
        return [
            ask(
                model,
                "Ha" * (i % 7) + "?",
                *[push(model, (i + j) % model.card.n_layers, 0.1 * (i % 5) - 0.1, seed=i) for j in range(i % 3)],
                seed=i,
                scope=SCOPES[i % 3],
                max_new_tokens=4 + i % 13,
                temperature=0.7 * (i % 4 == 3),
                top_p=0.9 if i % 8 == 3 else 1.0,
            )
            for i in range(n)
        ]

    return make


def test_every_row_says_what_it_says_alone(tiny, again, mixed, patience):
    requests = mixed(tiny, 24)
    with LiveBatch(again(tiny), slots=5, capacity=256) as batch:
        found = [answer.result(patience) for answer in batch.submit_all(requests)]
        one_by_one = [batch.submit(request).result(patience) for request in requests]
    expected = [alone(tiny, request) for request in requests]
    assert [(one.ids, one.finish) for one in found] == [(one.ids, one.finish) for one in expected]
    assert found == one_by_one
    assert [one.text for one in found] == [tiny.chat.decode(list(one.ids)) for one in expected]
    assert len({one.ids for one in expected}) > 20, "the rows must differ, or this proves little"


def test_rows_join_while_others_are_at_work(tiny_llama, again, ask, push, patience):
    first = ask(tiny_llama, "Hi", push(tiny_llama, 1, 0.3), max_new_tokens=60, stop_early=False)
    later = [
        ask(tiny_llama, "Name a color.", push(tiny_llama, i, 0.3), scope=SCOPES[i], max_new_tokens=9) for i in range(3)
    ]
    with LiveBatch(again(tiny_llama), slots=4, capacity=256) as batch:
        running = batch.submit(first)
        next(iter(running))
        answers = batch.submit_all(later)
        found = [answer.result(patience) for answer in [*answers, running]]
    assert [one.ids for one in found] == [alone(tiny_llama, request).ids for request in [*later, first]]


def test_pieces_are_the_answer_however_they_are_read(tiny_llama, again, ask, patience):
    request = ask(tiny_llama, "Hi", max_new_tokens=40, temperature=1.0, stop_early=False)

    async def both(answers):
        async def pieces(answer):
            return [piece async for piece in answer.stream()]

        return await asyncio.gather(*map(pieces, answers))

    with LiveBatch(again(tiny_llama), slots=2, capacity=256) as batch:
        blocking = list(batch.submit(request))
        waited = asyncio.run(both(batch.submit_all([request, request])))
        answer = batch.submit(request)
        whole = answer.result(patience)
        late = list(answer)
    assert blocking == waited[0] == waited[1] == late
    assert tuple(piece.token for piece in blocking) == whole.ids
    assert "".join(piece.text for piece in blocking) == whole.text


def test_a_cancelled_row_gives_its_slot_to_the_next(tiny_llama, again, ask, patience, until):
    with LiveBatch(again(tiny_llama), slots=1, capacity=2048) as batch:
        endless, waiting, dropped = batch.submit_all([ask(tiny_llama, "Hi", **LONG)] * 3)
        next(iter(endless))
        assert batch.n_open == 3
        dropped.cancel()
        endless.cancel()
        assert endless.result(0).finish == dropped.result(0).finish == "cancelled"
        assert dropped.result(0).ids == ()
        next(iter(waiting))
        assert not waiting.ended
        waiting.cancel()
        until(lambda: batch.n_open == 0)
        short = ask(tiny_llama, "Hi", max_new_tokens=3)
        assert batch.submit(short).result(patience).ids == alone(tiny_llama, short).ids


def test_a_row_that_breaks_ends_alone(tiny_llama, again, ask, push, patience):
    sound = ask(tiny_llama, "Hi", push(tiny_llama, 1, 0.3), max_new_tokens=30, stop_early=False)
    broken = [
        ask(tiny_llama, "Hi", push(tiny_llama, layer, 1e38), scope=scope, max_new_tokens=30)
        for layer in (0, 2)
        for scope in SCOPES
    ]
    expected = alone(tiny_llama, sound).ids
    with LiveBatch(again(tiny_llama), slots=4, capacity=256) as batch:
        for _ in range(2):  # the second time in slots that held what is not a number
            answers = batch.submit_all([sound, *broken[:2], sound, *broken[2:], sound])
            assert [answer.result(patience).ids for answer in answers if answer.request is sound] == [expected] * 3
            for answer in answers:
                if answer.request is not sound:
                    with pytest.raises(SteeringError, match=r"not numbers .*alpha 1e\+38"):
                        answer.result(patience)


def test_a_prompt_that_cannot_be_read_fails_alone(tiny_llama, again, ask, patience):
    model, unlucky = again(tiny_llama), ask(tiny_llama, "An unlucky prompt.", max_new_tokens=4)
    sound = ask(tiny_llama, "Hi", max_new_tokens=4)
    n = len(unlucky.row.prompt_ids) - 1

    def breaks(_module, args):
        if args[0].shape[1] == n:
            raise RuntimeError("no memory for this one")

    model.bridge.original_model.model.norm.original_component.register_forward_pre_hook(breaks)
    with LiveBatch(model, slots=4, capacity=256) as batch:
        first, bad, last = batch.submit_all([sound, unlucky, sound])
        with pytest.raises(RuntimeError, match="no memory for this one"):
            bad.result(patience)
        assert first.result(patience).ids == last.result(patience).ids == alone(tiny_llama, sound).ids
        assert batch.failure is None


def test_a_crash_reaches_everybody_and_the_next_who_asks(tiny_llama, again, ask, patience):
    model, calls = again(tiny_llama), []

    def breaks(_module, args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("the device is gone")

    model.bridge.original_model.lm_head.original_component.register_forward_pre_hook(breaks)
    batch = LiveBatch(model, slots=2, capacity=256)
    answers = batch.submit_all([ask(tiny_llama, "Hi", max_new_tokens=50, stop_early=False)] * 4)
    for answer in answers:
        with pytest.raises(StoppedError, match="the device is gone"):
            answer.result(patience)
    assert len(answers[0].read(0)[0]) == 2, "what was said before is still there"
    with pytest.raises(StoppedError, match="the engine has stopped: RuntimeError: the device is gone"):
        batch.submit(answers[0].request)
    with pytest.raises(StoppedError, match="the device is gone"):
        batch.call(lambda model: model.card)
    assert isinstance(batch.failure, RuntimeError)
    batch.close()


class Memory:
    """Memory of a model that ends where more than ``rows`` are decoded at a time; without a limit at first."""

    def __init__(self, model):
        self.rows, self.seen = 10**6, []
        model.bridge.original_model.lm_head.original_component.register_forward_pre_hook(self.check)

    def check(self, _module, args):
        self.seen.append(args[0].shape[0])
        if args[0].shape[0] > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory")


def test_out_of_memory_halves_the_slots_and_nobody_hears_a_word_twice(tiny, again, mixed, patience, caplog):
    model, requests = again(tiny), mixed(tiny, 12)
    memory = Memory(model)
    with LiveBatch(model, slots=8, capacity=256) as batch:
        first = batch.submit_all(requests[:3])
        for answer in first:
            next(iter(answer))
        memory.rows = 3
        answers = [*first, *batch.submit_all(requests[3:])]
        found = [answer.result(patience).ids for answer in answers]
        assert batch.failure is None
    assert found == [alone(tiny, one).ids for one in requests]
    assert max(memory.seen) > 3, "memory never ended, and this proves nothing"
    assert max(memory.seen[-5:]) <= 3
    assert "going on with" in caplog.text


def test_a_row_for_which_there_is_no_memory_at_all_fails_and_the_engine_goes_on(tiny_llama, again, ask, patience):
    model, sound = again(tiny_llama), ask(tiny_llama, "Hi", max_new_tokens=4)
    memory = Memory(model)
    with LiveBatch(model, slots=4, capacity=256) as batch:
        memory.rows = 0
        for answer in batch.submit_all([sound] * 3):
            with pytest.raises(SteeringError, match="a single row does not fit"):
                answer.result(patience)
        memory.rows = 1
        assert batch.submit(sound).result(patience).ids == alone(tiny_llama, sound).ids


def test_too_many_are_refused_all_or_none(tiny_llama, again, ask):
    endless = ask(tiny_llama, "Hi", **LONG)
    with LiveBatch(again(tiny_llama), slots=1, capacity=2048, waiting=2) as batch:
        batch.submit_all([endless] * 2)
        with pytest.raises(BusyError, match="2 requests are under way and 2 more would be too many"):
            batch.submit_all([endless] * 2)
        last = batch.submit(endless)
        with pytest.raises(BusyError):
            batch.submit(endless)
        last.cancel()
        batch.submit(endless)


def test_what_does_not_fit_is_refused_before_it_is_computed(tiny_llama, tiny_qwen, again, ask, push):
    good = ask(tiny_llama, "Hi", max_new_tokens=5)
    bad = [
        (ask(tiny_llama, "Hi", max_new_tokens=60), ServingError, r"may have 60, but prompt and completion share 64"),
        (ask(tiny_llama, "Hi" * 40, max_new_tokens=1), ServingError, "the prompt has .* tokens"),
        (ask(tiny_llama, "Hi", max_new_tokens=0), ServingError, "at least one"),
        (ask(tiny_llama, "Hi", push(tiny_qwen, 4, 0.1), max_new_tokens=5), SteeringError, "layers 0 to 3"),
        (ask(tiny_llama, "Hi", push(tiny_llama, 1, 1e39), max_new_tokens=5), SteeringError, "out of range"),
        (ask(tiny_llama, "Hi", temperature=-1.0, max_new_tokens=5), SteeringError, "temperature -1"),
        (ask(tiny_llama, "Hi", temperature=float("nan"), max_new_tokens=5), SteeringError, "temperature nan"),
        (ask(tiny_llama, "Hi", top_p=0.0, max_new_tokens=5), SteeringError, "top_p 0"),
    ]
    with LiveBatch(again(tiny_llama), slots=2, capacity=64) as batch:
        for request, kind, words in bad:
            with pytest.raises(kind, match=words):
                batch.submit_all([good, request])
        assert batch.n_open == 0


def test_slots_that_memory_does_not_hold_are_refused(tiny_llama):
    with pytest.raises(ServingError, match="use fewer slots"):
        LiveBatch(tiny_llama, slots=10**9, capacity=2048)


def test_work_with_the_model_runs_between_steps_without_hooks(tiny_llama, again, ask, push, patience):
    model = again(tiny_llama)
    ids = torch.tensor([model.chat.prompt_ids("Hi")])

    def logits(model):
        return model.forward(ids, torch.ones_like(ids), logits="last").logits

    expected = logits(tiny_llama)
    steered = ask(tiny_llama, "Hi", push(tiny_llama, 1, 0.5), max_new_tokens=60, stop_early=False)
    with LiveBatch(model, slots=2, capacity=256) as batch:
        answer = batch.submit(steered)
        next(iter(answer))
        assert torch.equal(batch.call(logits).result(patience), expected)
        with pytest.raises(ZeroDivisionError):
            batch.call(lambda _: 1 / 0).result(patience)
        assert answer.result(patience).ids == alone(tiny_llama, steered).ids


def test_closing_ends_answers_and_the_thread(tiny_llama, again, ask):
    before = threading.active_count()
    with LiveBatch(again(tiny_llama), slots=1, capacity=2048) as batch:
        answers = batch.submit_all([ask(tiny_llama, "Hi", **LONG)] * 2)
        assert threading.active_count() == before + 1
    assert [answer.result(0).finish for answer in answers] == ["cancelled"] * 2
    assert threading.active_count() == before
    with pytest.raises(StoppedError, match="closed"):
        batch.submit(answers[0].request)
    batch.close()


@pytest.mark.parametrize("cut", [1, 7])
def test_a_stop_string_ends_the_row_and_is_not_shown(tiny_llama, again, ask, patience, cut):
    request = ask(tiny_llama, "Hi", max_new_tokens=30, stop_early=False, temperature=1.0, seed=4)
    text = tiny_llama.chat.decode(list(alone(tiny_llama, request).ids))
    stop = text[cut : cut + 3]
    stopped = ask(tiny_llama, "Hi", max_new_tokens=30, stop_early=False, temperature=1.0, seed=4, stop=("§", stop))
    with LiveBatch(again(tiny_llama), slots=1, capacity=256) as batch:
        found = batch.submit(stopped).result(patience)
        assert batch.submit(request).result(patience).text == text, "its slot is free, and nobody else's text is cut"
    assert found.finish == "stop"
    assert found.text == text[: text.index(stop)].strip()
    assert len(found.ids) < 30


def test_a_loop_ends_a_row_if_asked(tiny_llama, again, ask, patience):
    model = again(tiny_llama)
    with torch.no_grad():  # every token is as good as any, so the first is taken
        model.bridge.original_model.lm_head.original_component.weight.zero_()
    with LiveBatch(model, slots=2, capacity=256) as batch:
        ends = [batch.submit(ask(model, "Hi", max_new_tokens=64, stop_loops=stop)) for stop in (True, False)]
        assert [answer.result(patience).finish for answer in ends] == ["loop", "length"]


def test_a_listener_whose_event_loop_is_gone_harms_nobody(tiny_llama, again, ask, patience):
    async def leave_early(answer):
        async for _ in news([answer]):
            return

    with LiveBatch(again(tiny_llama), slots=1, capacity=256) as batch:
        answer = batch.submit(ask(tiny_llama, "Hi", max_new_tokens=100, stop_early=False))
        asyncio.run(leave_early(answer))
        assert answer.result(patience).finish == "length"


def test_every_failure_is_one_of_ours(tiny_llama, again, ask):
    with LiveBatch(again(tiny_llama), slots=1, capacity=64) as batch, pytest.raises(InterpSteerError):
        batch.submit(ask(tiny_llama, "Hi", max_new_tokens=1000))
