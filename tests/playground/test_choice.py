"""What is set on the page, what comes of it, and what the sweep says of it: without a browser."""

import contextlib
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner

from interp_steer.cli.app import app
from interp_steer.errors import RunError, ServingError, SteeringError, VectorError
from interp_steer.playground.choice import Choice, check, ladder, requests, variants
from interp_steer.playground.shelf import find_runs, read_shelf
from interp_steer.playground.snippets import as_python, as_shell
from interp_steer.playground.strip import drawing, in_words, of_cell
from interp_steer.run import Run
from interp_steer.serving.catalog import Steering
from interp_steer.serving.chat_request import read_request
from interp_steer.serving.live import LiveBatch

REFUSE = Steering(behavior="refusal", layer=[1], alpha=0.3)
SPEAK = Steering(behavior="french", layer=[0, 2], alpha=-0.2)
ONE = Choice(
    prompt="It's \"raining\" $HOME\n'cats'", pushes=(REFUSE,), max_new_tokens=9, colored="refusal", read_layer=1
)


def answers(choice, shelf, model, patience):
    with LiveBatch(model, slots=3, capacity=256) as batch:
        found = batch.submit_all(requests(choice, variants(choice), shelf, model))
        return [answer.result(patience).text for answer in found]


def printed(script):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(script, {})  # noqa: S102 (the snippet is what is tested)
    return out.getvalue()


@pytest.mark.parametrize(
    "choice",
    [
        ONE,
        replace(ONE, rungs=(-0.1, 0.0, 0.4), scope="all"),
        replace(ONE, temperature=0.8, seed=3, scope="generated"),
        replace(ONE, pushes=(REFUSE, SPEAK)),
        replace(ONE, pushes=(SPEAK, REFUSE), rungs=(0.0, 0.3)),
    ],
)
def test_the_script_says_what_the_page_says(choice, shelf, model, patience):
    said = printed(as_python(choice, variants(choice), shelf))
    at = 0
    for text in answers(choice, shelf, model, patience):
        assert text, "an empty text proves nothing"
        at = said.index(text, at) + len(text)


@pytest.mark.parametrize("choice", [ONE, replace(ONE, rungs=(-0.1, 0.2)), replace(ONE, temperature=0.8, seed=3)])
def test_the_command_says_what_the_page_says(choice, shelf, model, patience):
    command, name, *arguments = shlex.split(as_shell(choice, variants(choice), shelf))
    assert (command, name) == ("interp-steer", "steer")
    done = CliRunner().invoke(app, [name, *arguments, "--json"])
    assert done.exit_code == 0, done.output
    said = [json.loads(line)["text"] for line in done.stdout.splitlines() if line.startswith("{")]
    expected = answers(choice, shelf, model, patience)
    assert said == (expected if not choice.rungs else [answers(ONE, shelf, model, patience)[0], *expected])


def test_two_behaviors_are_asked_of_a_server(shelf, model):
    choice = replace(ONE, pushes=(REFUSE, SPEAK), scope="all")
    start, _, plain, steered = as_shell(choice, variants(choice), shelf).splitlines()
    runs = [f"--run={shelf.playables[name].path}" for name in ("refusal", "french")]
    assert shlex.split(start)[3:] == [*runs, "&"]
    asked = read_request(shlex.split(steered)[-1].encode())
    assert asked.turns[0].content == choice.prompt
    plan = shelf.catalog.plan(asked.pushes)
    ours = requests(choice, variants(choice), shelf, model)[1]
    assert [(one.layer, one.alpha) for one in plan.interventions] == [(1, 0.3), (0, -0.2), (2, -0.2)]
    assert [(one.layer, one.alpha) for one in ours.row.interventions] == [(1, 0.3), (0, -0.2), (2, -0.2)]
    assert (plan.scope, asked.max_tokens, asked.temperature) == ("all", 9, 0)
    assert read_request(shlex.split(plain)[-1].encode()).pushes == []


