"""What every peer's process does (see peers.py): one line of JSON for every line it reads. Needs nothing installed."""

import json
import sys
import time


def serve(versions, do):
    """Say which versions these are, then do whatever each line asks for, and say how many seconds that took.

    Args:
        versions: What ran, by name.
        do: From what is asked to what is found.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    _write(answers, {"versions": versions})
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.perf_counter()
        found = do(asked)
        _write(answers, {"seconds": time.perf_counter() - started, "found": found})


def _write(answers, what):
    print(json.dumps(what), file=answers, flush=True)
