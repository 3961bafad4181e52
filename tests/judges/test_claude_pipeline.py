"""Every stage with Claude as the judge: it chooses the cells, and the report names it."""

import shutil

from interp_steer.begin import Source
from interp_steer.judges.claude_spec import ClaudeSpec
from interp_steer.outcomes import read_outcomes
from interp_steer.pairs import BUILTIN
from interp_steer.pipeline import run_behavior
from interp_steer.report.build import build_report
from interp_steer.sweeps.grid import SweepSpec

SPEC = SweepSpec(layers=(1, 2), alphas=(0.2, 0.4), random_alphas=(0.4,), max_new_tokens=12)
DIRECT = ClaudeSpec(batches=False)


def test_a_run_judged_by_claude(tiny_llama, honest_server, tmp_path):
    folder = tmp_path / "refusal"
    folder.mkdir()
    shutil.copy(BUILTIN / "refusal" / "behavior.toml", folder)
    for split, n in (("train", 8), ("dev", 2), ("test", 2)):
        lines = (BUILTIN / "refusal" / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")[:n]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = Source(name="tiny", load=lambda: tiny_llama)

    def go():
        return run_behavior(
            folder, source, out=tmp_path / "run", spec=lambda _: SPEC, judge_name="claude", claude=DIRECT
        )

    run = go()
    verdicts = run.verdicts()
    assert {verdict.judge for verdict in verdicts} == {"claude-haiku-4-5"}
    assert {verdict.generation for verdict in verdicts} == {generation.key for generation in run.generations()}
    assert read_outcomes(run).cells("test", "steered")
    facts = {each.title: dict(each.rows) for each in build_report(run).provenance}
    assert facts["Judge"]["Name"] == "claude-haiku-4-5"
    asked, before = honest_server.calls["messages"], run.verdicts_path.read_bytes()
    go()
    assert honest_server.calls["messages"] == asked
    assert run.verdicts_path.read_bytes() == before
