"""Options that several commands share, and how lists of layers and alphas are written."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from interp_steer.errors import SteeringError, VectorError
from interp_steer.terms import Method, Operation, ReadPosition, Scope, Strategy

if TYPE_CHECKING:
    from interp_steer.begin import Source
    from interp_steer.model.protocol import Model
    from interp_steer.run import Run
    from interp_steer.sweeps.answers import Engine
    from interp_steer.sweeps.grid import SweepSpec

UNSCORED = 3

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="Preset (`smollm2-135m`, `qwen3.5-9b`), Hugging Face id, or folder.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="`cpu`, `cuda`, `cuda:1`, `mps`; by default CUDA if there is any.")
]
DtypeOption = Annotated[
    str | None, typer.Option(help="`float32`, `bfloat16` or `float16`; by default the model's own.")
]
DeviceMapOption = Annotated[str | None, typer.Option(help="`auto` spreads a large model over several devices.")]
RevisionOption = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hugging Face repository.")]
RunArgument = Annotated[Path, typer.Argument(help="Run directory, e.g. `runs/refusal-smollm2-135m`.", metavar="RUN")]
BehaviorArgument = Annotated[str, typer.Argument(help="Name of a behavior, or a folder with a behavior.toml.")]
LAYERS_HELP = "Layers: `all`, `7,10,13`, a range `7-13`, or a range with a step `0-29/2`."
LayersOption = Annotated[str, typer.Option(help=LAYERS_HELP)]
AlphasOption = Annotated[
    str | None, typer.Option(help="Strengths as fractions of the residual's norm, e.g. `0.2,0.3,0.4` or `-0.3,0.3`.")
]
OperationOption = Annotated[
    Operation | None,
    typer.Option(
        help="What is done along the direction; it says what alpha means. `add` (default), `add_norm_preserving`: "
        "fraction of the norm. `ablate`: share of the component removed. `project`, `project_at_least`: the projection "
        "afterwards, as a fraction of the norm. `rotate`: degrees."
    ),
]
StrategyOption = Annotated[
    Strategy | None,
    typer.Option(
        help="`full` (default): generate at every cell. `halving`: only where likelihoods of the dev pairs rise."
    ),
]
ScopeOption = Annotated[
    Scope, typer.Option(help="Steered positions: from the last prompt token on; only generated ones; all but the sink.")
]
MethodOption = Annotated[Method, typer.Option(help="How differences become a vector; `pca` is uncentered.")]
UsePcaOption = Annotated[bool, typer.Option("--use-pca", help="Short for `--method pca`.")]
ReadPositionOption = Annotated[ReadPosition, typer.Option(help="Which tokens of a pair are pooled.")]
FirstKOption = Annotated[int, typer.Option(help="Number of response tokens of `first_k`.", min=1)]
BatchSizeOption = Annotated[
    int | None, typer.Option(help="Rows decoded together; by default what memory allows.", min=1)
]
EngineOption = Annotated[
    Literal["local", "ray"],
    typer.Option(help="`local`: this process. `ray`: a model on every GPU (or node) of a Ray cluster, extra `ray`."),
]
AddressOption = Annotated[
    str | None, typer.Option(help="Ray cluster to join, e.g. `auto` or `host:6379`; by default this machine.")
]
TemperatureOption = Annotated[float, typer.Option(help="0 decodes greedily.", min=0)]
SeedOption = Annotated[int, typer.Option(help="Seed of sampling and of the random directions.")]
OutOption = Annotated[Path | None, typer.Option(help="Run directory; by default `runs/<behavior>-<model>`.")]
MaxNewTokensOption = Annotated[int, typer.Option(help="Longest completion, in tokens.", min=1)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, one object or array a line.")]


def source(name: str, device: str | None, dtype: str | None, device_map: str | None, revision: str | None) -> "Source":
    """Return a model that is loaded when a stage first needs it."""
    from interp_steer.begin import Source

    options = {"device": device, "dtype": dtype, "device_map": device_map, "revision": revision}

    def load() -> "Model":
        from interp_steer.model.load import load_model

        return load_model(name, **options)

    return Source(name=name, load=load, options=options)


def engine_starter(
    engine: Literal["local", "ray"], model: "Source", *, batch_size: int | None, address: str | None
) -> "Callable[[], Engine]":
    """Return what starts the engine of ``--engine`` when a sweep first needs it."""
    if engine == "local":
        return lambda: model.engine(batch_size)

    def start() -> "Engine":
        from interp_steer.sweeps.ray_engine import RayEngine

        model.release()  # a worker may need the memory
        return RayEngine(model.name, model.options, address=address, batch_size=batch_size)

    return start


def parse_layers(text: str, n_layers: int) -> tuple[int, ...]:
    """Return the layers of ``all``, ``7,10,13``, ``7-13`` or ``0-29/2``, sorted, each once.

    Raises:
        SteeringError: If the text cannot be read, saying which part.
    """
    if text == "all":
        return tuple(range(n_layers))
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.strip().partition("/")
        first, dash, last = span.partition("-")
        try:
            layers = range(int(first), int(last if dash else first) + 1, int(step or 1))
        except ValueError:
            layers = range(0)
        if not layers:
            raise SteeringError(f"cannot read layers {part!r}: expected 'all', '7,10,13', '7-13' or '0-29/2'")
        found.update(layers)
    return tuple(sorted(found))


def parse_alphas(text: str) -> tuple[float, ...]:
    """Return the alphas of a comma-separated list, sorted, each once.

    Raises:
        SteeringError: If one is not a number.
    """
    try:
        return tuple(sorted({float(part) for part in text.split(",")}))
    except ValueError as error:
        raise SteeringError(
            f"cannot read alphas {text!r}: expected numbers separated by commas, e.g. 0.2,0.3,0.4"
        ) from error


def exit_if_unscored(run: "Run") -> None:
    """Leave with exit code 3, and say so on stderr, if the current judge could not score every generation.

    Raises:
        typer.Exit: If there is an unscored generation.
    """
    from interp_steer.outcomes import read_outcomes

    if unscored := read_outcomes(run).n_unscored:
        typer.echo(f"finished, but {unscored} generations have no score (verdicts.jsonl says why)", err=True)
        raise typer.Exit(UNSCORED)


def default_out(behavior: str, model: str) -> Path:
    """Return ``runs/<behavior>-<model>``, the folder parts of either name left out."""
    return Path("runs") / f"{Path(behavior).name}-{Path(model).name.lower()}"


def sweep_spec(
    model: str,
    n_layers: int,
    *,
    layers: str = "all",
    alphas: str | None = None,
    scope: Scope = "response",
    max_new_tokens: int = 48,
    temperature: float = 0.0,
    seed: int = 0,
    strategy: Strategy = "full",
    operation: Operation = "add",
) -> "SweepSpec":
    """Return what a sweep covers, from the options of the command line.

    Every layer is also steered along a random direction, at the largest alpha of the grid that does not exceed the
    model's reference strength.

    Raises:
        SteeringError: If layers, alphas or scope cannot be read.
    """
    from interp_steer.sweeps.grid import SweepSpec

    strengths = parse_alphas(alphas) if alphas else default_amounts(model, operation)
    return SweepSpec(
        layers=parse_layers(layers, n_layers),
        alphas=strengths,
        random_alphas=(random_alpha(model, strengths, operation),),
        scope=scope,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
        strategy=strategy,
        operation=operation,
    )


def default_amounts(model: str, operation: Operation) -> tuple[float, ...]:
    """Return the alpha grid of a model in the unit of an operation; of ``ablate``, the whole component."""
    from interp_steer.model.presets import default_alphas
    from interp_steer.steering.intervention import amount_like

    if operation == "ablate":
        return (1.0,)
    return tuple(round(amount_like(operation, alpha), 3) for alpha in default_alphas(model))


def random_alpha(model: str, alphas: tuple[float, ...], operation: Operation = "add") -> float:
    """Return the largest alpha of a grid that does not exceed the model's reference strength."""
    from interp_steer.model.presets import default_random_alpha
    from interp_steer.steering.intervention import amount_like

    positive = [alpha for alpha in alphas if alpha > 0] or [abs(alpha) for alpha in alphas]
    reference = default_random_alpha(model)
    if operation != "ablate":
        reference = amount_like(operation, reference)
    return max((alpha for alpha in positive if alpha <= reference), default=min(positive))


def vector_method(method: Method, *, use_pca: bool) -> Method:
    """Return the method of ``--method`` and ``--use-pca``.

    Raises:
        VectorError: If the two disagree.
    """
    if use_pca and method == "pca_centered":
        raise VectorError("--use-pca means --method pca, but --method is 'pca_centered'; give one of them")
    return "pca" if use_pca else method