def test_what_stands_beside_what():
    assert [one.pushes for one in variants(ONE)] == [(), (REFUSE,)]
    rungs = variants(replace(ONE, pushes=(REFUSE, SPEAK), rungs=ladder(0, 0.5, 6)))
    assert [one.title for one in rungs] == ["alpha 0", *(f"alpha {alpha}" for alpha in (0.1, 0.2, 0.3, 0.4, 0.5))]
    assert [[push.alpha for push in one.pushes] for one in rungs[:2]] == [[-0.2], [0.1, -0.2]]
    assert variants(replace(ONE, rungs=(0.0,)))[0].title == "alpha 0, unsteered"
    assert ladder(-0.2, 0.2, 5) == (-0.2, -0.1, 0.0, 0.1, 0.2)
    assert ladder(0.3, 0.3, 6) == (0.3,), "twice the same is asked once"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": "  "}, "write a prompt"),
        ({"prompt": "x" * 8001}, "8,001 characters"),
        ({"pushes": ()}, "1 to 4 behaviors"),
        ({"pushes": (REFUSE,) * 2}, "once"),
        ({"pushes": (Steering(behavior="refusal", layer=[], alpha=0.1),)}, "layer"),
        ({"pushes": (Steering(behavior="refusal", layer=[1], alpha=2.01),)}, "from -2 to 2"),
        ({"rungs": (0.1, 3.0)}, "from -2 to 2"),
        ({"rungs": tuple(i / 10 for i in range(9))}, "8 rungs"),
        ({"max_new_tokens": 101}, "1 to 100 tokens"),
        ({"max_new_tokens": 0}, "1 to 100 tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"colored": "rage"}, "color"),
    ],
)
def test_what_is_out_of_bounds_is_refused(shelf, changes, words):
    check(ONE, shelf, max_tokens=100)
    with pytest.raises(ServingError, match=words):
        check(replace(ONE, **changes), shelf, max_tokens=100)


def test_the_coherent_range_ends_at_the_first_cell_that_broke(shelf):
    refusal = shelf.playables["refusal"]
    assert (refusal.ranges[1].low, refusal.ranges[1].high) == (-0.1, 0.2), "0.4 lies behind a cell that broke"
    assert (refusal.ranges[2].low, refusal.ranges[2].high) == (0, 0)
    said = in_words(refusal, [1])
    assert said == "Layer 1 stayed coherent up to 0.2 (beyond, it broke); behavior there 0.40. Downwards to −0.1."
    assert in_words(refusal, [2]) == "Layer 2 was incoherent from the first swept alpha on, 0.1."
    assert in_words(refusal, [0]) == "Not swept at this layer. " + said
    assert in_words(refusal, [1, 2]).endswith("expect to need less.")
    assert in_words(shelf.playables["french"], [1]) == "This run has no sweep: nothing is known of its alphas."
    svg = drawing([refusal.ranges[1]], -0.5, 0.5, chosen=0.1)
    assert 'class="coherent" x="40.00%" y="3" width="30.00%"' in svg
    assert svg.count("broken") == 1
    assert svg.count("chosen") == 1
    assert of_cell(refusal, [1], 0.2) == "in the sweep: behavior 0.40, coherence 0.60"
    assert of_cell(refusal, [1], 0.25) == of_cell(refusal, [0], 0.2) == of_cell(refusal, [1, 2], 0.2) == ""


def test_alphas_of_another_operation_are_not_added(runs, model, tmp_path):
    made = copytree(runs[0], tmp_path / "refusal-tiny")
    Run(made).update_manifest(sweep={"scope": "all", "operation": "rotate"})
    shelf = read_shelf([made], model)
    turned = shelf.playables["refusal"]
    assert (turned.ranges, turned.steerable.cell, list(shelf.catalog.names())) == ({}, None, [shelf.catalog.model_name])
    assert in_words(turned, [1]) == "The sweep was of 'rotate': nothing is known of what is added here."
    with pytest.raises(SteeringError, match="the sweep of its run was of 'rotate', whose alphas are not"):
        shelf.catalog.plan([Steering(behavior="refusal", layer=1)])


def test_runs_are_found_by_their_model(runs, folder, model, shelf, tmp_path):
    assert find_runs(runs[0].parent) == (str(folder), sorted(runs))
    assert shelf.catalog.steerables["refusal"].scope == "all"
    with pytest.raises(RunError, match="no run of 'other' with vectors"):
        find_runs(runs[0].parent, "other")
    with pytest.raises(RunError, match="interp-steer run"):
        find_runs(tmp_path)
    with pytest.raises(ServingError, match="make one"):
        read_shelf([], model)


def test_runs_of_another_model_are_refused(runs, tiny_qwen):
    with pytest.raises(VectorError):
        read_shelf([Path(run) for run in runs], tiny_qwen)
