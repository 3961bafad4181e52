import json

from interp_steer.files import parsed


def test_the_plan_is_printed_and_kept(interp_steer, run):
    done = interp_steer("pairs", "plan", run.path)
    assert (done.returncode, done.stderr) == (0, "")
    words = " ".join(done.stdout.split())
    assert "There are 16 pairs; at layer 2 they share 0." in words
    for title in ("Pairs to look at, layer 2", "Single words that separate", "Length", "Pairs needed by layer"):
        assert title in words
    assert run.analyses() == ["pair_plan"]


def test_the_plan_as_json_is_what_is_kept(interp_steer, run):
    done = interp_steer("pairs", "plan", run.path, "--json")
    assert json.loads(done.stdout) == parsed(run.analysis_path("pair_plan").read_bytes(), "", "")


def test_a_run_without_activations(fails, run):
    run.activations_path.unlink()
    assert "activations.safetensors does not exist; make it with 'interp-steer extract'" in fails(
        "pairs", "plan", run.path
    )
