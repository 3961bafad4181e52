"""The server as its clients see it: the official ``openai`` client against a real one."""

import concurrent.futures
import http.client
import json
import urllib.error
import urllib.request

import openai
import pytest

from interp_steer.errors import ServingError
from interp_steer.serving.answer import LiveRequest
from interp_steer.serving.catalog import Steering
from interp_steer.serving.web import make_app
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.terms import SCOPES

ASK = [{"role": "user", "content": "Name a color."}]


@pytest.fixture(scope="module")
def server(tiny_llama, again, served):
    with served(again(tiny_llama), slots=8, capacity=512, max_tokens=400) as found:
        yield found


@pytest.fixture(scope="module")
def client(server):
    return server[0]


@pytest.fixture(scope="module")
def post(server):
    """Function that posts any bytes, and returns status and JSON."""
    host = server[2].removeprefix("http://")

    def send(body, path="/v1/chat/completions", **headers):
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request("POST", path, body=body, headers={"Content-Type": "application/json", **headers})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    return send


def say(client, model="tiny-llama", messages=ASK, steering=None, **options):
    extra = {"extra_body": {"steering": steering}} if steering is not None else {}
    return client.chat.completions.create(
        model=model, messages=messages, **{"temperature": 0, "max_tokens": 12, **options}, **extra
    )


def text(client, *args, **options):
    return say(client, *args, **options).choices[0].message.content


def expected(model, catalog, wanted, n, **settings):
    plan = catalog.plan(wanted)
    row = DecodeRow(prompt_ids=tuple(model.chat.prompt_ids("Name a color.")), interventions=plan.interventions)
    completion = decode(model, [row], DecodeSettings(scope=plan.scope, max_new_tokens=n, **settings))[0]
    return model.chat.decode(list(completion.ids)), len(completion.ids)


def test_sixteen_at_once_say_what_each_says_alone(smollm2, served, catalog_of):
    catalog = catalog_of(smollm2)
    wanted = [
        [Steering(behavior="joy" if i % 2 else "calm", layer=(7 * i) % 30, alpha=0.05 * i - 0.3, scope=SCOPES[i % 3])]
        + [Steering(behavior="calm", layer=[3 + i, 12], alpha=0.1, scope=SCOPES[i % 3])] * (i % 5 == 4)
        for i in range(16)
    ]

    def ask(client, pushes):
        steering = [push.model_dump() for push in pushes]
        found = say(client, "smollm2-135m", steering=steering, max_tokens=12)
        return found.choices[0].message.content, found.usage.completion_tokens

    def request(pushes):
        plan = catalog.plan(pushes)
        row = DecodeRow(prompt_ids=tuple(smollm2.chat.prompt_ids("Name a color.")), interventions=plan.interventions)
        return LiveRequest(row=row, settings=DecodeSettings(scope=plan.scope, max_new_tokens=12))

    with served(smollm2, slots=16, capacity=256) as (client, batch, _):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            together = list(pool.map(lambda pushes: ask(client, pushes), wanted))
        one_by_one = [ask(client, pushes) for pushes in wanted]
        requests = [request(pushes) for pushes in wanted]
        ids_together = [answer.result().ids for answer in batch.submit_all(requests)]
        ids_alone = [batch.submit_all([one])[0].result().ids for one in requests]
        assert batch.n_open == 0
    assert ids_together == ids_alone
    assert [smollm2.chat.decode(list(ids)) for ids in ids_together] == [text for text, _ in together]
    assert together == one_by_one
    assert together[::4] == [expected(smollm2, catalog, pushes, 12) for pushes in wanted[::4]]
    assert len(set(together)) > 12, "the interventions must show, or this proves little"


