"""Run one analysis from the command line and print its tables: ``python -m analyses.magnitude runs/x``."""

import argparse
import sys
from collections.abc import Callable

from rich.console import Console

from interp_steer.console import print_result
from interp_steer.errors import InterpSteerError
from interp_steer.findings import AnalysisResult
from interp_steer.run import Run, open_run

WIDE = 240
"""Columns of a pipe or a file: no number is cut off there."""


def main(analysis: Callable[[Run], AnalysisResult]) -> None:
    """Run an analysis on the run directory named on the command line; exit 1 on an expected failure."""
    parser = argparse.ArgumentParser(prog=f"python -m analyses.{analysis.__name__}")
    parser.add_argument("run", help="a run directory, e.g. runs/refusal-smollm2-135m")
    try:
        result = analysis(open_run(parser.parse_args().run))
    except InterpSteerError as error:
        sys.exit(f"error: {error}")
    print_result(result, Console(width=None if sys.stdout.isatty() else WIDE))
