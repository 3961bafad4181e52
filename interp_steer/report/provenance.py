"""Where the numbers come from, and what they do not show, in plain words."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from interp_steer.behaviors import Behavior
from interp_steer.outcomes import Outcomes
from interp_steer.records import ModelCard, Verdict
from interp_steer.report.content import Facts, Headline, Sweep
from interp_steer.report.intervals import alike, share_that_could_differ
from interp_steer.report.phrases import capital, count, fixed, number, ranges
from interp_steer.run import Run
from interp_steer.vectors.vector import read_vectors

_SMALL = 1e9  # parameters


def provenance(run: Run, manifest: Mapping[str, Any], verdicts: Sequence[Verdict]) -> tuple[Facts, ...]:
    """Return what made the run: model, vectors, pairs, sweep, judge, software, time."""
    facts = [
        _model(run.model_card()),
        _vectors(run),
        _pairs(manifest, run.behavior()),
        _sweep(manifest),
        *_judge(manifest, verdicts),
        _time(manifest),
        Facts(title="Software", rows=tuple(dict(manifest.get("versions") or {}).items())),
    ]
    return tuple(item for item in facts if item.rows)


def caveats(
    behavior: Behavior,
    model: ModelCard,
    headline: Headline | None,
    sweep: Sweep | None,
    verdicts: Sequence[Verdict],
    settings: Mapping[str, Any],
) -> tuple[str, ...]:
    """Return what a careful reader should hold against this page; ``settings`` are those of the sweep."""
    found = []
    if verdicts and verdicts[-1].judge == "local":
        found.append(
            f"The judge is a set of rules (scorer '{behavior.scorer.name}'), not a reader. It can be fooled by text "
            "that has the right words and says nothing: read the completions."
        )
        if behavior.scorer.name == "lexicon":
            found.append(
                "That scorer was learned from the pairs: it knows which words their positive sides use, not what they "
                "mean. A vector made from the same pairs can raise those words without the behavior."
            )
    elif verdicts:
        found.append(
            f"The judge is a language model ({verdicts[-1].judge}); it shares the "
            "blind spots of language models. Read the completions."
        )
    parameters = 12 * model.n_layers * model.d_model**2
    if parameters < _SMALL:
        found.append(
            f"The model is small (about {parameters / 1e6:,.0f} million parameters in its blocks). Small models break "
            "down at lower alphas, and what works here need not work on a large one."
        )
    if headline:
        found += _headline_caveats(headline)
    if sweep:
        found += _sweep_caveats(sweep, model.n_layers)
    if limit := settings.get("max_new_tokens"):
        found.append(
            f"Answers are cut off at {count(limit, 'token')}: what a longer answer would go on to say is in no score."
        )
    unscored = sum(verdict.combined is None for verdict in verdicts)
    if unscored:
        found.append(
            f"{unscored:,} of {count(len(verdicts), 'completion')} could not be scored. They are left out of every "
            "mean, not counted as 0; the reasons are listed below."
        )
    texts = "texts that are sampled: these are the greedy ones" if settings.get("temperature") == 0 else "other seeds"
    found.append(
        "Intervals come from resampling prompts. They do not cover another set of pairs, another wording of the system "
        f"prompt, another model, or {texts}."
    )
    return tuple(found)


def _headline_caveats(headline: Headline) -> list[str]:
    found = []
    if headline.detectable is not None:
        found.append(
            f"With {count(headline.effect.n, 'prompt')} and the spread seen here, a true effect of "
            f"{fixed(headline.detectable)} would be shown four times in five; smaller ones more rarely."
        )
    same = [item for item in headline.contrasts if item.effect and item.effect.n > 1 and alike(item.effect)]
    if same:
        n = min(item.effect.n for item in same if item.effect)
        found.append(
            f"“All alike” is not “certain”: where none of {count(n, 'prompt')} differs, nothing can be resampled, yet "
            f"up to {100 * share_that_could_differ(n):.0f} % of all such prompts may differ (Wilson's interval, 95 %)."
        )
    if headline.split == "dev":
        found.append(
            "The headline is read on the prompts that chose the cell, so it is too good. The test prompts have not "
            "been answered and judged."
        )
    if any(item.cell.control == "random" for item in headline.contrasts):
        found.append("The random control is one direction, not a distribution of them.")
    return found


def _sweep_caveats(sweep: Sweep, n_layers: int) -> list[str]:
    grid = sweep.grids[0]
    counts = [n for row in grid.n for n in row if n]
    edges = [
        words
        for at_edge, words in (
            (sweep.best.alpha == max(grid.alphas), "a stronger push"),
            (sweep.best.alpha == min(grid.alphas), "a weaker push"),
            (sweep.best.layer == min(grid.layers) > 0, "an earlier layer"),
            (sweep.best.layer == max(grid.layers) < n_layers - 1, "a later layer"),
        )
        if at_edge
    ]
    edge = f"The best cell lies at the edge of the grid: {' or '.join(edges)} was not tried, and may do more or less."
    return [
        *([edge] if edges else []),
        f"The best cell was chosen among {len(counts)}, with {count(max(counts), 'dev completion')} each; the maps "
        "show those dev scores, which flatter the winner. Only the test numbers are unbiased by the choice.",
    ]


def _model(card: ModelCard) -> Facts:
    kinds = Counter(card.layer_types)
    rows = (
        ("Name", card.name),
        ("Revision", card.revision),
        ("Weights", card.fingerprint),
        ("Tokenizer and template", card.template),
        ("Precision", card.dtype),
        ("Layers", f"{card.n_layers} (0 to {card.n_layers - 1})"),
        ("Kinds of layer", ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in kinds.most_common())),
        ("Width of the residual stream", number(card.d_model)),
    )
    return Facts(title="Model", rows=rows)


def _vectors(run: Run) -> Facts:
    if not run.vectors_path.exists():
        return Facts(title="Vectors", rows=())
    card = read_vectors(run.vectors_path).card
    position = card.activations.read_position + (f" ({card.activations.first_k})" if card.activations.first_k else "")
    rows = (
        ("Method", card.method.replace("_", " ")),
        ("Read position", position.replace("_", " ")),
        ("Sign", card.sign_convention),
        ("Pairs", number(card.n_pairs)),
    )
    return Facts(title="Vectors", rows=rows)


def _pairs(manifest: Mapping[str, Any], behavior: Behavior) -> Facts:
    pairs = manifest.get("pairs") or {}
    rows = (
        ("Behavior", behavior.description),
        ("Positive side", behavior.positive),
        ("Negative side", behavior.negative),
        ("System prompt of the baseline", behavior.system_prompt),
        *_rows({"number of pairs": pairs.get("n"), "SHA-256": pairs.get("sha256")}),
    )
    return Facts(title="Pairs", rows=rows, note=behavior.notes.strip())


def _sweep(manifest: Mapping[str, Any]) -> Facts:
    return Facts(title="Sweep", rows=_rows(manifest.get("sweep") or {}))


def _judge(manifest: Mapping[str, Any], verdicts: Sequence[Verdict]) -> list[Facts]:
    if not verdicts:
        return []
    digests = sorted({verdict.judge_digest for verdict in verdicts})
    reasons = Counter(verdict.reason or "no reason given" for verdict in verdicts if verdict.combined is None)
    versions = sorted({verdict.rubric_version for verdict in verdicts if verdict.rubric_version is not None})
    held = (manifest.get("judges") or {}).get(verdicts[-1].judge, {})
    rows = (
        ("Name", verdicts[-1].judge),
        ("Rules", ", ".join(digests)),
        *((("Rubric", f"version {', '.join(map(str, versions))}"),) if versions else ()),
        *((("Cost", _cost(held)),) if "asked" in held else ()),
        ("Completions judged", number(len(verdicts))),
        ("Without a score", number(sum(reasons.values()))),
        *((f"of these: {reason}", number(n)) for reason, n in reasons.most_common()),
    )
    return [Facts(title="Judge", rows=rows)]


def _cost(held: Mapping[str, Any]) -> str:
    dollars, tokens = held.get("dollars"), held.get("usage") or {}
    price = "an unknown price" if dollars is None else f"${dollars:.4f} (prices of {held.get('prices')})"
    read = sum(n for name, n in tokens.items() if name != "output_tokens")
    out = number(tokens.get("output_tokens", 0))
    return f"{price} for {number(held['asked'])} questions: {number(read)} tokens in, {out} out"


def _time(manifest: Mapping[str, Any]) -> Facts:
    made = {
        "command": _shared(str(manifest.get("command") or "")),
        "created": manifest.get("created"),
        "git commit": manifest.get("git_commit"),
    }
    stages = manifest.get("stages") or {}
    seconds = [
        (f"Stage {name}", f"{number(float(stage['seconds']), 1)} s")
        for name, stage in stages.items()
        if isinstance(stage, Mapping) and stage.get("seconds") is not None
    ]
    return Facts(title="How it was made", rows=(*_rows(made), *seconds))


def _shared(command: str) -> str:
    """Return a command without the folders of the machine it ran on: a page is sent to others."""
    return re.sub(r"(?<![^\s=])(?:/|~/|[A-Za-z]:\\)\S*[/\\]", "…/", command)


def _rows(entries: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((_label(name), _shown(value)) for name, value in entries.items() if value not in (None, "", [], {}))


def _label(name: str) -> str:
    return capital(name.replace("_", " "))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    if isinstance(value, list) and len(value) > 2 and all(type(item) is int for item in value):
        return ranges(value)
    if isinstance(value, list):
        return ", ".join(_shown(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def latest_verdicts(outcomes: Outcomes) -> list[Verdict]:
    """Return the verdicts the report rests on: one per generation, of the judge that was chosen."""
    return [
        item.verdict
        for split in ("dev", "test")
        for cell in outcomes.cells(split)
        for item in outcomes.judged(split, cell)
    ]
