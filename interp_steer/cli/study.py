"""``interp-steer study``: many behaviors on one model, and every heuristic against the sweep."""

from pathlib import Path
from typing import Annotated

import typer

from interp_steer.cli.options import (
    AlphasOption,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    RevisionOption,
    ScopeOption,
    SeedOption,
    parse_alphas,
    source,
)
from interp_steer.model.presets import DEFAULT_MODEL


def study_command(
    model: ModelOption = DEFAULT_MODEL,
    behaviors: Annotated[
        str, typer.Option(help="Behaviors, e.g. `refusal,french,./pairs/mine`, or `all` that can be found by name.")
    ] = "all",
    out: Annotated[
        Path | None, typer.Option(help="Where the study is kept; `runs/study-<model>` by default.", file_okay=False)
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="The page, its tables beside it; `reports/study-<model>.html` by default.", dir_okay=False),
    ] = None,
    alphas: AlphasOption = None,
    scope: ScopeOption = "response",
    random: Annotated[int, typer.Option(help="Random directions at each behavior's best cell.", min=1)] = 20,
    max_new_tokens: Annotated[int, typer.Option(help="Longest completion.", min=1)] = 32,
    seed: SeedOption = 0,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Ask over many behaviors whether the layer could have been known without the sweep, and write one page.

    For each behavior: vectors, what one small push does, likelihoods of the dev pairs at every layer, confirmed on the
    test pairs with random directions, sign-flipped pairs, PCA and every other behavior's vector, texts at the layers
    that likelihood prefers and at some spread over depth, and all analyses. Stop it at any time: the same command
    goes on where it was. Every behavior's folder is a run of its own that `report` can show.

    Example: `interp-steer study --model smollm2-135m --dtype bfloat16`
    """
    from interp_steer.pairs import list_behaviors
    from interp_steer.report.study import write_study
    from interp_steer.study import StudySpec, run_study

    name = Path(model).name.lower()
    folder = out or Path("runs") / f"study-{name}"
    names = list_behaviors() if behaviors == "all" else [part.strip() for part in behaviors.split(",") if part.strip()]
    spec = StudySpec(
        alphas=parse_alphas(alphas) if alphas else StudySpec.alphas,
        scope=scope,
        n_random=random,
        max_new_tokens=max_new_tokens,
        seed=seed,
    )
    run_study(names, source(model, device, dtype, device_map, revision), folder, spec)
    typer.echo(write_study(folder, report or Path("reports") / f"study-{name}.html").resolve())
