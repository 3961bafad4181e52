from dataclasses import replace
from itertools import islice, product

import numpy as np
import pytest

from interp_steer.errors import RunError, SteeringError, VectorError
from interp_steer.pairs import read_behavior
from interp_steer.records import Cell, from_json
from interp_steer.steering.decode import decode
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.steering.steer import steer
from interp_steer.sweeps.answers import LocalEngine
from interp_steer.sweeps.grid import SweepSpec, confirmation_cells
from interp_steer.sweeps.run_sweep import sweep
from interp_steer.vectors.vector import read_vectors, save_vectors

UNSTEERED, PROMPTED = Cell(control="unsteered"), Cell(control="prompted")


class StoppedError(Exception):
    pass


class StoppingEngine(LocalEngine):
    def __init__(self, model, batches):
        super().__init__(model, batch_size=4)
        self.batches = batches

    def answers(self, requests, settings):
        yield from islice(super().answers(requests, settings), self.batches)
        raise StoppedError


def test_every_row_is_there_once(undisturbed, prompts, spec):
    cells = spec.dev_cells()
    assert len(cells) == 2 + 2 * 2 + 2
    found = [(row.prompt_id, row.cell, row.sample) for row in undisturbed]
    assert sorted(found) == sorted((prompt.id, cell, 0) for prompt, cell in product(prompts, cells))
    texts = {prompt.id: prompt.text for prompt in prompts}
    assert {(row.behavior, row.split, row.prompt == texts[row.prompt_id]) for row in undisturbed} == {
        ("refusal", "dev", True)
    }


def test_steering_shows(undisturbed):
    texts = {(row.prompt_id, row.cell): row.text for row in undisturbed}
    strong = [key for key in texts if key[1].alpha == 0.6]
    changed = [texts[key] != texts[key[0], UNSTEERED] for key in strong]
    assert np.mean(changed) > 0.8


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_results_do_not_depend_on_the_batch_size(
    batch_size, run, tiny_llama, prompts, spec, undisturbed, assert_same_rows
):
    assert sweep(run, LocalEngine(tiny_llama, batch_size=batch_size), prompts, spec.dev_cells(), spec) == len(
        undisturbed
    )
    assert_same_rows(run.generations(), undisturbed)


@pytest.mark.parametrize("batches", [0, 1, 4])
def test_a_sweep_that_was_stopped_goes_on_where_it_was(
    batches, run, tiny_llama, prompts, spec, undisturbed, assert_same_rows
):
    cells = spec.dev_cells()
    with pytest.raises(StoppedError):
        sweep(run, StoppingEngine(tiny_llama, batches), prompts, cells, spec)
    done = run.generations()
    assert (len(done) > 0) == (batches > 0)
    assert sweep(run, LocalEngine(tiny_llama, batch_size=4), prompts, cells, spec) == len(undisturbed) - len(done)
    assert run.generations()[: len(done)] == done
    assert_same_rows(run.generations(), undisturbed)
    written = run.generations_path.read_bytes()
    assert sweep(run, LocalEngine(tiny_llama, batch_size=4), prompts, cells, spec) == 0
    assert run.generations_path.read_bytes() == written


@pytest.mark.parametrize("lost", [1, 5, 300, 1000])
def test_a_torn_line_is_generated_again(lost, run, tiny_llama, prompts, spec, undisturbed, assert_same_rows):
    sweep(run, LocalEngine(tiny_llama, batch_size=4), prompts, spec.dev_cells(), spec)
    whole = run.generations_path.read_bytes()
    run.generations_path.write_bytes(whole[:-lost])
    sweep(run, LocalEngine(tiny_llama, batch_size=4), prompts, spec.dev_cells(), spec)
    assert_same_rows(run.generations(), undisturbed)


