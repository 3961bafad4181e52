"""Prove on a given model that what this toolkit assumes is true of it.

Every check runs the model; none looks at its name. Run it once on a new architecture, a new version of
transformers, or a new machine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp_steer.batches import pad
from interp_steer.errors import TemplateError
from interp_steer.model.protocol import Model
from interp_steer.steering.decode import decode
from interp_steer.steering.hooks import BatchSteering
from interp_steer.steering.intervention import Intervention
from interp_steer.steering.rows import DecodeRow, DecodeSettings
from interp_steer.steering.scope import prompt_positions
from interp_steer.vectors.controls import random_direction

SHORT = "Name a color."
LONG = "Explain in two or three sentences why the sky is blue at noon and red in the evening, please."
TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 1e-2}
DECODED_TOKENS = 12


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that must hold of a model, and what was seen."""

    name: str
    passed: bool
    detail: str


def diagnose(model: Model) -> list[Check]:
    """Run every check on a model.

    Returns:
        One result per check; a check that raises has failed, with the error as its detail.
    """
    checks: dict[str, Callable[[Model], tuple[bool, str]]] = {
        "padding changes nothing": _padding,
        "hooks read where they write": _read_is_write,
        "alpha 0 changes nothing": _alpha_zero,
        "alpha 0.3 changes something": _alpha_acts,
        "cached equals recomputed": _cached,
        "the prompt is a prefix": _prefix,
        "one beginning-of-text token": _single_bos,
    }
    results = []
    for name, check in checks.items():
        try:
            passed, detail = check(model)
        except Exception as error:  # whatever a model raises is the finding
            passed, detail = False, f"{type(error).__name__}: {error}"
        results.append(Check(name=name, passed=passed, detail=detail))
    return results


def _relative_error(ours: Tensor, reference: Tensor) -> float:
    return float((ours.float() - reference.float()).norm() / reference.float().norm())


def _tolerance(model: Model) -> float:
    return TOLERANCE.get(model.card.dtype, TOLERANCE["bfloat16"])


def _logits(
    model: Model, input_ids: Int[Tensor, "row pos"], mask: Int[Tensor, "row pos"]
) -> Float[Tensor, "row vocab"]:
    logits = model.forward(input_ids.to(model.device), mask.to(model.device), logits="last").logits
    if logits is None:
        raise AssertionError("asked for logits and got none")
    return logits[:, -1]


def _padding(model: Model) -> tuple[bool, str]:
    short, long = model.chat.prompt_ids(SHORT), model.chat.prompt_ids(LONG)
    alone = _logits(model, *pad([short], "left"))[0]
    ids, mask = pad([short, long], "left")
    # A real token in place of the pads: some models embed id 0 as zeros, which would hide a missing mask.
    ids[mask == 0] = short[-1]
    error = _relative_error(_logits(model, ids, mask)[0], alone)
    unmasked = _relative_error(_logits(model, ids, torch.ones_like(mask))[0], alone)
    passed = error < _tolerance(model) and unmasked > 10 * max(error, 1e-9)
    return passed, f"relative error {error:.1e} with the mask, {unmasked:.1e} without it"


def _read_is_write(model: Model) -> tuple[bool, str]:
    """Put the residual of one text into the pass of another: every logit must be the first text's."""
    first = torch.tensor([model.chat.prompt_ids(LONG)])
    second = first.flip(1)
    mask = torch.ones_like(first)
    worst = 0.0
    layers = sorted({0, model.card.n_layers // 2, model.card.n_layers - 1})
    for layer in layers:
        seen: list[Tensor] = []
        with model.hooks({layer: lambda resid, seen=seen: seen.append(resid.clone())}):  # type: ignore[misc]
            expected = _logits(model, first, mask)
        with model.hooks({layer: lambda _, seen=seen: seen[0]}):  # type: ignore[misc]
            swapped = _logits(model, second, mask)
        worst = max(worst, _relative_error(swapped, expected))
    return worst < _tolerance(model), f"relative error {worst:.1e} at layers {', '.join(map(str, layers))}"


def _push(model: Model, alpha: float) -> Intervention:
    layer = model.card.n_layers // 2
    return Intervention(layer=layer, alpha=alpha, direction=random_direction(model.card.d_model, layer=layer))


def _steered_logits(model: Model, alpha: float) -> Float[Tensor, "row vocab"]:
    ids, mask = pad([model.chat.prompt_ids(SHORT), model.chat.prompt_ids(LONG)], "left")
    rows = [(_push(model, alpha),)] * 2
    steering = BatchSteering(rows, model.device)
    steering.assign(rows, prompt_positions(mask.to(model.device), "response"))
    with model.hooks(steering.functions()):
        return _logits(model, ids, mask)


def _alpha_zero(model: Model) -> tuple[bool, str]:
    same = torch.equal(
        _steered_logits(model, 0.0),
        _logits(model, *pad([model.chat.prompt_ids(SHORT), model.chat.prompt_ids(LONG)], "left")),
    )
    return same, "bit-identical logits" if same else "the logits differ"


def _alpha_acts(model: Model) -> tuple[bool, str]:
    change = _relative_error(_steered_logits(model, 0.3), _steered_logits(model, 0.0))
    return change > _tolerance(model), f"relative change of the logits {change:.1e}"


def _cached(model: Model) -> tuple[bool, str]:
    """Decode with the shared prefix and the cache; then read each text again in one pass and compare its choices."""
    prompts = [tuple(model.chat.prompt_ids(text)) for text in (SHORT, LONG)]
    push = _push(model, 0.2)
    rows = [DecodeRow(prompt_ids=ids, interventions=(push,)) for ids in prompts]
    completions = decode(model, rows, DecodeSettings(max_new_tokens=DECODED_TOKENS))
    worst = 0.0
    for prompt, completion in zip(prompts, completions, strict=True):
        ids, mask = pad([(*prompt, *completion.ids)], "left")
        positions = torch.arange(ids.shape[1], device=model.device).unsqueeze(0) >= len(prompt) - 1
        steering = BatchSteering([(push,)], model.device)
        steering.assign([(push,)], positions)
        with model.hooks(steering.functions()):
            logits = model.forward(ids.to(model.device), mask.to(model.device), logits="all").logits
        if logits is None:
            raise AssertionError("asked for logits and got none")
        choices = logits[0, len(prompt) - 1 : -1].float()
        chosen = choices.gather(1, torch.tensor(completion.ids, device=choices.device).unsqueeze(1)).squeeze(1)
        worst = max(worst, float(((choices.max(dim=1).values - chosen) / choices.std(dim=1)).max()))
    return worst < _tolerance(
        model
    ), f"largest gap to the recomputed choice {worst:.1e} standard deviations of the logits"


def _prefix(model: Model) -> tuple[bool, str]:
    try:
        for response in ("Blue.", "I'm sorry, but I cannot help with that.", "1, 2, 3", "\u00c9videmment."):
            model.chat.pair_ids(SHORT, response)
    except TemplateError as error:
        return False, str(error)
    return True, "the prompt's tokens begin the tokens of prompt and response"


def _single_bos(model: Model) -> tuple[bool, str]:
    bos = model.chat.tokenizer.bos_token_id
    ids = model.chat.prompt_ids(SHORT)
    doubled = bos is not None and len(ids) > 1 and ids[0] == bos and ids[1] == bos
    return not doubled, "doubled" if doubled else "not doubled"
