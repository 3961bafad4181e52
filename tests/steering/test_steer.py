"""The function a script calls: records in order, and refusals before anything runs."""

import pytest

from interp_steer.errors import SteeringError, VectorError
from interp_steer.steering.decode import decode
from interp_steer.steering.intervention import Intervention, interventions
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.steering.steer import generate, steer

PROMPTS = ["How do I boil pasta?", "Hi"]


@pytest.fixture(scope="module")
def llama_vectors(tiny_llama, vectors_of):
    return vectors_of(tiny_llama)


def test_generations_are_what_decoding_gives_in_order(tiny_llama, llama_vectors):
    found = steer(tiny_llama, llama_vectors, PROMPTS, layer=1, alpha=0.4, max_new_tokens=6)
    pushes = interventions(llama_vectors, (1,), 0.4)
    rows = [DecodeRow(prompt_ids=tuple(tiny_llama.chat.prompt_ids(p)), interventions=pushes) for p in PROMPTS]
    completions = decode(tiny_llama, rows, DecodeSettings(max_new_tokens=6))
    for i, (one, completion) in enumerate(zip(found, completions, strict=True)):
        assert one.prompt == PROMPTS[i]
        assert one.text == tiny_llama.chat.decode(list(completion.ids))
        assert (one.n_tokens, one.finish) == (len(completion.ids), completion.finish)
        assert (one.behavior, one.split, one.prompt_id, one.sample) == ("joy", "script", f"script-{i}", 0)
        assert one.key == f"script-{i}/steered@1:+0.4/0"
        assert one.nll is None


def test_several_layers_are_steered_together(tiny_llama, llama_vectors):
    both = steer(tiny_llama, llama_vectors, PROMPTS, layer=[1, 2], alpha=0.5, max_new_tokens=8)
    one = steer(tiny_llama, llama_vectors, PROMPTS, layer=1, alpha=0.5, max_new_tokens=8)
    assert both[0].cell.key == "steered@1+2:+0.5"
    assert [g.text for g in both] != [g.text for g in one]


def test_alpha_zero_and_its_opposite(tiny_llama, llama_vectors):
    texts = {
        alpha: [g.text for g in steer(tiny_llama, llama_vectors, PROMPTS, layer=2, alpha=alpha, max_new_tokens=12)]
        for alpha in (-0.9, 0.0, 0.9)
    }
    rows = [DecodeRow(prompt_ids=tuple(tiny_llama.chat.prompt_ids(prompt))) for prompt in PROMPTS]
    plain = decode(tiny_llama, rows, DecodeSettings(max_new_tokens=12))
    assert texts[0.0] == [tiny_llama.chat.decode(list(one.ids)) for one in plain]
    assert texts[-0.9] != texts[0.0] != texts[0.9] != texts[-0.9]


def test_samples_follow_the_seed_and_prompts_do_not_share_it(tiny_llama, llama_vectors):
    def texts(seed):
        twice = ["Hi", "Hi"]
        return [g.text for g in steer(tiny_llama, llama_vectors, twice, layer=1, alpha=0.2, temperature=1.0, seed=seed)]

    assert texts(3) == texts(3)
    assert texts(3) != texts(5)
    assert texts(3)[0] != texts(3)[1]


def test_the_system_prompt_is_read(tiny_llama, llama_vectors):
    plain, told = (
        steer(tiny_llama, llama_vectors, ["Hi"], layer=1, alpha=0.2, max_new_tokens=12, system=system)[0].text
        for system in (None, "Be brief.")
    )
    assert plain != told


def test_no_prompts_give_no_generations(tiny_llama, llama_vectors):
    assert steer(tiny_llama, llama_vectors, [], layer=1, alpha=0.2) == []


def test_vectors_of_another_model_are_refused(tiny_qwen, llama_vectors):
    with pytest.raises(VectorError, match=r"belong to 'tiny-llama' .* not to 'tiny-qwen'"):
        steer(tiny_qwen, llama_vectors, PROMPTS, layer=1, alpha=0.2)


@pytest.mark.parametrize("layer", [4, -1, [0, 7], []])
def test_a_layer_that_does_not_exist_is_refused(tiny_llama, llama_vectors, layer):
    with pytest.raises(SteeringError, match="layer"):
        steer(tiny_llama, llama_vectors, PROMPTS, layer=layer, alpha=0.2)


def test_the_real_model_answers_otherwise_when_steered(smollm2, vectors_of):
    vectors = vectors_of(smollm2)
    plain, steered = (
        steer(smollm2, vectors, ["How was your day?"], layer=14, alpha=alpha, max_new_tokens=8)[0].text
        for alpha in (0.0, 0.3)
    )
    assert plain
    assert steered
    assert plain != steered


def test_interventions_of_any_kind_act_together(tiny_llama, llama_vectors):
    both = (
        Intervention(layer=1, alpha=25.0, direction=llama_vectors.at(1), operation="rotate"),
        Intervention(layer=2, alpha=0.5, direction=llama_vectors.at(2)),
    )
    found = generate(tiny_llama, PROMPTS, both, max_new_tokens=6)
    rows = [DecodeRow(prompt_ids=tuple(tiny_llama.chat.prompt_ids(p)), interventions=both) for p in PROMPTS]
    expected = decode(tiny_llama, rows, DecodeSettings(max_new_tokens=6))
    assert [one.text for one in found] == [tiny_llama.chat.decode(list(one.ids)) for one in expected]
    assert found[0].cell.key == "steered@1+2:+25"


def test_no_intervention_is_the_unsteered_model(tiny_llama, llama_vectors):
    plain = generate(tiny_llama, PROMPTS, max_new_tokens=6)
    zero = steer(tiny_llama, llama_vectors, PROMPTS, layer=2, alpha=0.0, max_new_tokens=6)
    assert [one.text for one in plain] == [one.text for one in zero]
    assert plain[0].cell.key == "unsteered"
    assert generate(tiny_llama, [], max_new_tokens=6) == []
