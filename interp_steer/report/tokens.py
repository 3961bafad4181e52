"""Tokens colored by their projection on the steering direction, drawn by circuitsvis.

Formula: the cosine of a token's residual at a layer with that layer's direction, read from the
unsteered model. It shows where a text carries the direction, not that the direction causes anything.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from interp_steer.errors import RunError
from interp_steer.report.phrases import count, fixed, visible
from interp_steer.run import Run

_MOST = 400  # tokens of a text that are drawn
_WORD_JOINER = "\u2060"


@dataclass(frozen=True, kw_only=True)
class TokenText:
    """One text; ``cosines[l][t]`` belongs to ``layers[l]`` of its view and ``tokens[t]``."""

    title: str
    group: str
    side: str
    tokens: tuple[str, ...]
    cosines: tuple[tuple[float, ...], ...]
    description: str


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """Tokens whose logits the direction of a layer raises and lowers most by the direct path, strongest first."""

    up: tuple[tuple[str, float], ...]
    down: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class TokenView:
    """The texts of ``projections.json``.

    Attributes:
        layers: Layers that can be chosen.
        shown: Position in ``layers`` that is shown first.
        bound: Cosine at which the color saturates, the same at every layer: 99th percentile of the absolute values.
        finding: Mean cosine on each side, and on how many texts.
        texts: The texts.
        promoted: Promoted tokens of each layer; empty where the run holds none.
    """

    layers: tuple[int, ...]
    shown: int
    bound: float
    finding: str
    texts: tuple[TokenText, ...]
    promoted: tuple[Promoted, ...]


def token_view(run: Run, layer: int | None = None) -> TokenView | None:
    """Read the projections of a run; None if there are none.

    Args:
        run: The run directory.
        layer: The layer to show first; the middle one by default.

    Raises:
        RunError: If the file does not hold one cosine per layer and token.
    """
    if not run.projections_path.exists():
        return None
    try:
        data = json.loads(run.projections_path.read_text(encoding="utf-8"))
        layers = tuple(int(value) for value in data["layers"])
        texts = [(item, np.array(item["cosines"], dtype=np.float64)) for item in data["texts"]]
        promoted = tuple(_promoted(item) for item in data.get("promoted") or ())
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{run.projections_path}: not token projections ({error}); "
            "delete it and make it again with 'interp-steer run'"
        ) from error
    for item, cosines in texts:
        if cosines.shape != (len(layers), len(item["tokens"])) or not np.isfinite(cosines).all():
            raise RunError(
                f"{run.projections_path}: text {item['title']!r} needs one finite cosine for each of "
                f"{len(layers)} layers and {len(item['tokens'])} tokens; make it again with 'interp-steer run'"
            )
    if promoted and len(promoted) != len(layers):
        raise RunError(
            f"{run.projections_path}: promoted tokens of {len(promoted)} layers, not of {len(layers)}; "
            "make it again with 'interp-steer run'"
        )
    texts = [
        ({**item, "tokens": item["tokens"][:_MOST]}, cosines[:, :_MOST]) for item, cosines in texts if cosines.size
    ]
    if not texts:
        return None
    shown = layers.index(layer) if layer in layers else len(layers) // 2
    bound = float(np.percentile(np.abs(np.concatenate([cosines.ravel() for _, cosines in texts])), 99)) or 1.0
    return TokenView(
        layers=layers,
        shown=shown,
        bound=bound,
        finding=_finding(texts, shown, layers[shown]),
        texts=tuple(_text(item, cosines, shown, layers[shown]) for item, cosines in texts),
        promoted=promoted,
    )


def safe_token(token: str) -> str:
    """Return a token that circuitsvis can show.

    Its ``ColoredTokens`` writes tokens as HTML. A word joiner (no width, no break) behind every ``<``
    and ``&`` makes that HTML plain text: the HTML parser starts a tag or a reference only at a letter,
    ``/``, ``!``, ``?`` or ``#``. The tooltip, which is written as text, stays readable.
    """
    return visible(token).replace("<", "<" + _WORD_JOINER).replace("&", "&" + _WORD_JOINER)


def circuitsvis_bundle() -> str:
    """Return circuitsvis' script; found without importing the package (and torch).

    Raises:
        RunError: If the installed package has no bundle.
    """
    spec = find_spec("circuitsvis")
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = next((file for folder in folders if (file := Path(folder, "dist", "cdn", "iife.js")).is_file()), None)
    if path is None:
        raise RunError("circuitsvis is not installed with its script; run 'pip install circuitsvis'")
    return path.read_text(encoding="utf-8").partition("//# sourceMappingURL=")[0]


def _text(item: dict[str, Any], cosines: np.ndarray, shown: int, layer: int) -> TokenText:
    tokens = tuple(visible(str(token)) for token in item["tokens"])
    return TokenText(
        title=visible(str(item["title"])),
        group=str(item["group"]),
        side=str(item["side"]),
        tokens=tokens,
        cosines=tuple(tuple(round(float(value), 3) for value in row) for row in cosines),
        description=_description(tokens, cosines[shown], layer),
    )


def _promoted(item: dict[str, Any]) -> Promoted:
    up, down = (
        tuple((visible(str(token)) if str(token).strip() else "␣", float(value)) for token, value in item[side])
        for side in ("up", "down")
    )
    return Promoted(up=up, down=down)


def _description(tokens: Sequence[str], cosines: np.ndarray, layer: int) -> str:
    order = np.argsort(-cosines, kind="stable")

    def listed(indices: np.ndarray) -> str:
        return ", ".join(f"“{tokens[i].strip() or '␣'}” {fixed(float(cosines[i]))}" for i in indices)

    mean = f"At layer {layer} the mean cosine of these {len(tokens)} tokens is {fixed(float(cosines.mean()))}"
    return f"{mean}; highest: {listed(order[:3])}; lowest: {listed(order[::-1][:3])}."


def _finding(texts: Sequence[tuple[dict[str, Any], np.ndarray]], shown: int, layer: int) -> str:
    sides = {
        name: found
        for name in ("positive", "negative", "unsteered", "steered")
        if (found := [cosines[shown] for item, cosines in texts if item["side"] == name])
    }
    if not sides:
        return f"Where the texts carry the direction of layer {layer}"
    said = [
        f"{fixed(float(np.concatenate(found).mean()))} on {count(len(found), f'{name} text')}"
        for name, found in sides.items()
    ]
    joined = said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
    return f"At layer {layer} the mean cosine with the direction is {joined}"
