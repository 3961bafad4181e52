"""The settings of the page as a script and as a command that give the same completions."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from interp_steer.playground.choice import Choice, Variant
from interp_steer.playground.shelf import Shelf
from interp_steer.serving.catalog import Steering


def as_python(choice: Choice, wanted: Sequence[Variant], shelf: Shelf) -> str:
    """Return a script that prints every completion of a choice."""
    model = shelf.catalog.model_name
    settings = f"scope={choice.scope!r}, max_new_tokens={choice.max_new_tokens}"
    if choice.temperature:
        settings += f", temperature={choice.temperature:g}"
    if len(choice.pushes) == 1:
        push = choice.pushes[0]
        alphas = choice.rungs or (0.0, push.alpha or 0.0)
        seed = f", seed={choice.seed}" if choice.temperature else ""
        return (
            "from interp_steer import load_model, open_run, read_vectors, steer\n\n"
            f"model = load_model({model!r})\n"
            f"vectors = read_vectors(open_run({_path(shelf, push)!r}).vectors_path)\n"
            f"prompt = {choice.prompt!r}\n"
            f"layers = {list(_layers(push))}\n"
            f"for alpha in {alphas!r}:\n"
            f"    (answer,) = steer(model, vectors, [prompt], layer=layers, alpha=alpha, {settings}{seed})\n"
            "    print(alpha, answer.text)\n"
        )
    rows = "".join(f"    ({variant.title!r}, {_pushes(variant)}),\n" for variant in wanted)
    runs = "".join(f"    {push.behavior!r}: {_path(shelf, push)!r},\n" for push in choice.pushes)
    return (
        "from interp_steer import load_model, open_run, read_vectors\n"
        "from interp_steer.steering.decode import decode\n"
        "from interp_steer.steering.intervention import interventions\n"
        "from interp_steer.steering.rows import DecodeRow, DecodeSettings\n\n"
        f"model = load_model({model!r})\n"
        f"runs = {{\n{runs}}}\n"
        "vectors = {name: read_vectors(open_run(path).vectors_path) for name, path in runs.items()}\n"
        f"ids = tuple(model.chat.prompt_ids({choice.prompt!r}))\n"
        f"settings = DecodeSettings({settings})\n"
        f"for title, pushes in [\n{rows}]:\n"
        "    added = [one for name, layers, alpha in pushes for one in interventions(vectors[name], layers, alpha)]\n"
        f"    row = DecodeRow(prompt_ids=ids, interventions=tuple(added), seed={choice.seed})\n"
        "    print(title, model.chat.decode(list(decode(model, [row], settings)[0].ids)))\n"
    )


def as_shell(choice: Choice, wanted: Sequence[Variant], shelf: Shelf) -> str:
    """Return commands that print the completions of a choice: ``steer`` for one behavior, ``serve`` for several."""
    if len(choice.pushes) == 1:
        push = choice.pushes[0]
        alphas = ",".join(f"{alpha:g}" for alpha in choice.rungs or (push.alpha or 0.0,))
        words = [
            "interp-steer", "steer", _path(shelf, push), f"--layer={','.join(map(str, _layers(push)))}",
            f"--alpha={alphas}", f"--prompt={choice.prompt}", f"--scope={choice.scope}",
            f"--max-new-tokens={choice.max_new_tokens}",
        ]  # fmt: skip
        if choice.temperature:
            words += [f"--temperature={choice.temperature:g}", f"--seed={choice.seed}"]
        return shlex.join(words) + "\n"
    served = ["interp-steer", "serve", f"--model={shelf.catalog.model_name}"]
    served += [f"--run={_path(shelf, push)}" for push in choice.pushes]
    url = "http://127.0.0.1:8000/v1/chat/completions"
    asked = [
        shlex.join(["curl", url, "-H", "Content-Type: application/json", "-d", json.dumps(_body(choice, one, shelf))])
        for one in wanted
    ]
    return "\n".join([f"{shlex.join(served)} &", "# once it listens:", *asked]) + "\n"


def _body(choice: Choice, variant: Variant, shelf: Shelf) -> dict[str, object]:
    return {
        "model": shelf.catalog.model_name,
        "messages": [{"role": "user", "content": choice.prompt}],
        "temperature": choice.temperature,
        "seed": choice.seed,
        "max_tokens": choice.max_new_tokens,
        "steering": [
            {"behavior": one.behavior, "layer": list(_layers(one)), "alpha": one.alpha, "scope": choice.scope}
            for one in variant.pushes
        ],
    }


def _pushes(variant: Variant) -> list[tuple[str, tuple[int, ...], float]]:
    return [(push.behavior, _layers(push), push.alpha or 0.0) for push in variant.pushes]


def _layers(push: Steering) -> tuple[int, ...]:
    return (push.layer,) if isinstance(push.layer, int) else tuple(push.layer or ())


def _path(shelf: Shelf, push: Steering) -> str:
    return str(Path(shelf.playables[push.behavior].path))