def test_a_cell_asked_for_twice_is_done_once(run, tiny_llama, prompts, spec):
    cells = [UNSTEERED, *spec.dev_cells()[2:3], UNSTEERED]
    sweep(run, tiny_llama, prompts, cells, spec)
    assert len({row.key for row in run.generations()}) == len(run.generations()) == 2 * len(prompts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scope": "all"}, "scope: 'response' -> 'all'"),
        ({"max_new_tokens": 7}, "max_new_tokens: 6 -> 7"),
        ({"layers": (0, 1)}, r"layers: \[0, 2\] -> \[0, 1\]"),
        ({"alphas": (0.2,)}, r"alphas: \[0.2, 0.6\] -> \[0.2\]"),
        ({"seed": 1, "temperature": 0.5}, "temperature: 0.0 -> 0.5; seed: 0 -> 1"),
    ],
)
def test_another_specification_is_refused_and_named(change, said, run, tiny_llama, prompts, spec):
    sweep(run, tiny_llama, prompts[:1], [UNSTEERED], spec)
    written, manifest = run.generations_path.read_bytes(), run.manifest()
    with pytest.raises(RunError, match=rf"another sweep \({said}\)"):
        sweep(run, tiny_llama, prompts, spec.dev_cells(), replace(spec, **change))
    assert run.generations_path.read_bytes() == written
    assert run.manifest() == manifest


def test_a_specification_may_change_until_something_is_written(run, tiny_llama, prompts, spec):
    with pytest.raises(StoppedError):
        sweep(run, StoppingEngine(tiny_llama, 0), prompts, spec.dev_cells(), spec)
    other = replace(spec, max_new_tokens=2)
    sweep(run, tiny_llama, prompts[:1], [UNSTEERED], other)
    assert from_json(SweepSpec, run.manifest()["sweep"]) == other


def test_unsteered_rows_are_plain_decoding(undisturbed, tiny_llama, prompts, spec):
    rows = [DecodeRow(prompt_ids=tuple(tiny_llama.chat.prompt_ids(prompt.text))) for prompt in prompts]
    plain = decode(tiny_llama, rows, DecodeSettings(max_new_tokens=spec.max_new_tokens))
    found = {row.prompt_id: (row.text, row.n_tokens, row.finish) for row in undisturbed if row.cell == UNSTEERED}
    assert found == {
        prompt.id: (tiny_llama.chat.decode(list(one.ids)), len(one.ids), one.finish)
        for prompt, one in zip(prompts, plain, strict=True)
    }


def test_prompted_rows_get_the_system_prompt(undisturbed, tiny_llama, prompts, spec):
    system = read_behavior("refusal").system_prompt
    rows = [DecodeRow(prompt_ids=tuple(tiny_llama.chat.prompt_ids(prompt.text, system))) for prompt in prompts]
    asked = decode(tiny_llama, rows, DecodeSettings(max_new_tokens=spec.max_new_tokens))
    found = {row.prompt_id: row.text for row in undisturbed if row.cell == PROMPTED}
    expected = {prompt.id: tiny_llama.chat.decode(list(one.ids)) for prompt, one in zip(prompts, asked, strict=True)}
    assert found == expected
    assert found != {row.prompt_id: row.text for row in undisturbed if row.cell == UNSTEERED}


def test_steered_rows_are_those_of_steer(undisturbed, tiny_llama, prompts, spec, run):
    cell = Cell(control="steered", layer=2, alpha=0.6)
    steered = steer(
        tiny_llama,
        read_vectors(run.vectors_path),
        [prompt.text for prompt in prompts],
        layer=2,
        alpha=0.6,
        max_new_tokens=spec.max_new_tokens,
    )
    assert [row.text for row in sorted(undisturbed, key=lambda row: row.prompt_id) if row.cell == cell] == [
        row.text for row in steered
    ]


@pytest.mark.parametrize(("behavior", "prompted"), [("refusal", False), ("french", True)])
def test_the_prompted_likelihood_is_read_where_coherence_refers_to_it(
    behavior, prompted, make_run, tiny_llama, prompts, spec, tmp_path
):
    run = make_run(tmp_path, behavior)
    sweep(run, tiny_llama, prompts, [UNSTEERED], spec)
    rows = run.generations()
    assert all(row.nll is not None and row.nll > 0 for row in rows)
    assert [row.nll_prompted is not None for row in rows] == [prompted] * len(rows)
    assert all(row.nll_prompted != row.nll for row in rows)


