"""A sheet for the hand: blind, spread, harmless to open, and read back exactly."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import UNSTEERED, generation

from interp_steer.errors import JudgeError
from interp_steer.files import append_records
from interp_steer.judges.agreement import agreement
from interp_steer.judges.audit import COLUMNS, read_audit, read_human, safe_cell, write_audit
from interp_steer.outcomes import read_outcomes
from interp_steer.records import Cell, Verdict, text_sha256

HOSTILE = '=HYPERLINK("http://x","y")'


def judged(make_run, n=200):
    """A run whose scores follow the layer, but for a few; one completion looks like a formula."""
    rows = [generation(f"baseline {p}", UNSTEERED, prompt=p) for p in range(1, 11)]
    rows += [
        generation(HOSTILE if i == 7 else f"text {i}, with a comma\nand a line", cell(i), prompt=i % 10 + 1)
        for i in range(n)
    ]
    run = make_run(rows)
    append_records(
        run.verdicts_path,
        [
            Verdict(
                generation=row.key, text_sha256=text_sha256(row.text), judge="local", judge_digest="d",
                behavior=value, coherence=value, combined=value,
            )
            for i, row in enumerate(rows)
            for value in [0.0 if i < 10 else (i - 10) % 50 / 50]
        ],
    )  # fmt: skip
    return run


def cell(i):
    return Cell(control="steered", layer=i // 10, alpha=0.3)


def sheet(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fill(path, rows, **options):
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, **options)
        writer.writeheader()
        writer.writerows(rows)


def test_the_sheet_is_blind(make_run, tmp_path):
    run = judged(make_run)
    path = tmp_path / "audit.csv"
    assert write_audit(run, path, 40) == 40
    rows = sheet(path)
    assert tuple(rows[0]) == COLUMNS
    assert len({row["id"] for row in rows}) == 40
    text = path.read_text(encoding="utf-8")
    for word in ("steered@", "layer", "alpha", "control", "local", "0.3", "dev-"):
        assert word not in text
    assert all(row["human_behavior"] == row["human_coherence"] == row["notes"] == "" for row in rows)
    assert all(row["baseline"].startswith("baseline ") for row in rows)


def test_the_rows_are_spread_over_scores_and_cells(make_run, tmp_path):
    run = judged(make_run)
    write_audit(run, tmp_path / "audit.csv", 40)
    by_text = {row.text: row for row in run.generations()}
    scores = {verdict.generation: verdict.combined for verdict in run.verdicts()}
    chosen = [by_text[row["completion"].removeprefix("'")] for row in sheet(tmp_path / "audit.csv")]
    bins = [min(4, int(5 * scores[row.key])) for row in chosen]
    assert [bins.count(each) for each in range(5)] == [8] * 5
    assert len({row.cell for row in chosen}) >= 18  # of 21


def test_the_order_says_nothing_about_the_score(make_run, tmp_path):
    run = judged(make_run)
    write_audit(run, tmp_path / "audit.csv", 40)
    ids = [row["id"] for row in sheet(tmp_path / "audit.csv")]
    assert ids == sorted(ids)


def test_the_same_sheet_is_written_again_but_never_over_another(make_run, tmp_path):
    run = judged(make_run)
    for name in ("a.csv", "b.csv"):
        write_audit(run, tmp_path / name, 20)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    with pytest.raises(JudgeError, match="may hold scores"):
        write_audit(run, tmp_path / "a.csv")
    assert write_audit(run, tmp_path / "c.csv", 10_000) == 210


@given(st.text(max_size=30))
def test_no_cell_is_a_formula(text):
    safe = safe_cell(text)
    assert safe in (text, f"'{text}")
    assert not safe.lstrip().startswith(("=", "+", "-", "@"))
    assert not safe.startswith(("\t", "\r"))


def test_a_formula_in_a_completion_is_defused(make_run, tmp_path):
    run = judged(make_run)
    write_audit(run, tmp_path / "audit.csv", 10_000)
    cells = [value for row in sheet(tmp_path / "audit.csv") for value in row.values()]
    assert f"'{HOSTILE}" in cells
    assert not [value for value in cells if value.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("options", [{}, {"delimiter": ";"}, {"encoding": "utf-8-sig"}, {"quoting": csv.QUOTE_ALL}])
def test_what_a_person_filled_in_joins_the_agreement(options, make_run, tmp_path):
    run = judged(make_run)
    path = tmp_path / "audit.csv"
    write_audit(run, path, 40)
    scores = {verdict.generation: verdict.combined for verdict in run.verdicts()}
    by_text = {row.text: row for row in run.generations()}
    rows = sheet(path)
    for row in rows[:30]:
        value = scores[by_text[row["completion"].removeprefix("'")].key]
        row["human_behavior"], row["human_coherence"] = str(10 * value).replace(".", ","), f"{10 * value:.1f}"
    fill(path, rows, **options)
    before = run.verdicts_path.read_bytes()
    assert read_audit(run, path) == 30
    assert run.verdicts_path.read_bytes() == before
    both = {each.score: each for each in agreement(run, ["local", "human"])}
    assert both["behavior"].n == 30
    assert both["behavior"].spearman.value == pytest.approx(1.0)
    assert both["combined"].kappa.value == 1.0
    assert read_outcomes(run).judged("dev", UNSTEERED)[0].verdict.judge == "local"


def test_a_row_that_is_read_again_is_replaced_and_half_a_row_is_half_a_score(make_run, tmp_path):
    run = judged(make_run)
    path = tmp_path / "audit.csv"
    write_audit(run, path, 3)
    rows = sheet(path)
    rows[0]["human_behavior"] = "4"
    fill(path, rows)
    assert read_audit(run, path) == 1
    (half,) = read_human(run).values()
    assert (half.behavior, half.coherence, half.combined, half.reason) == (0.4, None, None, "not filled in")
    rows[0]["human_coherence"] = "10"
    fill(path, rows)
    read_audit(run, path)
    (whole,) = read_human(run).values()
    assert whole.combined == pytest.approx(2 / (1 / 0.4 + 1))


@pytest.mark.parametrize("value", ["11", "-1", "good", "nan", "inf", "1/2", "4 5"])
def test_what_is_no_score_is_refused_with_its_row(value, make_run, tmp_path):
    run = judged(make_run)
    path = tmp_path / "audit.csv"
    write_audit(run, path, 3)
    rows = sheet(path)
    rows[1]["human_coherence"] = value
    fill(path, rows)
    with pytest.raises(JudgeError, match=r"row 3: 'human_coherence' is .*expected a number from 0 to 10"):
        read_audit(run, path)
    assert read_human(run) == {}


def test_a_sheet_of_another_run_or_shape_is_refused(make_run, tmp_path):
    run = judged(make_run)
    path = tmp_path / "audit.csv"
    with pytest.raises(JudgeError, match="cannot read"):
        read_audit(run, path)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(JudgeError, match="no column 'id'"):
        read_audit(run, path)
    path.unlink()
    write_audit(run, path, 3)
    rows = sheet(path)
    rows[0] |= {"id": "row-0", "human_behavior": "3"}
    fill(path, rows)
    with pytest.raises(JudgeError, match=r"row 2: no completion of .* has the id 'row-0'"):
        read_audit(run, path)


def test_there_must_be_scores_to_spread_over(make_run, tmp_path):
    with pytest.raises(JudgeError, match="holds no scores"):
        write_audit(make_run([generation("text")]), tmp_path / "audit.csv")
    assert not (tmp_path / "audit.csv").exists()
