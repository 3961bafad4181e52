"""Pooled activations against one plain Hugging Face forward pass per text, pooled by hand."""

import copy
import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from interp_steer.activations.artifact import read_activations, save_activations
from interp_steer.activations.extract import extract
from interp_steer.behaviors import Pair
from interp_steer.errors import AnalysisError, PairsError, RunError, TemplateError, VectorError
from interp_steer.model.load import wrap_model
from interp_steer.terms import READ_POSITIONS
from interp_steer.vectors.fit import fit
from interp_steer.vectors.vector import save_vectors

PAIRS = (
    Pair(prompt="Name a color.", positive="Oh, blue! I love how blue it is!", negative="Blue."),
    Pair(
        prompt="How do I boil pasta for two people?", positive="What a joy!", negative="Put water in a pot and heat it."
    ),
    Pair(prompt="Hi", positive="Hi there, how wonderful to meet you!", negative="Hello, what is it that you want?"),
)
ARRAYS = ("positive", "negative", "positive_norms", "negative_norms", "positive_tokens", "negative_tokens")


def spans(n_prompt, n_tokens, first_k):
    """The tokens of each read position, by hand."""
    return {
        "mean_response": slice(n_prompt, n_tokens),
        "first_k": slice(n_prompt, min(n_prompt + first_k, n_tokens)),
        "last_response": slice(n_tokens - 1, n_tokens),
        "last_prompt": slice(n_prompt - 1, n_prompt),
    }


