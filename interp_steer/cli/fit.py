"""``interp-steer fit``: activations to steering vectors."""

import typer

from interp_steer.cli.options import MethodOption, RunArgument, UsePcaOption, vector_method


def fit_command(
    run: RunArgument,
    method: MethodOption = "mean_difference",
    use_pca: UsePcaOption = False,
) -> None:
    """Make one steering vector per layer, and print the path of the vectors.

    Example: `interp-steer fit runs/refusal-smollm2-135m`
    """
    from interp_steer.run import open_run
    from interp_steer.stages import fit_stage

    opened = open_run(run)
    with opened.lock():
        fit_stage(opened, method=vector_method(method, use_pca=use_pca))
    typer.echo(opened.vectors_path)
