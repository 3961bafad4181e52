import random

import pytest
from claude_server import Fault

from interp_steer.claude.budget import Budget, CostLimitError
from interp_steer.claude.client import Claude
from interp_steer.claude.estimate import estimate
from interp_steer.claude.prices import PRICES, dollars_for, price_of
from interp_steer.claude.questions import Usage
from interp_steer.errors import JudgeError

HAIKU = "claude-haiku-4-5"
MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)


def test_prices_are_those_of_a_million_tokens():
    assert dollars_for(MILLION, PRICES[HAIKU], batch=False) == 6.0
    assert dollars_for(MILLION, PRICES[HAIKU], batch=True) == 3.0
    assert dollars_for(Usage(cache_write_tokens=2_000_000), PRICES["claude-opus-4-6"], batch=False) == 12.5
    assert dollars_for(Usage(cache_read_tokens=2_000_000), PRICES["claude-opus-4-6"], batch=False) == 1.0


def test_a_dated_name_has_the_price_of_its_model():
    assert price_of("claude-haiku-4-5-20251001") is PRICES[HAIKU]
    assert price_of("claude-haiku-4-5-thinking") is None


def test_what_is_spent_is_the_sum_of_the_replies(claude, questions):
    client = claude()
    total = sum((reply.usage for reply in client.answers(questions(10))), Usage())
    assert client.spent.usage == total
    assert client.spent.dollars == pytest.approx(dollars_for(total, PRICES[HAIKU], batch=False))
    list(client.answers(questions(10)))
    assert client.spent.usage.output_tokens == 2 * total.output_tokens


def test_an_unknown_model_is_counted_in_tokens_and_has_no_limit(claude_server, questions):
    client = Claude("claude-of-tomorrow", batches=False)
    list(client.answers(questions(2)))
    assert client.spent.usage.output_tokens > 0
    assert client.spent.dollars is None
    with pytest.raises(JudgeError, match=r"price table of 20\d\d-.* does not know 'claude-of-tomorrow'"):
        Claude("claude-of-tomorrow", max_cost=1.0)
    assert claude_server.calls["messages"] == 2


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_an_amount_of_money(amount):
    with pytest.raises(JudgeError, match="expected an amount of dollars"):
        Claude(HAIKU, max_cost=amount)


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("limit", [0.001, 0.004, 0.01, 0.03])
def test_the_limit_is_never_exceeded_even_by_the_longest_answers(
    claude, claude_server, questions, one_reply_each, batches, limit
):
    # Each byte of a prompt is a token, each answer is cut at its greatest length: the worst there can be.
    claude_server.tokens = lambda text: len(text.encode())
    claude_server.answer = lambda _: Fault(kind="truncated")
    asked = questions(150, prompt="Text {} " + 50 * "é ")
    client, replies = claude(batches=batches, max_cost=limit), []
    with pytest.raises(CostLimitError) as stopped:
        replies.extend(client.answers(asked))
    assert client.spent.dollars <= limit
    one_reply_each(replies, asked[: len(replies)])
    assert stopped.value.left == 150 - len(replies)
    assert f"{stopped.value.left} questions not asked" in str(stopped.value)
    assert f"limit of ${limit:g}" in str(stopped.value)
    assert claude_server.calls["messages"] + claude_server.calls["item"] == len(replies)
    # One more question of the same kind would not have fitted.
    one = client.spent.dollars / max(1, len(replies))
    assert client.spent.dollars + one * (1 if not batches else 10) > 0.8 * limit


@pytest.mark.parametrize("batches", [False, True])
def test_a_limit_that_suffices_is_not_in_the_way(claude, questions, one_reply_each, batches):
    asked = questions(60)
    client = claude(batches=batches, max_cost=1.0)
    one_reply_each(list(client.answers(asked)), asked)


def test_what_a_batch_did_not_take_buys_another(claude, claude_server, questions):
    # The answers are a tenth of what they may be, so that the money is good for many times as many.
    claude_server.answer = lambda _: {"score": 3, "reason": 400 * "x"}
    client, replies = claude(batches=True, max_cost=0.1), []
    with pytest.raises(CostLimitError):
        replies.extend(client.answers(questions(600, max_tokens=1000, system="")))
    sizes = [len(batch.requests) for batch in claude_server.batches.values()]
    assert len(sizes) > 2
    assert sum(sizes) == len(replies) > 3 * sizes[0]
    assert min(sizes) > 2  # the last tenth of the limit buys no batches of one or two
    assert 0.05 < client.spent.dollars <= 0.1


