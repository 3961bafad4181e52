"""Pieces of text against the text of all tokens at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.model.chat import Chat
from interp_steer.serving.text_stream import TextStream

TEXTS = ["Été à l'œuvre 漢字かな交じり 🙂👩‍👩‍👧 done", "  spaced \n\n out  ", "", "   ", "a\u200fb <|x|> \u0000"]


def pieces(chat, ids, stop=()):
    stream, found = TextStream(chat, stop), []
    for i, token in enumerate(ids):
        found.append(stream.feed(token, last=i == len(ids) - 1))
        if stream.stopped:
            break
    return found, stream.stopped


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_text(any_model, text):
    ids = any_model.chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    found, _ = pieces(any_model.chat, ids)
    assert "".join(found) == any_model.chat.decode(ids) == text.strip()
    assert not any("\ufffd" in piece for piece in found), "no half of a character is shown"


@given(ids=st.lists(st.integers(0, 258), max_size=40))
@settings(deadline=None, max_examples=300)
def test_pieces_of_any_bytes_are_the_text(tiny_llama, ids):
    assert "".join(pieces(tiny_llama.chat, ids)[0]) == tiny_llama.chat.decode(ids)


@given(
    text=st.text(alphabet="ab \né", max_size=30), stops=st.lists(st.text("ab \né", min_size=1, max_size=4), max_size=3)
)
@settings(deadline=None, max_examples=300)
def test_the_text_ends_before_the_first_stop_string(tiny_llama, text, stops):
    ids = tiny_llama.chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    found, stopped = pieces(tiny_llama.chat, ids, stops)
    ends = [text.find(stop) for stop in stops if stop in text]
    # The first to be complete wins; of several in one step, the one that begins first.
    complete = min((text.find(stop) + len(stop) for stop in stops if stop in text), default=None)
    assert stopped == bool(ends)
    if complete is None:
        assert "".join(found) == text.strip()
    else:
        begin = min(text.find(stop) for stop in stops if stop in text[:complete])
        assert "".join(found) == text[:begin].strip()


def test_text_is_shown_as_soon_as_it_is_sure(tiny_llama):
    ids = tiny_llama.chat.tokenizer("one STOX two", add_special_tokens=False)["input_ids"]
    found, _ = pieces(tiny_llama.chat, ids, ["STOP"])
    assert found == ["o", "n", "e", "", "", "", "", " STOX", "", " t", "w", "o"]


def test_special_tokens_are_no_text(tiny_llama):
    assert isinstance(tiny_llama.chat, Chat)
    found, _ = pieces(tiny_llama.chat, [*tiny_llama.chat.tokenizer("Hi")["input_ids"], 2])
    assert found == ["H", "i", ""]
