import json

import pytest

from interp_steer.claude.questions import Question, Usage
from interp_steer.claude.replies import reply_of

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["score"],
    "additionalProperties": False,
}
QUESTION = Question(key="k", system="", prompt="", schema=SCHEMA, max_tokens=10)


def message(text, stop="end_turn", **other):
    content = [{"type": "text", "text": text}]
    return {"content": content, "stop_reason": stop, "usage": {"input_tokens": 7, "output_tokens": 3}, **other}


def test_a_valid_answer_comes_with_what_it_took():
    reply = reply_of(QUESTION, message('{"score": 7.5}'))
    assert (reply.key, reply.answer, reply.reason) == ("k", {"score": 7.5}, None)
    assert reply.usage == Usage(input_tokens=7, output_tokens=3)


def test_every_kind_of_token_is_counted():
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 4,
        "service_tier": "batch",
    }
    expected = Usage(input_tokens=1, output_tokens=2, cache_write_tokens=3, cache_read_tokens=4)
    assert reply_of(QUESTION, message('{"score": 1}', usage=usage)).usage == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "The score is 7.",
        '```json\n{"score": 7}\n```',
        '{"score": 7',
        '{"score": 11}',
        '{"score": -1}',
        '{"score": "7"}',
        '{"score": null}',
        '{"score": true}',
        '{"score": NaN}',
        '{"score": Infinity}',
        '{"score": 7, "other": 1}',
        "{}",
        "[7]",
        '{"score": 7} {"score": 7}',
    ],
)
def test_what_the_schema_does_not_allow_is_unparsable(text):
    reply = reply_of(QUESTION, message(text))
    assert (reply.answer, reply.reason) == (None, "unparsable")
    assert reply.usage.input_tokens == 7


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("refusal", "refused"), ("max_tokens", "truncated"), ("model_context_window_exceeded", "truncated")],
)
def test_an_answer_that_was_stopped_is_none_even_where_it_looks_like_one(stop, reason):
    reply = reply_of(QUESTION, message('{"score": 7}', stop=stop))
    assert (reply.answer, reply.reason, reply.usage.output_tokens) == (None, reason, 3)


def test_thoughts_are_no_part_of_the_answer():
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": '{"score":'}]
    content.append({"type": "text", "text": " 7}"})
    assert reply_of(QUESTION, message("", content=content)).answer == {"score": 7}


@pytest.mark.parametrize(
    "odd", [None, 7, "text", [], {}, {"content": 7}, {"content": [7]}, {"content": [{"type": "text"}]}]
)
def test_what_is_no_message_is_unparsable(odd):
    reply = reply_of(QUESTION, json.loads(json.dumps(odd)))
    assert (reply.answer, reply.reason, reply.usage) == (None, "unparsable", Usage())
