"""Mean negative log-likelihood against the loss of plain Hugging Face, one text at a time."""

import pytest
import torch

from interp_steer import likelihood
from interp_steer.likelihood import mean_nll

TEXTS = (
    ("Name a color.", "Blue is a color."),
    ("Name a color.", "Red"),
    ("How do I boil pasta for two people?", "Put it in a pot of boiling water, and stir."),
    ("Hi", "Hello! How can I help you?"),
    ("Name a color.", "zqx zqx zqx"),
)


def tokens(model, texts=TEXTS):
    prompts = [tuple(model.chat.prompt_ids(prompt)) for prompt, _ in texts]
    completions = [tuple(model.chat.tokenizer(text, add_special_tokens=False)["input_ids"]) for _, text in texts]
    return prompts, completions


def plain_loss(hf_model, prompt, completion):
    ids = torch.tensor([[*prompt, *completion]])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    with torch.inference_mode():
        return float(hf_model(ids, labels=labels).loss)


def test_it_is_the_loss_of_plain_hugging_face(any_and_plain):
    model, plain = any_and_plain
    prompts, completions = tokens(model)
    expected = [plain_loss(plain, *one) for one in zip(prompts, completions, strict=True)]
    assert mean_nll(model, prompts, completions) == pytest.approx(expected, rel=1e-4)


def test_nonsense_is_less_likely_than_sense(smollm2):
    values = mean_nll(smollm2, *tokens(smollm2))
    assert values[4] > values[0] + 1


def test_the_end_of_turn_is_not_counted(tiny):
    prompts, completions = tokens(tiny)
    end = min(tiny.eos_ids)
    assert mean_nll(tiny, prompts, [(*ids, end) for ids in completions]) == mean_nll(tiny, prompts, completions)


def test_a_completion_without_a_token_is_undefined(tiny):
    prompts, completions = tokens(tiny)
    completions[1], completions[3] = (), (min(tiny.eos_ids),)
    values = mean_nll(tiny, prompts, completions)
    assert [value is None for value in values] == [False, True, False, True, False]
    assert mean_nll(tiny, prompts[:1], [()]) == [None]
    assert mean_nll(tiny, [], []) == []


def test_batches_change_nothing(tiny, monkeypatch):
    prompts, completions = tokens(tiny)
    together = mean_nll(tiny, prompts, completions)
    assert mean_nll(tiny, prompts[::-1], completions[::-1]) == pytest.approx(together[::-1], rel=1e-4)
    monkeypatch.setattr(likelihood, "LOGITS_PER_BATCH", 1)
    assert mean_nll(tiny, prompts, completions) == pytest.approx(together, rel=1e-4)


def test_one_token_by_hand(tiny_llama, plain_tiny_llama):
    prompt = tuple(tiny_llama.chat.prompt_ids("Hi"))
    with torch.inference_mode():
        logits = plain_tiny_llama(torch.tensor([prompt])).logits[0, -1].double()
    values = mean_nll(tiny_llama, [prompt] * 3, [(50,), (60,), (70,)])
    assert values == pytest.approx((-torch.log_softmax(logits, dim=0)[[50, 60, 70]]).tolist(), rel=1e-4)


def test_out_of_memory_halves_the_texts_and_loses_none(tiny_llama, monkeypatch):
    prompts, completions = tokens(tiny_llama)
    expected = mean_nll(tiny_llama, prompts, completions)
    read, sizes = likelihood._batch_nll, []

    def short_of_memory(model, rows, texts):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(model, rows, texts)

    monkeypatch.setattr(likelihood, "_batch_nll", short_of_memory)
    assert mean_nll(tiny_llama, prompts, completions) == pytest.approx(expected, rel=1e-5)
    assert sizes == [5, 2, 2, 1]
    monkeypatch.setattr(likelihood, "_batch_nll", lambda *_: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        mean_nll(tiny_llama, prompts, completions)
