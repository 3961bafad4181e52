"""The nouns that are written to disk. Frozen, keyword-only, JSON-able, no torch."""

import functools
import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter

from interp_steer.terms import Control, Finish, Method, ReadPosition


def digest(value: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of the canonical JSON of ``value``."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What identifies a model: enough to refuse an artifact that belongs to another one.

    Attributes:
        name: Preset name, Hugging Face id, or folder.
        revision: Commit of the weights, or the version of the package that ships them.
        fingerprint: Hash over a fixed sample of every weight, rounded to bfloat16, so that the
            same checkpoint has one fingerprint in every dtype.
        dtype: Dtype the model runs in.
        n_layers: Number of blocks L; layers are 0 to L-1.
        d_model: Width of the residual stream.
        layer_types: Kind of each block, e.g. ``full_attention`` or ``linear_attention``.
        template: Hash of tokenizer and chat template.
    """

    name: str
    revision: str
    fingerprint: str
    dtype: str
    n_layers: int
    d_model: int
    layer_types: tuple[str, ...]
    template: str


@dataclass(frozen=True, kw_only=True)
class ActivationCard:
    """Where a set of pooled activations comes from."""

    model: ModelCard
    behavior: str
    pairs_sha256: str
    read_position: ReadPosition
    first_k: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class VectorCard:
    """Where a set of steering vectors comes from."""

    activations: ActivationCard
    method: Method
    n_pairs: int
    sign_convention: str = "from negative to positive"


@dataclass(frozen=True, kw_only=True, order=True)
class Cell:
    """One point of the sweep: where, how strongly, and along which direction.

    ``layer`` is None where nothing is added to the residual stream (``unsteered``, ``prompted``);
    ``more_layers`` are steered beside it, at the same alpha.
    """

    control: Control
    layer: int | None = None
    alpha: float = 0.0
    more_layers: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """A readable identity, e.g. ``steered@14:+0.3``."""
        if self.layer is None:
            return self.control
        layers = "+".join(str(layer) for layer in (self.layer, *self.more_layers))
        return f"{self.control}@{layers}:{self.alpha:+g}"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One completion with its record.

    Attributes:
        behavior: Behavior whose vectors were used.
        split: Split the prompt is from.
        prompt_id: Identity of the prompt within the behavior.
        prompt: What the user asks.
        cell: The point of the sweep.
        sample: Index of the random sample; 0 for greedy decoding.
        text: The completion, special tokens removed.
        n_tokens: Generated tokens, the end-of-turn token included.
        finish: ``eos``, ``length``, or ``loop`` where the text repeated itself without end.
        nll: Mean negative log-likelihood (nats per token) of the completion under the unsteered
            model given the plain prompt; None for an empty completion.
        nll_prompted: The same given the system prompt that asks for the behavior.
    """

    behavior: str
    split: str
    prompt_id: str
    prompt: str
    cell: Cell
    sample: int
    text: str
    n_tokens: int
    finish: Finish
    nll: float | None = None
    nll_prompted: float | None = None

    @property
    def key(self) -> str:
        """Identity of the row within a run; one key is generated once."""
        return generation_key(self.prompt_id, self.cell, self.sample)


def generation_key(prompt_id: str, cell: Cell, sample: int) -> str:
    """Return the identity of one generation within a run, e.g. ``test-3/steered@14:+0.3/0``."""
    return f"{prompt_id}/{cell.key}/{sample}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The scores of one generation by one judge, in [0, 1], or None with a reason.

    Attributes:
        generation: Key of the generation.
        text_sha256: Digest of the text that was judged.
        judge: Name of the judge: ``local``, ``human``, or the language model, e.g. ``claude-haiku-4-5``.
        judge_digest: Digest of everything that decides its scores (rubric, version, thresholds).
        behavior: How much the behavior is shown.
        coherence: How much the text still makes sense.
        combined: Harmonic mean of the scores the judge gives: of these two, or of three with ``instruction``.
        instruction: How much the text is a response to its prompt; None for judges that do not say.
        reason: Why a score is None.
        measures: The raw measurements behind the scores; of a language model, its scores of 0 to 10.
        explanation: The judge's own sentence, if it gives one.
        question: Digest of all that was asked (judge, prompt, baseline, text); empty for judges that ask nothing.
        rubric_version: Version of the behavior's rubric, where one was used.
        shown: Where the judged text stood beside its baseline, where it did.
    """

    generation: str
    text_sha256: str
    judge: str
    judge_digest: str
    behavior: float | None
    coherence: float | None
    combined: float | None
    instruction: float | None = None
    reason: str | None = None
    measures: Mapping[str, float | None] = field(default_factory=dict)
    explanation: str = ""
    question: str = ""
    rubric_version: int | None = None
    shown: Literal["first", "second"] | None = None


Record = TypeVar("Record")


@functools.cache
def _adapter(kind: type[Any]) -> TypeAdapter:
    return TypeAdapter(kind)


def to_json(record: Any) -> dict[str, Any]:
    """Return a record as a JSON-able dictionary (tuples become lists)."""
    return cast(dict[str, Any], _adapter(cast(Hashable, type(record))).dump_python(record, mode="json"))


def from_json(kind: type[Record], data: Any) -> Record:
    """Rebuild a record of type ``kind``, nested records and tuples included.

    Raises:
        pydantic.ValidationError: If a field is missing, unknown or of another type; it names the field.
    """
    return cast(Record, _adapter(cast(Hashable, kind)).validate_python(data))
