"""A head against the judge, on texts that were generated."""

import pytest

from interp_steer.heads.read import read_text
from interp_steer.heads.transfer import generated_scores
from interp_steer.outcomes import Judged
from interp_steer.records import Cell, Generation, Verdict

TEXTS = ("Blue.", "I like it!", "No, thank you.", "Sure thing", "It depends on you.", "Ask me again.")


def judged(text, behavior):
    generation = Generation(
        behavior="joy",
        split="dev",
        prompt_id="dev-1",
        prompt="Name a color.",
        cell=Cell(control="unsteered"),
        sample=0,
        text=text,
        n_tokens=3,
        finish="eos",
    )
    verdict = Verdict(
        generation=generation.key,
        text_sha256="0",
        judge="local",
        judge_digest="0",
        behavior=behavior,
        coherence=1.0,
        combined=1.0,
    )
    return Judged(generation=generation, verdict=verdict)


@pytest.fixture
def by_reading(tiny, random_head):
    """A head, and texts from the lowest to the highest reading."""
    head = random_head(tiny, 1)
    means = {text: read_text(tiny, [head], "Name a color.", text).logits.mean() for text in TEXTS}
    return head, sorted(TEXTS, key=means.__getitem__)


def test_a_head_that_ranks_as_the_judge_does_agrees_with_it(tiny, by_reading):
    head, texts = by_reading
    scores = [0.0, 0.1, 0.2, 0.6, 0.8, 1.0]
    found = generated_scores(tiny, head, [judged(text, score) for text, score in zip(texts, scores, strict=True)])
    assert (found.auc, found.correlation, found.n, found.n_shown) == (1.0, pytest.approx(1.0), 6, 3)
    turned = generated_scores(tiny, head, [judged(t, s) for t, s in zip(reversed(texts), scores, strict=True)])
    assert (turned.auc, turned.correlation) == (0.0, pytest.approx(-1.0))


def test_one_kind_alone_has_no_auc_but_a_reason(tiny, by_reading):
    head, texts = by_reading
    found = generated_scores(tiny, head, [judged(text, 0.0) for text in texts])
    assert (found.auc, found.correlation, found.n_shown) == (None, None, 0)
    assert "or in none" in found.reason
