"""``interp-steer``: the commands, and how failures reach the shell.

Exit codes: 0 done, 1 expected failure (``error: ...``), 2 usage, 3 finished but with unscored items,
130 stopped with Ctrl-C.
"""

import os
import sys

import typer

from interp_steer.cli.agreement import agreement_command
from interp_steer.cli.analyze import analyze_command
from interp_steer.cli.audit import audit_command
from interp_steer.cli.calibrate import calibrate_command
from interp_steer.cli.combine import combine_command
from interp_steer.cli.doctor import doctor_command
from interp_steer.cli.extract import extract_command
from interp_steer.cli.fit import fit_command
from interp_steer.cli.heads import heads_app
from interp_steer.cli.judge import judge_command
from interp_steer.cli.pairs import pairs_app
from interp_steer.cli.playground import playground_command
from interp_steer.cli.propensity import propensity_command
from interp_steer.cli.pushes import pushes_command
from interp_steer.cli.report import report_command
from interp_steer.cli.run import run_command
from interp_steer.cli.serve import serve_command
from interp_steer.cli.steer import steer_command
from interp_steer.cli.study import study_command
from interp_steer.cli.sweep import sweep_command
from interp_steer.errors import InterpSteerError

STOPPED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Steer a language model and understand what you did: which layer, how strongly, does it really work, and could "
        "you have known without the sweep?\n\n"
        "Start with `interp-steer run refusal --model smollm2-135m`. Results go to stdout, progress to stderr."
    ),
)
app.command("run")(run_command)
app.add_typer(pairs_app, name="pairs")
app.command("extract")(extract_command)
app.command("fit")(fit_command)
app.command("steer")(steer_command)
app.command("propensity")(propensity_command)
app.command("pushes")(pushes_command)
app.command("calibrate")(calibrate_command)
app.command("combine")(combine_command)
app.command("sweep")(sweep_command)
app.add_typer(heads_app, name="heads")
app.command("judge")(judge_command)
app.command("agreement")(agreement_command)
app.command("audit")(audit_command)
app.command("analyze")(analyze_command)
app.command("report")(report_command)
app.command("study")(study_command)
app.command("serve")(serve_command)
app.command("playground")(playground_command)
app.command("doctor")(doctor_command)


def main() -> None:
    """Run the command line; expected failures become one line on stderr."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.stderr.isatty():  # the loading bars of other libraries, line upon line in a log
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        app()
    except InterpSteerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
    except SystemExit as finished:
        if finished.code == STOPPED:
            sys.stderr.write("stopped; what was written stays: run the same command again to continue\n")
        raise
