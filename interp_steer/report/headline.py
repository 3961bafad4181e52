"""The answer: does the best cell work on prompts that did not choose it, and is that more than the controls do?"""

from collections.abc import Sequence

from interp_steer.outcomes import MIN_PROMPTS, PROMPTED, UNSTEERED, Judged, Outcomes, steers
from interp_steer.records import Cell, Generation
from interp_steer.report.content import Contrast, Example, Headline, Sample
from interp_steer.report.phrases import SCOPES, capital, cell_name, count, fixed, interval, place, visible
from interp_steer.report.strengths import ADDED, Strength
from interp_steer.stats import Interval, detectable

_STEERING = {"all": "every token", "generated": "generated tokens only"}  # the default goes without saying


def build_headline(
    outcomes: Outcomes, behavior: str, model: str, scope: str = "", unit: Strength = ADDED
) -> Headline | None:
    """Return the headline of a run; None if no steered cell was scored beside the unsteered model.

    The cell is the best one on dev. Its effect is read on the test prompts, or on dev where these were
    not answered, which the sentence then says.

    Args:
        outcomes: What the sweep showed.
        behavior: Name of the behavior.
        model: Name of the model.
        scope: Which tokens the sweep steered; empty where the run does not say.
        unit: How its alphas are written.
    """
    best = outcomes.best_cell("dev")
    if best is None:
        return None
    for split in ("test", "dev"):
        effect = outcomes.effect(split, best, "behavior")
        if effect is not None:
            return _headline(outcomes, behavior, model, scope, unit.suffix, split, best, effect)
    return None


def _headline(
    outcomes: Outcomes, behavior: str, model: str, scope: str, unit: str, split: str, best: Cell, effect: Interval
) -> Headline:
    contrasts = _contrasts(outcomes, split, best, unit)
    random = next((item for item in contrasts if item.cell.control == "random"), None)
    shown = steers(outcomes, split, best)
    coherence = outcomes.outcome(split, best).coherence
    prompts = f"{effect.n} held-out prompts" if split == "test" else f"the {effect.n} dev prompts that chose it"
    if shown and effect.low > 0:
        where = f", steering {_STEERING[scope]}," if scope in _STEERING else ""
        claim = f"{capital(place(best, unit))}{where} raises {behavior} by {interval(effect)} on {prompts}"
    else:
        searched = count(sum(cell.alpha > 0 for cell in outcomes.cells("dev", "steered")), "cell")
        reason = "" if effect.low <= 0 else _why_not(outcomes, split, best, effect, random)
        claim = (
            f"No cell steers {behavior} on {model} here: the best of {searched}, {place(best, unit)}, "
            f"changes it by {interval(effect)} on {prompts}{reason}"
        )
    return Headline(
        claim=f"{claim}, at coherence {fixed(coherence)}.",
        comparison=_comparison(contrasts),
        steers=shown and effect.low > 0,
        split=split,
        scope=SCOPES.get(scope, scope),
        cell=best,
        effect=effect,
        coherence=coherence,
        detectable=detectable(outcomes.differences(split, best, "behavior")),
        contrasts=contrasts,
        examples=_examples(outcomes, split, best, unit),
    )


def _why_not(outcomes: Outcomes, split: str, best: Cell, effect: Interval, random: Contrast | None) -> str:
    if effect.n < MIN_PROMPTS:
        return f", too few to tell (at least {MIN_PROMPTS} are needed)"
    if random is None:
        return ", and no random direction was tried beside it"
    combined = outcomes.effect(split, best, "combined")
    if combined is None or combined.low <= 0:
        return ", in text that no longer makes sense"
    return ", no more than a random direction of the same size"


def _contrasts(outcomes: Outcomes, split: str, best: Cell, unit: str) -> tuple[Contrast, ...]:
    layer, alpha = best.layer, best.alpha
    rows = [
        (UNSTEERED, "unsteered", "the model as it is"),
        (best, place(best, unit), "the cell that the dev prompts chose"),
        (PROMPTED, "asked in the system prompt", "what words alone do"),
        (Cell(control="random", layer=layer, alpha=alpha), "random direction", "same layer, same norm, no meaning"),
        (Cell(control="sign_flipped", layer=layer, alpha=alpha), "sign-flipped pairs", "same pairs, labels shuffled"),
        (Cell(control="steered", layer=layer, alpha=-alpha), "minus alpha", "the same direction, backwards"),
    ]
    present = set(outcomes.cells(split))
    return tuple(_contrast(outcomes, split, *row) for row in rows if row[0] in present)


def _contrast(outcomes: Outcomes, split: str, cell: Cell, name: str, meaning: str) -> Contrast:
    outcome = outcomes.outcome(split, cell)
    return Contrast(
        name=name,
        meaning=meaning,
        cell=cell,
        n=outcome.n,
        n_unscored=outcome.n_unscored,
        behavior=outcome.behavior,
        coherence=outcome.coherence,
        effect=None if cell == UNSTEERED else outcomes.effect(split, cell, "behavior"),
    )


def _comparison(contrasts: Sequence[Contrast]) -> str:
    said = {"random": "one random direction of the same size does", "prompted": "asking in the system prompt does"}
    parts = [
        f"{said[item.cell.control]} {interval(item.effect)} at coherence {fixed(item.coherence)}"
        for control in said
        for item in contrasts
        if item.cell.control == control and item.effect is not None
    ]
    return capital("; ".join(parts)) + "." if parts else ""


def _examples(outcomes: Outcomes, split: str, best: Cell, unit: str) -> tuple[Example, ...]:
    """Pick the prompts where the best cell scored highest, in the middle and lowest: not only the pretty ones."""
    scored = [
        (score, prompt) for prompt, score in outcomes.scores(split, best, "combined").items() if score is not None
    ]
    order = [prompt for _, prompt in sorted(scored, key=lambda pair: -pair[0])]
    if not order:
        return ()
    places = {"highest score": 0, "median score": len(order) // 2, "lowest score": len(order) - 1}
    cells = [cell for cell in (UNSTEERED, best, PROMPTED) if cell in set(outcomes.cells(split))]
    first = {
        (cell, item.generation.prompt_id): item
        for cell in cells
        for item in reversed(outcomes.judged(split, cell))  # the first sample of a prompt stays
    }
    chosen = dict.fromkeys(order[index] for index in places.values())
    ranks = {order[index]: rank for rank, index in reversed(places.items())}
    return tuple(
        Example(
            rank=ranks[prompt],
            prompt=visible(first[best, prompt].generation.prompt),
            names=tuple(cell_name(cell, unit) for cell in cells if (cell, prompt) in first),
            samples=tuple(shown_sample(first[cell, prompt]) for cell in cells if (cell, prompt) in first),
        )
        for prompt in chosen
    )


def shown_sample(item: Judged) -> Sample:
    """Return a judged completion as it is shown."""
    verdict = item.verdict

    def rounded(score: float | None) -> float | None:
        return None if score is None else round(score, 3)

    return Sample(
        prompt_id=item.generation.prompt_id,
        text=visible(item.generation.text),
        behavior=rounded(verdict.behavior),
        coherence=rounded(verdict.coherence),
        combined=rounded(verdict.combined),
        reason=visible(verdict.reason or verdict.explanation),
        finish=_finish(item.generation),
    )


def _finish(generation: Generation) -> str:
    if generation.finish == "length":
        return f"cut off at {count(generation.n_tokens, 'token')}"
    return "stopped in a loop" if generation.finish == "loop" else ""
