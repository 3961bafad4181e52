from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from interp_steer.activations.artifact import Activations, save_activations
from interp_steer.files import append_records
from interp_steer.records import ActivationCard, Cell, Generation, ModelCard, Verdict, text_sha256, to_json
from interp_steer.run import Run


def model_card(n_layers: int, d_model: int, layer_types: Sequence[str] = ()) -> ModelCard:
    return ModelCard(
        name="synthetic",
        revision="0",
        fingerprint="f" * 16,
        dtype="float32",
        n_layers=n_layers,
        d_model=d_model,
        layer_types=tuple(layer_types) or ("full_attention",) * n_layers,
        template="t",
    )


@pytest.fixture
def make_activations() -> Callable[..., Activations]:
    """Activations with a direction planted at the given strength in each layer, on top of topic and noise."""

    def make(
        strengths: Sequence[float],
        *,
        n: int = 16,
        d_model: int = 32,
        noise: float = 1.0,
        topic: float = 0.0,
        seed: int = 0,
        layer_types: Sequence[str] = (),
    ) -> Activations:
        rng = np.random.default_rng(seed)
        n_layers = len(strengths)
        planted = np.zeros(d_model)
        planted[0] = 1.0
        shape = (n_layers, n, d_model)
        shared = topic * rng.standard_normal(shape)
        half = np.asarray(strengths)[:, None, None] * planted / 2
        positive = (shared + half + noise * rng.standard_normal(shape)).astype(np.float32)
        negative = (shared - half + noise * rng.standard_normal(shape)).astype(np.float32)
        return Activations(
            positive=positive,
            negative=negative,
            positive_norms=np.linalg.norm(positive, axis=2),
            negative_norms=np.linalg.norm(negative, axis=2),
            positive_tokens=rng.integers(5, 20, n).astype(np.float32),
            negative_tokens=rng.integers(5, 20, n).astype(np.float32),
            card=ActivationCard(
                model=model_card(n_layers, d_model, layer_types),
                behavior="synthetic",
                pairs_sha256="0" * 64,
                read_position="mean_response",
            ),
        )

    return make


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[Activations], Run]:
    """A run directory that holds activations and the model's card, and nothing else."""

    def make(activations: Activations) -> Run:
        run = Run(tmp_path / "run")
        save_activations(activations, run.activations_path)
        run.update_manifest(model=to_json(activations.card.model))
        return run

    return make


@pytest.fixture
def add_sweep() -> Callable[..., None]:
    """Append judged completions with the given combined score of each cell, the same on every prompt but for jitter."""

    def add(
        run: Run,
        scores: Mapping[Cell, float | None],
        *,
        splits: Sequence[str] = ("dev", "test"),
        prompts: int = 8,
        jitter: float = 0.0,
    ) -> None:
        rng = np.random.default_rng(0)
        generations, verdicts = [], []
        for split in splits:
            for cell, score in scores.items():
                for prompt in range(prompts):
                    generation = Generation(
                        behavior="synthetic",
                        split=split,
                        prompt_id=f"{split}-{prompt}",
                        prompt="Say something.",
                        cell=cell,
                        sample=0,
                        text="something",
                        n_tokens=1,
                        finish="eos",
                    )
                    given = None if score is None else score + jitter * float(rng.uniform(-1, 1))
                    generations.append(generation)
                    verdicts.append(
                        Verdict(
                            generation=generation.key,
                            text_sha256=text_sha256(generation.text),
                            judge="local",
                            judge_digest="j",
                            behavior=given,
                            coherence=given,
                            combined=given,
                            reason=None if given is not None else "empty",
                        )
                    )
        append_records(run.generations_path, generations)
        append_records(run.verdicts_path, verdicts)

    return add