def test_sampling_is_reproducible_and_in_pairs(make_run, tiny_llama, prompts, spec, tmp_path, assert_same_rows):
    sampled = replace(spec, temperature=1.0, samples=3, seed=5)
    cells = [UNSTEERED, Cell(control="steered", layer=2, alpha=1e-6)]
    runs = [make_run(tmp_path / name) for name in ("first", "again", "other")]
    sweep(runs[0], LocalEngine(tiny_llama, batch_size=4), prompts, cells, sampled)
    sweep(runs[1], LocalEngine(tiny_llama, batch_size=7), prompts[::-1], cells[::-1], sampled)
    sweep(runs[2], tiny_llama, prompts, cells, replace(sampled, seed=6))
    first, again, other = (run.generations() for run in runs)
    assert_same_rows(first, again)
    assert len(first) == 3 * 2 * 3
    texts = {(row.prompt_id, row.cell.control, row.sample): row.text for row in first}
    assert len(set(texts.values())) > 6  # samples and prompts differ ...
    assert all(
        text == texts[prompt, "unsteered", sample] for (prompt, _, sample), text in texts.items()
    )  # ... cells pair up
    assert texts != {(row.prompt_id, row.cell.control, row.sample): row.text for row in other}


def test_the_confirmation_cells_are_swept_beside_the_grid(run, tiny_llama, prompts, spec):
    sweep(run, tiny_llama, prompts[:1], spec.dev_cells(), spec)
    best = [Cell(control="steered", layer=layer, alpha=0.6) for layer in spec.layers]
    held_out = [replace(prompts[0], id="test-1", split="test")]
    cells = confirmation_cells(best, best[1], n_pairs=12)
    assert sweep(run, tiny_llama, held_out, cells, spec) == len(cells) == 7
    rows = {row.cell.key: row.text for row in run.generations() if row.split == "test"}
    assert set(rows) == {
        "unsteered",
        "prompted",
        "steered@0:+0.6",
        "steered@2:+0.6",
        "random@2:+0.6",
        "sign_flipped@2:+0.6",
        "steered@2:-0.6",
    }


def test_sign_flipped_pairs_need_the_activations(run, tiny_llama, prompts, spec):
    run.activations_path.unlink()
    flipped = Cell(control="sign_flipped", layer=2, alpha=0.6)
    with pytest.raises(SteeringError, match="'sign_flipped' control needs the activations; run 'interp-steer extract'"):
        sweep(run, tiny_llama, prompts, [UNSTEERED, flipped], spec)
    assert run.generations() == []
    sweep(run, tiny_llama, prompts, [UNSTEERED], spec)


def test_vectors_of_another_model_are_refused(run, tiny_llama, prompts, spec):
    vectors = read_vectors(run.vectors_path)
    activations = vectors.card.activations
    other = replace(activations, model=replace(activations.model, name="other", fingerprint="0" * 16))
    save_vectors(replace(vectors, card=replace(vectors.card, activations=other)), run.vectors_path)
    with pytest.raises(VectorError, match=r"belong to 'other' \(weights 0{16}\), not to 'tiny-llama'"):
        sweep(run, tiny_llama, prompts, [UNSTEERED], spec)


@pytest.mark.parametrize("field", ["fingerprint", "dtype", "template"])
def test_a_run_goes_on_with_the_model_it_was_begun_with(field, run, tiny_llama, prompts, spec):
    run.update_manifest(model={**run.manifest()["model"], field: "other"})
    with pytest.raises(
        RunError, match=f"begun with another {field}: other there, {getattr(tiny_llama.card, field)} here"
    ):
        sweep(run, tiny_llama, prompts, [UNSTEERED], spec)
    assert run.generations() == []


def test_a_layer_that_does_not_exist_is_refused_before_anything_is_written(run, tiny_llama, prompts, spec):
    with pytest.raises(SteeringError, match="layer 4 does not exist: 'tiny-llama' has layers 0 to 3"):
        sweep(run, tiny_llama, prompts, [UNSTEERED], replace(spec, layers=(0, 4)))
    assert run.generations() == []
    assert "sweep" not in run.manifest()


def test_nothing_to_do_is_done(run, tiny_llama, prompts, spec):
    assert sweep(run, tiny_llama, [], spec.dev_cells(), spec) == 0
    assert sweep(run, tiny_llama, prompts, [], spec) == 0
    assert run.generations() == []
