"""``interp-steer run``: every stage, from pairs to the report."""

import typer

from interp_steer.cli.claude_options import (
    BatchesOption,
    ConcurrencyOption,
    JudgeModelOption,
    JudgeOption,
    MaxCostOption,
    claude_spec,
)
from interp_steer.cli.options import (
    AddressOption,
    AlphasOption,
    BatchSizeOption,
    BehaviorArgument,
    DeviceMapOption,
    DeviceOption,
    DtypeOption,
    EngineOption,
    FirstKOption,
    LayersOption,
    MaxNewTokensOption,
    MethodOption,
    ModelOption,
    OutOption,
    ReadPositionOption,
    RevisionOption,
    ScopeOption,
    SeedOption,
    StrategyOption,
    TemperatureOption,
    UsePcaOption,
    default_out,
    engine_starter,
    exit_if_unscored,
    source,
    sweep_spec,
    vector_method,
)
from interp_steer.model.presets import DEFAULT_MODEL


def run_command(
    behavior: BehaviorArgument,
    model: ModelOption = DEFAULT_MODEL,
    out: OutOption = None,
    layers: LayersOption = "all",
    alphas: AlphasOption = None,
    strategy: StrategyOption = None,
    scope: ScopeOption = "response",
    max_new_tokens: MaxNewTokensOption = 48,
    temperature: TemperatureOption = 0.0,
    seed: SeedOption = 0,
    method: MethodOption = "mean_difference",
    use_pca: UsePcaOption = False,
    read_position: ReadPositionOption = "mean_response",
    first_k: FirstKOption = 5,
    batch_size: BatchSizeOption = None,
    engine: EngineOption = "local",
    address: AddressOption = None,
    judge: JudgeOption = "local",
    judge_model: JudgeModelOption = None,
    max_cost: MaxCostOption = None,
    batches: BatchesOption = None,
    concurrency: ConcurrencyOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    device_map: DeviceMapOption = None,
    revision: RevisionOption = None,
) -> None:
    """Run every stage for one behavior on one model and write the report.

    Pairs, activations, vectors, a sweep over layers and alphas on the dev prompts, verdicts, the chosen cells on
    the test prompts, analyses, report. Stop it at any time: the same command goes on where it was.

    Example: `interp-steer run refusal --model smollm2-135m --layers 6-22/2`
    """
    from interp_steer.pipeline import run_behavior

    claude = claude_spec(judge, judge_model, max_cost, batches, concurrency)
    loaded = source(model, device, dtype, device_map, revision)
    run = run_behavior(
        behavior,
        loaded,
        out=out or default_out(behavior, model),
        spec=lambda n_layers: sweep_spec(
            model,
            n_layers,
            layers=layers,
            alphas=alphas,
            strategy=strategy or "full",
            scope=scope,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        ),
        method=vector_method(method, use_pca=use_pca),
        read_position=read_position,
        first_k=first_k,
        engine=engine_starter(engine, loaded, batch_size=batch_size, address=address),
        judge_name=judge,
        claude=claude,
    )
    typer.echo(run.report_path.resolve())
    exit_if_unscored(run)
