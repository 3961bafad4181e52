"""Conversations through the chat template: the one-turn prompt is their shortest case."""

import copy

import pytest

from interp_steer.errors import TemplateError
from interp_steer.model.chat import Chat, Turn

NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Take turns') }}{% endif %}"
    "<{{ message['role'] }}>{{ message['content'] }}{% endfor %}<model>"
)


def user(text):
    return Turn(role="user", content=text)


def assistant(text):
    return Turn(role="assistant", content=text)


def system(text):
    return Turn(role="system", content=text)


@pytest.fixture
def chat_with(tiny_llama):
    """Function from a template to a chat."""

    def make(template):
        tokenizer = copy.deepcopy(tiny_llama.chat.tokenizer)
        tokenizer.chat_template = template
        return Chat(tokenizer)

    return make


def test_one_turn_is_a_prompt(any_model):
    chat = any_model.chat
    assert chat.turns_ids([user("Hi")]) == chat.prompt_ids("Hi")
    assert chat.turns_ids([system("Be brief."), user("Hi")]) == chat.prompt_ids("Hi", "Be brief.")


def test_a_conversation_continues_what_was_read(smollm2):
    chat = smollm2.chat
    first = chat.turns_ids([system("Be brief."), user("Hi")])
    both = chat.turns_ids([system("Be brief."), user("Hi"), assistant("Hello."), user("Name a color.")])
    assert both[: len(first)] == first
    assert chat.tokenizer.decode(both[len(first) :]) == (
        "Hello.<|im_end|>\n<|im_start|>user\nName a color.<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_template_without_a_system_role_gets_it_with_the_first_turn(chat_with):
    chat = chat_with(NO_SYSTEM)
    turns = [system("Be brief."), user("Hi"), assistant("Hello."), user("Bye")]
    assert chat.render_turns(turns) == "<user>Be brief.\n\nHi<assistant>Hello.<user>Bye<model>"
    assert chat.render("Hi", "Be brief.") == "<user>Be brief.\n\nHi<model>"


def test_turns_that_a_template_refuses_are_an_error(chat_with):
    with pytest.raises(TemplateError, match="refuses turns of user, user: Take turns"):
        chat_with(NO_SYSTEM).render_turns([user("Hi"), user("there")])


def test_a_base_model_reads_plain_text(chat_with):
    chat = chat_with(None)
    assert chat.render_turns([user("Hi")]) == chat.render("Hi") == "Hi\n"
    turns = [system("Be brief."), user("Hi"), assistant("Hello."), user("Bye")]
    assert chat.render_turns(turns) == "Be brief.\n\nHi\nHello.\n\nBye\n"
    assert chat.render_turns(turns[:2]) == chat.render("Hi", "Be brief.")
