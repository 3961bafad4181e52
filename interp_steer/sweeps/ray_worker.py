"""What runs on the nodes of a Ray cluster; Ray itself is not needed to import it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

import torch

from interp_steer.model.load import load_model
from interp_steer.records import ModelCard
from interp_steer.steering.rows import DecodeSettings
from interp_steer.sweeps.answers import Answer, LocalEngine, Request


class RayWorker:
    """The local engine, around a model that is loaded once."""

    def load(
        self, name: str, options: Mapping[str, str | None], batch_size: int | None, threads: int, folder: str
    ) -> ModelCard:
        """Load the model; not the constructor, whose errors come back as text."""
        with suppress(OSError):  # so that the name may be a relative path; the cluster may not have the folder
            os.chdir(folder)
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", threads)))
        self._engine = LocalEngine(load_model(name, **options), batch_size=batch_size)
        return self._engine.card

    def answers(self, requests: Sequence[Request], settings: DecodeSettings) -> Iterator[list[tuple[int, Answer]]]:
        """Yield answers as they are ready."""
        yield from self._engine.answers(requests, settings)
