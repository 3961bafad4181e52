"""Prompts and responses to tokens: no thinking, no second beginning of text, a clean seam."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from interp_steer.errors import TemplateError
from interp_steer.model.chat import Chat

BARE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.fixture
def tokenizer(tiny_llama):
    """A copy to spoil: one token a byte, Qwen's template."""
    return copy.deepcopy(tiny_llama.chat.tokenizer)


@pytest.fixture
def merging_tokenizer():
    """Byte-level, but ``:x`` is one token; the template ends in a colon."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*alphabet, ":x"])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[(":", "x")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=BARE + ":")


def test_thinking_is_switched_off_by_an_empty_block(tiny_llama):
    assert tiny_llama.chat.render("Hi") == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_the_system_prompt_comes_first(tiny_llama):
    assert tiny_llama.chat.render("Hi", "Be brief.").startswith(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user"
    )


def test_the_real_template_is_the_tokenizers_own(smollm2):
    by_hand = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert smollm2.chat.render("Hi", "Be brief.") == by_hand
    assert smollm2.chat.prompt_ids("Hi", "Be brief.") == smollm2.chat.tokenizer.encode(
        by_hand, add_special_tokens=False
    )


def test_the_template_brings_the_only_beginning_of_text(tokenizer):
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    chat = Chat(tokenizer)
    assert tokenizer(chat.render("Hi"))["input_ids"][:2] == [1, 1], "this tokenizer would double it"
    assert chat.prompt_ids("Hi")[0] == 1
    assert chat.prompt_ids("Hi")[1] != 1
    assert chat.pair_ids("Hi", "Ho")[0][1] != 1


def test_tokens_that_merge_across_the_seam_are_refused(merging_tokenizer):
    chat = Chat(merging_tokenizer)
    with pytest.raises(TemplateError, match=r"merge across the seam.*'Hi'.*'xylophone'"):
        chat.pair_ids("Hi", "xylophone")
    ids, n_prompt = chat.pair_ids("Hi", "yes")
    assert merging_tokenizer.decode(ids[n_prompt:]) == "yes"


def test_a_response_without_a_token_is_refused(tiny_llama):
    with pytest.raises(TemplateError, match="no token of its own"):
        tiny_llama.chat.pair_ids("Hi", "")


def test_a_prompt_without_a_token_is_refused(tokenizer):
    tokenizer.chat_template = BARE
    with pytest.raises(TemplateError, match="renders to no token"):
        Chat(tokenizer).prompt_ids("")


@given(prompt=st.text(max_size=30), response=st.text(min_size=1, max_size=30))
@settings(deadline=None)
def test_prompt_tokens_are_a_prefix_byte_level(tiny_llama, prompt, response):
    ids, n_prompt = tiny_llama.chat.pair_ids(prompt, response)
    assert ids[:n_prompt] == tiny_llama.chat.prompt_ids(prompt)
    assert tiny_llama.chat.tokenizer.decode(ids[n_prompt:]) == response


@given(prompt=st.text(max_size=30), response=st.text(min_size=1, max_size=30))
@settings(deadline=None)
def test_prompt_tokens_are_a_prefix_or_the_pair_is_refused(smollm2, prompt, response):
    try:
        ids, n_prompt = smollm2.chat.pair_ids(prompt, response)
    except TemplateError:
        # Blanks merge with the template's; some control characters have no token at all.
        assert response[0].isspace() or not response[0].isprintable()
        return
    assert ids[:n_prompt] == smollm2.chat.prompt_ids(prompt)
    assert len(ids) > n_prompt


def test_the_real_tokenizer_merges_line_breaks_across_the_seam(smollm2):
    with pytest.raises(TemplateError, match="seam"):
        smollm2.chat.pair_ids("Hi", "\n\nHello")


def test_a_base_model_reads_prompt_and_line_break(tokenizer):
    tokenizer.chat_template = None
    chat = Chat(tokenizer)
    assert chat.render("Hi") == "Hi\n"
    assert chat.render("Hi", "Be brief.") == "Be brief.\n\nHi\n"
    tokenizer.bos_token = "<|im_start|>"
    assert chat.render("Hi") == "<|im_start|>Hi\n"
    assert chat.prompt_ids("Hi") == tokenizer.convert_tokens_to_ids(["<|im_start|>", "H", "i", "Ċ"])


def test_decoding_drops_special_tokens_and_blanks_and_pieces_keep_them(tiny_llama):
    chat = tiny_llama.chat
    ids = chat.tokenizer(" é!<|im_end|>", add_special_tokens=False)["input_ids"]
    assert chat.decode(ids) == "é!"
    assert chat.pieces(ids)[-2:] == ["!", "<|im_end|>"]
    assert len(chat.pieces(ids)) == len(ids)


def test_the_digest_knows_vocabulary_and_template(tiny_llama, tokenizer, merging_tokenizer):
    assert Chat(tokenizer).digest == tiny_llama.chat.digest == tiny_llama.card.template
    assert Chat(merging_tokenizer).digest != Chat(tokenizer).digest
    tokenizer.chat_template = BARE
    assert Chat(tokenizer).digest != tiny_llama.chat.digest
