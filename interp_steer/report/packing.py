"""What the page's code reads: completions, tables with all their digits, colored tokens, and the libraries of figures.

It is compressed, because a large sweep writes more text than a page may weigh, and in base64, in which no text can end
the element it stands in.
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from interp_steer.report.content import Report, Sample, Sweep
from interp_steer.report.phrases import capital
from interp_steer.report.tokens import TokenView, safe_token

_LENGTHS = (None, 8000, 2000, 600, 200, 60)  # characters of a completion that are kept, until the page has room


def packed(report: Report, tables: Mapping[str, Any], room: int) -> str:
    """Return the data of a page.

    Args:
        report: The content.
        tables: The tables that can be downloaded, by name.
        room: Bytes that there are. Completions are shortened, and say so, until they fit.
    """
    text = ""
    for length in _LENGTHS:
        data = {
            "generations": _texts(report.sweep, length) if report.sweep else None,
            "projections": _tokens(report.tokens) if report.tokens else None,
            "tables": tables,
        }
        text = compressed(data)
        if len(text) <= room:
            break
    return text


def compressed(data: Mapping[str, Any]) -> str:
    """Return data as the page's code reads it.

    Raises:
        ValueError: If a number is NaN or infinite.
    """
    return compressed_text(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


@lru_cache(maxsize=4)  # the libraries are the same on every page
def compressed_text(text: str) -> str:
    """Return a text as the page's code unpacks it: gzip, in base64."""
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _texts(sweep: Sweep, length: int | None) -> dict[str, Any]:
    def row(sample: Sample) -> list[Any]:
        text = sample.text
        if length is not None and len(text) > length:
            text = f"{text[:length]} … ({len(text) - length:,} more characters are in generations.jsonl)"
        scores = (sample.behavior, sample.coherence, sample.combined)
        return [sample.prompt_id, text, *scores, sample.reason, sample.finish]

    return {
        "best": sweep.best.key,
        "prompts": dict(sweep.prompts),
        "cells": {
            item.cell.key: {
                "name": capital(item.name),
                "splits": {split: [row(sample) for sample in samples] for split, samples in item.splits},
            }
            for item in sweep.cells
        },
    }


def _tokens(view: TokenView) -> dict[str, Any]:
    return {
        "layers": view.layers,
        "bound": round(view.bound, 4),
        "texts": [
            {"tokens": [safe_token(token) for token in text.tokens], "cosines": text.cosines} for text in view.texts
        ],
        "promoted": [{"up": item.up, "down": item.down} for item in view.promoted],
    }
