"""A name, a Hugging Face id or a folder to a :class:`~interp_steer.model.protocol.Model`."""

import importlib.metadata
import importlib.util
import logging
from pathlib import Path
from typing import Any

import psutil
import torch

from interp_steer.errors import ModelError
from interp_steer.model.presets import PRESETS, Preset
from interp_steer.model.protocol import Model

logger = logging.getLogger(__name__)


def load_model(
    name: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    device_map: str | None = None,
    revision: str | None = None,
) -> Model:
    """Load a model by preset name, Hugging Face id, or folder.

    Attention runs through SDPA and the language-model half of a multimodal checkpoint is loaded alone.

    Args:
        name: A preset (``smollm2-135m``, ``qwen3.5-9b``), an id such as ``Qwen/Qwen3-0.6B``, or a folder.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; by default CUDA if there is any.
        dtype: ``float32``, ``bfloat16`` or ``float16``; by default the preset's, else the checkpoint's own.
        device_map: ``auto`` spreads a large model over several devices.
        revision: Branch, tag or commit of the Hugging Face repository.

    Raises:
        ModelError: If the weights are not there, do not fit, or TransformerLens does not know the architecture.
    """
    preset = PRESETS.get(name)
    if device is not None and device_map is not None:
        raise ModelError("give either a device or a device map, not both")
    if preset is not None and preset.package is not None and revision is not None:
        raise ModelError(f"{name!r} ships in a Python package and has no revisions; leave the revision out")
    place = _device(device)
    torch_dtype = _dtype(dtype or (preset.dtype if preset else "auto"))
    options: dict[str, Any] = {"dtype": torch_dtype, "attn_implementation": "sdpa"}
    if device_map is not None:
        options["device_map"] = device_map
    if preset is not None and preset.package is not None:
        hf_model, tokenizer, found = _load_packaged(preset, options)
    else:
        hf_model, tokenizer, found = _load_pretrained(name, preset, place, revision, options)
    if device_map is None:
        hf_model = hf_model.to(place)
    return wrap_model(hf_model, tokenizer, name=name, revision=found)


def wrap_model(hf_model: Any, tokenizer: Any, *, name: str, revision: str = "local") -> Model:
    """Wrap a Hugging Face causal model that is already in memory.

    Raises:
        ModelError: If TransformerLens does not know its architecture.
    """
    from interp_steer.model.bridge import BridgeModel

    hf_model.eval()
    try:
        return BridgeModel(hf_model, tokenizer, name=name, revision=revision)
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(f"TransformerLens cannot bridge {type(hf_model).__name__} ({name!r}): {error}") from error


def _load_packaged(preset: Preset, options: dict[str, Any]) -> tuple[Any, Any, str]:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    spec = importlib.util.find_spec(preset.package or "")
    if spec is None or spec.origin is None:
        raise ModelError(
            f"{preset.name!r} ships in a Python package that is not installed; get it with '{preset.install}'"
        )
    folder = Path(spec.origin).parent
    weights = next(folder.glob("*.gguf"), None)
    if weights is None:
        raise ModelError(f"{folder} holds no .gguf file; reinstall it with '{preset.install}'")
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=weights.name)
    plain = GgufConfig(dequantize=True)  # not packed, as a kernel that happens to be there would like them
    hf_model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=weights.name, quantization_config=plain, **options
    )
    return hf_model, tokenizer, f"{preset.package}-{importlib.metadata.version(preset.package or '')}"


def _load_pretrained(
    name: str, preset: Preset | None, device: str, revision: str | None, options: dict[str, Any]
) -> tuple[Any, Any, str]:
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = preset.repository if preset else name
    if preset is not None and "device_map" not in options:
        _check_memory(preset, device)
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        load: Any = AutoModelForCausalLM.from_pretrained  # its stub forgets the loading report
        hf_model, loaded = load(
            source, config=config.get_text_config(), revision=revision, output_loading_info=True, **options
        )
    except (OSError, ValueError) as error:
        raise ModelError(_not_found(name, source, preset, error)) from error
    if missing := sorted(loaded["missing_keys"]):
        raise ModelError(
            f"{source!r} lacks {len(missing)} weights of {type(hf_model).__name__}, such as {missing[0]}, which would "
            "stay random; use a checkpoint of that architecture, or a newer transformers"
        )
    commit = getattr(config, "_commit_hash", None)
    return hf_model, tokenizer, str(commit or revision or "local")


def _not_found(name: str, source: str, preset: Preset | None, error: Exception) -> str:
    size = f" ({preset.gigabytes:g} GB in {preset.dtype})" if preset else ""
    packaged = next(preset.name for preset in PRESETS.values() if preset.package)
    reason = str(error).strip().splitlines()[0]
    return (
        f"cannot load {name!r}: the weights of {source!r}{size} are neither on this machine nor reachable "
        f"({reason}). Download them where there is a network, give a local folder, or use --model {packaged}, "
        "which runs anywhere"
    )


def _check_memory(preset: Preset, device: str) -> None:
    if device.startswith("cuda"):
        free = torch.cuda.mem_get_info(torch.device(device))[0] / 1e9
    else:
        free = psutil.virtual_memory().available / 1e9
    if free < preset.gigabytes:
        smallest = min(PRESETS.values(), key=lambda other: other.gigabytes)
        raise ModelError(
            f"{preset.name!r} needs {preset.gigabytes:g} GB for its weights in {preset.dtype}, but {device} has "
            f"{free:.1f} GB free; use a larger machine, --device-map auto over several devices, "
            f"or --model {smallest.name}"
        )


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise ModelError(f"device {name!r} is not known; expected cpu, cuda, cuda:1 or mps") from error
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(kind, True):
        raise ModelError(f"device {name!r} is not available to this installation of torch; use --device cpu")
    return name


def _dtype(name: str) -> Any:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "auto": "auto"}
    if name not in known:
        raise ModelError(f"dtype {name!r} is not known; expected one of {', '.join(known)}")
    return known[name]