@pytest.fixture(scope="module")
def by_hand(plain_residuals):
    """Function from a model's tokenizer and its plain weights to pooled sides and mean norms, one text at a time."""

    def read(tokenizer, plain, pairs, first_k):
        pooled = {position: {"positive": [], "negative": []} for position in READ_POSITIONS}
        norms = {"positive": [], "negative": []}
        for pair in pairs:
            rendered = tokenizer.apply_chat_template(
                [{"role": "user", "content": pair.prompt}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
            n_prompt = len(tokenizer(rendered, add_special_tokens=False)["input_ids"])
            for side in ("positive", "negative"):
                ids = tokenizer(rendered + getattr(pair, side), add_special_tokens=False)["input_ids"]
                residuals = plain_residuals(plain, ids).double().numpy()
                for position, span in spans(n_prompt, len(ids), first_k).items():
                    pooled[position][side].append(residuals[:, span].mean(axis=1))
                norms[side].append(np.linalg.norm(residuals[:, n_prompt:], axis=-1).mean(axis=1))
        stacked = {p: {side: np.stack(rows, axis=1) for side, rows in sides.items()} for p, sides in pooled.items()}
        return stacked, {side: np.stack(rows, axis=1) for side, rows in norms.items()}

    return read


def worst_relative_error(ours, reference):
    """Largest relative L2 error of any vector."""
    return float((np.linalg.norm(ours - reference, axis=-1) / np.linalg.norm(reference, axis=-1)).max())


def test_pools_norms_and_vectors_are_those_of_plain_hugging_face(any_and_plain, by_hand):
    model, plain = any_and_plain
    first_k = 4
    pooled, norms = by_hand(model.chat.tokenizer, plain, PAIRS, first_k)
    for position in READ_POSITIONS:
        found = extract(model, PAIRS, behavior="test", read_position=position, first_k=first_k)
        assert worst_relative_error(found.positive, pooled[position]["positive"]) < 1e-4
        assert worst_relative_error(found.negative, pooled[position]["negative"]) < 1e-4
        np.testing.assert_allclose(found.positive_norms, norms["positive"], rtol=1e-4)
        np.testing.assert_allclose(found.negative_norms, norms["negative"], rtol=1e-4)
        np.testing.assert_allclose(
            found.activation_norm,
            np.concatenate([norms["positive"], norms["negative"]], axis=1).mean(axis=1),
            rtol=1e-4,
        )
        if position != "last_prompt":
            vectors = fit(found)
            mean = (pooled[position]["positive"] - pooled[position]["negative"]).mean(axis=1)
            assert worst_relative_error(vectors.direction * vectors.norm[:, None], mean) < 1e-4


def test_read_positions_differ(tiny):
    found = [extract(tiny, PAIRS, behavior="test", read_position=p, first_k=4).positive for p in READ_POSITIONS]
    for i, one in enumerate(found):
        assert all(worst_relative_error(one, other) > 0.1 for other in found[:i])


def test_first_k_of_one_is_the_first_token_and_of_many_the_whole_response(tiny):
    whole = extract(tiny, PAIRS, behavior="test")
    many = extract(tiny, PAIRS, behavior="test", read_position="first_k", first_k=10_000)
    assert np.array_equal(whole.positive, many.positive)
    assert many.card.first_k == 10_000
    assert whole.card.first_k is None
    one = extract(tiny, PAIRS, behavior="test", read_position="first_k", first_k=1)
    single = [dataclasses.replace(pair, positive=pair.positive[0], negative=pair.negative[0]) for pair in PAIRS]
    assert worst_relative_error(one.positive, extract(tiny, single, behavior="test").positive) < 1e-4


def test_batch_size_changes_nothing(tiny):
    one_batch = extract(tiny, PAIRS, behavior="test", tokens_per_batch=100_000)
    one_each = extract(tiny, PAIRS, behavior="test", tokens_per_batch=1)
    for name in ("positive", "negative"):
        assert worst_relative_error(getattr(one_batch, name), getattr(one_each, name)) < 1e-4
    np.testing.assert_allclose(one_batch.activation_norm, one_each.activation_norm, rtol=1e-4)


def test_what_all_prompts_begin_with_is_read_once(tiny_llama, monkeypatch):
    read = []
    forward = type(tiny_llama).forward

    def counted(self, input_ids, *args, **options):
        read.append(input_ids.numel())
        return forward(self, input_ids, *args, **options)

    monkeypatch.setattr(type(tiny_llama), "forward", counted)
    pairs = [Pair(prompt="the same " * 20 + end, positive="b" * 5, negative="c" * 5) for end in "xyz"]
    found = extract(tiny_llama, pairs, behavior="test")
    whole = [len(tiny_llama.chat.pair_ids(pair.prompt, pair.positive)[0]) for pair in pairs]
    opening = read[0]
    assert opening > 180
    assert sum(read) == opening + sum(n - opening - 5 for n in whole) + 2 * 3 * 5
    monkeypatch.undo()
    alone = [extract(tiny_llama, [pair], behavior="test") for pair in pairs]
    assert worst_relative_error(found.positive, np.concatenate([one.positive for one in alone], axis=1)) < 1e-4


def test_the_order_of_pairs_is_the_order_of_rows(tiny):
    forward, backward = extract(tiny, PAIRS, behavior="test"), extract(tiny, PAIRS[::-1], behavior="test")
    assert worst_relative_error(backward.positive[:, ::-1], forward.positive) < 1e-4
    assert worst_relative_error(backward.negative[:, ::-1], forward.negative) < 1e-4
    assert np.array_equal(backward.positive_tokens[::-1], forward.positive_tokens)


def test_tokens_are_counted_without_prompt_and_pads(tiny):
    found = extract(tiny, PAIRS, behavior="test")
    assert found.positive_tokens.tolist() == [len(pair.positive) for pair in PAIRS]
    assert found.negative_tokens.tolist() == [len(pair.negative) for pair in PAIRS]


def test_the_attention_sink_is_in_no_pool_and_no_norm(smollm2, plain_smollm2, plain_residuals):
    found = extract(smollm2, PAIRS[:1], behavior="test")
    ids, _ = smollm2.chat.pair_ids(PAIRS[0].prompt, PAIRS[0].positive)
    sink = plain_residuals(plain_smollm2, ids)[12, 0].norm()
    assert sink > 20 * found.activation_norm[12], "it would drown every other token"


def test_a_prompt_of_one_token_has_nothing_to_read_but_the_sink(plain_tiny_llama, tiny_llama):
    tokenizer = copy.deepcopy(tiny_llama.chat.tokenizer)
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    bare = wrap_model(copy.deepcopy(plain_tiny_llama), tokenizer, name="bare")
    pairs = [Pair(prompt="Q", positive="ab", negative="c")]
    with pytest.raises(PairsError, match="attention sink"):
        extract(bare, pairs, behavior="test", read_position="last_prompt")
    assert extract(bare, pairs, behavior="test").positive_tokens.tolist() == [2]


def test_pairs_share_their_prompt_so_its_last_token_gives_no_vector(any_model):
    found = extract(any_model, PAIRS, behavior="test", read_position="last_prompt", tokens_per_batch=120)
    with pytest.raises(VectorError, match="'last_prompt' never differs"):
        fit(found)


def test_an_activation_that_is_not_a_number_names_layer_and_pair(tiny_llama):
    found = extract(tiny_llama, PAIRS, behavior="test")
    found.negative[2, 1, 5] = np.nan
    with pytest.raises(AnalysisError, match="layer 2, pair 1: the activation is NaN or Inf"):
        fit(found)
    found.negative[2, 1, 5] = np.inf
    with pytest.raises(AnalysisError, match="layer 2, pair 1"):
        found.differences(2)


def test_what_cannot_be_extracted_is_refused(tiny_llama):
    with pytest.raises(PairsError, match="'polite' has no pairs"):
        extract(tiny_llama, [], behavior="polite")
    with pytest.raises(PairsError, match="first_k is 0"):
        extract(tiny_llama, PAIRS, behavior="test", read_position="first_k", first_k=0)
    with pytest.raises(TemplateError, match="no token of its own"):
        extract(tiny_llama, [Pair(prompt="Hi", positive="", negative="x")], behavior="test")


def test_activations_round_trip(tiny_llama, tmp_path):
    found = extract(tiny_llama, PAIRS, behavior="test", pairs_sha256="abc")
    path = tmp_path / "deeper" / "activations.safetensors"
    save_activations(found, path)
    again = read_activations(path)
    assert again.card == found.card
    assert again.card.model == tiny_llama.card
    assert (again.card.behavior, again.card.pairs_sha256, again.card.read_position) == ("test", "abc", "mean_response")
    for name in ARRAYS:
        assert np.array_equal(getattr(again, name), getattr(found, name))
        assert getattr(again, name).dtype == np.float32
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_or_damaged_file_says_how_to_make_it_again(tiny_llama, tmp_path):
    path = tmp_path / "activations.safetensors"
    with pytest.raises(RunError, match=r"does not exist; make it with 'interp-steer extract'"):
        read_activations(path)
    save_activations(extract(tiny_llama, PAIRS, behavior="test"), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"cannot be read as safetensors .*'interp-steer extract'"):
        read_activations(path)


def test_a_file_of_another_kind_is_refused(tiny_llama, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(1, np.float32)}, path)
    with pytest.raises(RunError, match=r"was not written by 'interp-steer extract'"):
        read_activations(path)
    save_file({"x": np.zeros(1, np.float32)}, path, metadata={"card": json.dumps({"color": "blue"})})
    with pytest.raises(RunError, match=r"was not written by 'interp-steer extract'"):
        read_activations(path)
    save_vectors(fit(extract(tiny_llama, PAIRS, behavior="test")), path)
    with pytest.raises(RunError, match=r"was not written by 'interp-steer extract'"):
        read_activations(path)
