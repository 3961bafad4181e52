from dataclasses import replace

import pytest

from interp_steer.errors import RunError
from interp_steer.records import Cell
from interp_steer.sweeps.answers import LocalEngine
from interp_steer.sweeps.estimate import estimate
from interp_steer.sweeps.run_sweep import sweep


def test_an_estimate_counts_what_is_missing_and_writes_nothing(run, tiny_llama, prompts, spec):
    cells = spec.dev_cells()
    before = sorted(path.name for path in run.path.iterdir()), run.manifest()
    whole = estimate(run, tiny_llama, prompts, cells, spec)
    assert (sorted(path.name for path in run.path.iterdir()), run.manifest()) == before
    assert whole.rows == len(cells) * len(prompts)
    assert whole.new_tokens == whole.rows * spec.max_new_tokens
    plain = sum(len(tiny_llama.chat.prompt_ids(prompt.text)) for prompt in prompts)
    system = run.behavior().system_prompt
    asked = sum(len(tiny_llama.chat.prompt_ids(prompt.text, system)) for prompt in prompts)
    assert whole.prompt_tokens == plain * (len(cells) - 1) + asked
    assert whole.seconds > 0
    assert whole.batch_size == whole.rows
    assert whole.bytes > whole.rows * tiny_llama.vocab_size * 4
    longer = estimate(run, tiny_llama, prompts, cells, replace(spec, max_new_tokens=600))
    assert longer.seconds > whole.seconds
    assert longer.bytes > whole.bytes
    sweep(run, LocalEngine(tiny_llama), prompts, [Cell(control="unsteered")], spec)
    assert estimate(run, tiny_llama, prompts, cells, spec).rows == whole.rows - len(prompts)
    with pytest.raises(RunError, match="max_new_tokens: 6 -> 7"):
        estimate(run, tiny_llama, prompts, cells, replace(spec, max_new_tokens=7))


def test_nothing_missing_costs_nothing(run, tiny_llama, prompts, spec):
    sweep(run, tiny_llama, prompts, spec.dev_cells(), spec)
    done = estimate(run, tiny_llama, prompts, spec.dev_cells(), spec)
    assert (done.rows, done.new_tokens, done.seconds, done.bytes) == (0, 0, 0.0, 0)