@pytest.mark.parametrize("n", [1, 3])
def test_a_stream_is_the_answer(client, n):
    options = {"n": n, "seed": 5, "temperature": 1.0, "max_tokens": 30, "steering": {"behavior": "joy"}}
    whole = say(client, **options)
    chunks = list(say(client, **options, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    texts, finishes = [""] * n, [None] * n
    for chunk in chunks[:-1]:
        (choice,) = chunk.choices
        texts[choice.index] += choice.delta.content or ""
        finishes[choice.index] = choice.finish_reason or finishes[choice.index]
    assert texts == [choice.message.content for choice in whole.choices]
    assert finishes == [choice.finish_reason for choice in whole.choices]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len(chunks) > 2 * n + 5, "it came in pieces"
    assert len(set(texts)) == n, "each choice has a seed of its own"


def test_usage_counts_tokens(client, tiny_llama):
    usage = say(client, max_tokens=7).usage
    n = len(tiny_llama.chat.prompt_ids("Name a color."))
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (n, 7, n + 7)
    assert say(client, max_tokens=7, n=3).usage.completion_tokens == 21
    assert all(not chunk.choices or chunk.usage is None for chunk in say(client, stream=True))


def test_a_seed_gives_one_text_and_none_gives_another(client):
    sampled = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 20}
    assert text(client, seed=3, **sampled) == text(client, seed=3, **sampled) != text(client, seed=4, **sampled)
    assert len({text(client, **sampled) for _ in range(4)}) == 4
    assert say(client, seed=3, n=2, **sampled).choices[0].message.content == text(client, seed=3, **sampled)


def test_the_name_of_the_model_steers_as_the_field_does(client, tiny_llama, catalog_of):
    catalog = catalog_of(tiny_llama)
    joy, calm = {"behavior": "joy", "layer": 2, "alpha": 0.5}, {"behavior": "calm", "layer": 1, "alpha": -0.4}
    both = expected(tiny_llama, catalog, [Steering(**joy), Steering(**calm)], 12)[0]
    assert text(client, steering=[joy, calm]) == both
    assert text(client, "tiny-llama+joy@2:0.5+calm@1:-0.4") == both
    assert text(client, "tiny-llama+joy@2:0.5", steering=calm) == both
    chosen = expected(tiny_llama, catalog, [Steering(behavior="joy", layer=1, alpha=0.4)], 12)[0]
    assert text(client, "tiny-llama+joy") == text(client, steering={"behavior": "joy"}) == chosen
    plain = expected(tiny_llama, catalog, [], 12)[0]
    assert text(client) == text(client, steering=[]) == text(client, steering={**joy, "alpha": 0}) == plain
    assert len({both, chosen, plain}) == 3


def test_the_reply_says_what_was_done(client, tiny_llama):
    reply = say(client, "tiny-llama+joy", steering={"behavior": "calm", "layer": [0, 3], "alpha": 1})
    assert reply.model == "tiny-llama+joy"
    assert reply.system_fingerprint == tiny_llama.card.fingerprint
    assert reply.steering == [
        {"behavior": "joy", "layer": 1, "alpha": 0.4, "scope": "response"},
        {"behavior": "calm", "layer": [0, 3], "alpha": 1.0, "scope": "response"},
    ]


def test_scopes_are_each_requests_own(client, tiny_llama, catalog_of):
    wanted = {"behavior": "joy", "layer": 2, "alpha": 0.9}
    found = {scope: text(client, steering={**wanted, "scope": scope}) for scope in SCOPES}
    for scope, said in found.items():
        assert said == expected(tiny_llama, catalog_of(tiny_llama), [Steering(**wanted, scope=scope)], 12)[0]
    assert len(set(found.values())) == 3


def test_models_are_listed(client):
    names = [model.id for model in client.models.list()]
    assert names == ["tiny-llama", "tiny-llama+joy@1:0.4"]
    assert [client.models.retrieve(name).id for name in names] == names
    steering = client.models.retrieve("tiny-llama+calm@3:-0.5").steering
    assert steering == [{"behavior": "calm", "layer": 3, "alpha": -0.5, "scope": "response"}]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_turns_reach_the_template(client, tiny_llama):
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}]},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Name a color."},
    ]
    rendered = (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nName a color.<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    ids = tuple(tiny_llama.chat.tokenizer(rendered, add_special_tokens=False)["input_ids"])
    completion = decode(tiny_llama, [DecodeRow(prompt_ids=ids)], DecodeSettings(max_new_tokens=12))[0]
    reply = say(client, messages=turns)
    assert reply.choices[0].message.content == tiny_llama.chat.decode(list(completion.ids))
    assert reply.usage.prompt_tokens == len(ids)


def test_stop_strings(client):
    options = {"temperature": 1.0, "seed": 1, "max_tokens": 40}
    whole = text(client, **options)
    stop = whole[5:7]
    for form in (stop, ["§§", stop]):
        choice = say(client, stop=form, **options).choices[0]
        assert choice.message.content == whole[: whole.index(stop)].strip()
        assert choice.finish_reason == "stop"
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in say(client, stop=stop, stream=True, **options))
    assert streamed == whole[: whole.index(stop)].strip()


def test_finish_reasons(client):
    assert say(client, max_tokens=2).choices[0].finish_reason == "length"
    by_length = say(client, max_completion_tokens=3, max_tokens=None)
    assert by_length.usage.completion_tokens == 3
    ended = say(client, n=8, temperature=1.5, seed=0, max_tokens=400)
    assert {"stop"} <= {choice.finish_reason for choice in ended.choices} <= {"stop", "length"}


def refused(client, **options):
    with pytest.raises(openai.APIStatusError) as caught:
        say(client, **options)
    body = caught.value.response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert len(body["error"]["message"]) < 500
    return caught.value