@pytest.mark.parametrize("kind", ["reset", "garbage"])
def test_a_reply_that_was_lost_may_have_been_charged(claude, claude_server, questions, kind):
    claude_server.faults = lambda place, _body, _n: Fault(kind=kind) if place == "messages" else None
    client = claude(max_cost=0.003, retries=0, concurrency=1)
    with pytest.raises(CostLimitError) as stopped:
        list(client.answers(questions(10)))
    assert 0 < 10 - stopped.value.left < 10
    assert client.spent.dollars == 0.0


@pytest.mark.parametrize(("limit", "more"), [(0.012, range(1, 30)), (0.006, range(1))])
def test_questions_of_an_earlier_batch_count_against_the_limit(claude, claude_server, questions, tmp_path, limit, more):
    claude_server.answer = lambda _: Fault(kind="truncated")
    claude_server.looks = None
    with pytest.raises(JudgeError):
        list(claude(batches=True, max_cost=1.0, state=tmp_path / "s", patience=0.02).answers(questions(30)))
    claude_server.looks = 1
    client, replies = claude(batches=False, max_cost=limit, state=tmp_path / "s"), []
    with pytest.raises(CostLimitError):
        replies.extend(client.answers(questions(60)))
    assert {f"k{number}" for number in range(30)} <= {reply.key for reply in replies}  # they are paid already
    assert claude_server.calls["messages"] in more
    assert client.spent.dollars <= 0.012


def test_the_shared_part_is_counted_once_or_else_taken_by_bytes(questions):
    asked = questions(3, system="rubric " * 1000)
    counted = []
    by_count = Budget(HAIKU, 1.0, count=lambda question: counted.append(question) or 1000)
    by_bytes = Budget(HAIKU, 1.0)
    worst = [by_count.worst(question, batch=False) for question in asked]
    assert [question.prompt for question in counted] == ["."]
    prompt = len(asked[0].prompt) * 1e-6 + 100 * 5e-6
    assert worst[0] == pytest.approx(1100 * 1.25e-6 + prompt)
    assert by_bytes.worst(asked[0], batch=False) > 7000 * 1.25e-6 + prompt


def test_an_estimate_counts_a_sample_and_asks_nothing(claude_server, questions):
    asked = questions(200, prompt="Text {} " + 100 * "word ")
    found = estimate(iter(asked), HAIKU, output_tokens=40.0)
    spent = Claude(HAIKU, poll=0.005)
    assert claude_server.calls == {"count": 20}
    list(spent.answers(asked))
    taken = spent.spent.usage
    true_input = taken.input_tokens + taken.cache_write_tokens + taken.cache_read_tokens
    assert found.usage.input_tokens == pytest.approx(true_input, rel=0.02)
    assert (found.questions, found.batches, found.counted, found.usage.output_tokens) == (200, True, 20, 8000)
    assert found.dollars == pytest.approx((found.usage.input_tokens * 1 + 8000 * 5) / 2e6)
    assert "counted on a sample of 20" in str(found)
    assert found.prices_date in str(found)


@pytest.mark.usefixtures("no_key")
def test_without_a_key_an_estimate_goes_by_the_length(claude_server, questions):
    asked = questions(10)
    found = estimate(asked, HAIKU)
    assert not claude_server.calls
    assert (found.counted, found.batches, found.usage.output_tokens) == (0, False, 1000)
    assert found.usage.input_tokens > sum(len(one.system + one.prompt) for one in asked) / 3
    assert "estimated from the length" in str(found)


def test_an_estimate_without_service_goes_by_the_length(claude_server, questions):
    claude_server.faults = lambda *_: Fault(kind="status", status=500)
    assert estimate(questions(10), HAIKU).counted == 0


def test_an_estimate_of_nothing_costs_nothing(claude_server):
    found = estimate([], HAIKU)
    assert (found.questions, found.dollars, found.usage) == (0, 0.0, Usage())
    assert not claude_server.calls


@pytest.mark.usefixtures("claude_server")
def test_the_sample_is_drawn_from_all_questions(questions):
    asked = questions(50, prompt="x") + questions(50, prompt=1000 * "long ")
    found = estimate(asked, HAIKU, sample=30)
    assert found.counted == 30
    assert found.usage.input_tokens == pytest.approx(50 * 5000 / 4, rel=0.1)


def test_holds_that_were_all_settled_leave_nothing_behind():
    for seed in range(20):
        budget = Budget("claude-haiku-4-5", None)
        rng = random.Random(seed)  # noqa: S311 - a sample, no secret
        held = [rng.random() / 50 for _ in range(60)]
        assert all(budget.hold(dollars) for dollars in held)
        for dollars in rng.sample(held, len(held)):
            budget.settle(dollars, Usage())
        budget.end()
        assert budget.charges.lost == 0