@pytest.mark.parametrize(
    ("options", "param", "words"),
    [
        ({"steering": {"behavior": "rage"}}, "steering", "'rage' is not known; this server steers 'joy', 'calm'"),
        ({"steering": {"behavior": "calm"}}, "steering", "give 'layer'"),
        ({"steering": {"behavior": "joy", "layer": 2}}, "steering", "give 'alpha'"),
        ({"steering": {"behavior": "joy", "layer": 4, "alpha": 0.1}}, "steering", "has layers 0 to 3"),
        ({"steering": {"behavior": "joy", "layer": -1, "alpha": 0.1}}, "steering", "has layers 0 to 3"),
        ({"steering": {"behavior": "joy", "layer": 1.5, "alpha": 0.1}}, "steering.layer", "integer"),
        ({"steering": {"behavior": "joy", "layer": 10**30, "alpha": 0.1}}, "steering", "does not exist"),
        ({"steering": {"behavior": "joy", "alpha": "0.1"}}, "steering.alpha", "number"),
        ({"steering": {"behavior": "joy", "alpha": 1e200}}, "steering", "out of range"),
        ({"steering": {"behavior": "joy", "scope": "some"}}, "steering.scope", "'response', 'all' or 'generated'"),
        ({"steering": {"behavior": "joy", "strength": 1}}, "steering.strength", "not permitted"),
        ({"steering": [{"behavior": "joy", "layer": [1] * 300}]}, "steering", "give 'alpha'"),
        ({"steering": [{"behavior": "joy", "layer": [1] * 300, "alpha": 0.1}]}, "steering", "300 layers"),
        (
            {"steering": [{"behavior": "joy", "scope": "all"}, {"behavior": "joy", "scope": "response"}]},
            "steering",
            "give all its interventions one",
        ),
        ({"n": 9}, "n", "at most 8"),
        ({"n": 10**15}, "n", "at most 8"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"top_p": 1.5}, "top_p", "less than or equal to 1"),
        ({"seed": 2**70}, "seed", ""),
        ({"max_tokens": 0}, "max_tokens", "greater"),
        ({"max_tokens": 401}, "max_tokens", "at most 400"),
        ({"max_tokens": 400, "messages": [{"role": "user", "content": "x" * 200}]}, "max_tokens", "share 512"),
        ({"messages": [{"role": "user", "content": "x" * 600}]}, "messages", "share 512"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "wizard", "content": "Hi"}]}, "messages.0.role", "'user'"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "string"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content", "type 'text'"),
        ({"messages": [*ASK, {"role": "assistant", "content": "Red"}]}, "messages", "the last message"),
        ({"messages": [{"role": "system", "content": "Hi"}]}, "messages", "the last message"),
        ({"stop": [""]}, "stop.0", "at least 1"),
        ({"stop": ["a"] * 17}, "stop", "at most 16"),
        ({"logprobs": True}, "logprobs", "not supported"),
        ({"presence_penalty": 0.5}, "presence_penalty", "not supported"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "not supported"),
        ({"extra_body": {"colour": "red"}}, "colour", "unknown parameter 'colour'"),
    ],
)
def test_bad_requests_say_what_is_wrong(client, options, param, words):
    error = refused(client, **options)
    assert error.status_code == 400
    assert isinstance(error, openai.BadRequestError)
    assert error.param == param
    assert words in error.message
    assert error.type == "invalid_request_error"


@pytest.mark.parametrize(
    "name",
    ["gpt-9", "", "tiny-llama+", "tiny-llama+rage", "tiny-llama+joy@9:0.1", "tiny-llama+joy@1:",
     "tiny-llama+joy@1:0.1x", "tiny-llama+joy@x", "tiny-llama+joy@1:1e999", "tiny-llama+joy@1:.", "tiny-llama+joy+calm",
     "tiny-llama-2", "tiny-llama+joy@" + "9" * 1500],
)  # fmt: skip
def test_models_that_do_not_exist(client, name):
    error = refused(client, model=name)
    assert isinstance(error, openai.NotFoundError)
    assert (error.param, error.code) == ("model", "model_not_found")


def test_parameters_that_change_nothing_are_let_through(client):
    plain = text(client)
    neutral = {"presence_penalty": 0, "frequency_penalty": 0.0, "logprobs": False, "user": "me", "store": False}
    assert text(client, **neutral, response_format={"type": "text"}) == plain


ONE = b'{"model": "tiny-llama", "messages": [{"role": "user", "content": "Hi"}]'


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"seed": ' + b"9" * 5000 + b"}", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"a":' * 5000, b"[" * 100_000,
     ONE + b', "messages": [{"role": "user", "content": "\\ud800"}]}',
     ONE + b', "steering": {"behavior": "joy", "alpha": NaN}}', ONE + b', "temperature": Infinity}'],
)  # fmt: skip
def test_bodies_that_cannot_be_read(post, body):
    status, reply = post(body)
    assert status == 400
    assert reply["error"]["type"] == "invalid_request_error"
    assert reply["error"]["message"]


def test_other_refusals_have_the_same_shape(post, server):
    whole = json.dumps({"model": "tiny-llama", "messages": ASK}).encode()
    assert post(whole, **{"Content-Type": "text/plain"})[0] == 415
    status, reply = post(b" " * (2**20 + 1))
    assert (status, reply["error"]["type"]) == (413, "invalid_request_error")
    assert post(whole, path="/v1/nothing")[0] == 404
    assert post(whole, path="/v1/models")[0] == 405
    assert post(whole, Host="evil.example")[0] == 403, "a page elsewhere must not ask in its visitor's name"
    assert post(whole, Host="evil.example", path="/v1/models")[1]["error"]["type"] == "invalid_request_error"
    with urllib.request.urlopen(f"{server[2]}/health") as reply:  # noqa: S310 (our own address)
        assert json.load(reply) == {"status": "ok", "open": 0, "slots": 8}


def test_a_row_that_breaks_is_an_error_and_the_server_goes_on(client):
    broken = {"behavior": "joy", "layer": 1, "alpha": 1e38}
    assert "not numbers" in refused(client, steering=broken).message
    with pytest.raises(openai.APIError, match="not numbers"):
        list(say(client, steering=broken, stream=True))
    assert text(client)


def test_the_key_is_asked_for(tiny_llama, again, served, caplog):
    with served(again(tiny_llama), api_key="sesame", slots=1, capacity=256) as (client, _, url):
        assert text(client)
        for wrong in ("Sesame", "sesame2", "s"):
            with pytest.raises(openai.AuthenticationError) as caught:
                client.with_options(api_key=wrong).models.list()
            assert caught.value.code == "invalid_api_key"
        with urllib.request.urlopen(f"{url}/health") as reply:  # noqa: S310 (our own address)
            assert reply.status == 200
    assert "sesame" not in caplog.text


def test_a_key_that_no_header_can_hold_is_refused(server, catalog_of, tiny_llama):
    with pytest.raises(ServingError, match="ASCII"):
        make_app(server[1], catalog_of(tiny_llama), api_key="sésame")


ENDLESS = {"temperature": 1.0, "max_tokens": 60_000}  # longer than a test waits


@pytest.fixture
def narrow(tiny_llama, again, served):
    """A server with one slot and one place to wait, on a model that never ends a text by itself."""
    model = again(tiny_llama)
    model._eos_ids = frozenset()
    with served(model, slots=1, waiting=1, capacity=60_200, max_tokens=60_000) as found:
        yield found


def test_a_client_that_leaves_a_stream_frees_its_slot(narrow, until):
    client, batch, _ = narrow
    with say(client, **ENDLESS, stream=True) as stream:
        next(iter(stream))
        assert batch.n_open == 1
    until(lambda: batch.n_open == 0)
    assert text(client, max_tokens=2) is not None


def test_a_client_that_does_not_wait_frees_its_slot(narrow, until):
    client, batch, url = narrow
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    body = json.dumps({"model": "tiny-llama", "messages": ASK, **ENDLESS})
    connection.request("POST", "/v1/chat/completions", body=body, headers={"Content-Type": "application/json"})
    until(lambda: batch.n_open == 1)
    connection.close()
    until(lambda: batch.n_open == 0)
    assert text(client, max_tokens=2) is not None


def test_too_many_get_429(narrow, until):
    client, batch, _ = narrow
    with say(client, **ENDLESS, stream=True) as first, say(client, **ENDLESS, stream=True) as second:
        next(iter(first))
        next(iter(second))
        error = refused(client)
        assert isinstance(error, openai.RateLimitError)
        assert (error.code, error.response.headers["retry-after"]) == ("rate_limit_exceeded", "1")
    until(lambda: batch.n_open == 0)
    assert text(client, max_tokens=2) is not None


def test_an_engine_that_died_says_so(tiny_llama, again, served):
    model = again(tiny_llama)

    def breaks(*_):
        raise RuntimeError("the device is gone")

    model.bridge.original_model.lm_head.original_component.register_forward_pre_hook(breaks)
    with served(model, slots=1, capacity=256) as (client, _, url):
        for _ in range(2):
            error = refused(client)
            assert (error.status_code, error.code) == (503, "engine_stopped")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/health")  # noqa: S310 (our own address)
        with caught.value as reply:
            assert (reply.code, json.load(reply)["status"]) == (503, "stopped")
