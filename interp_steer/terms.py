"""The closed vocabularies: what a scope, a method, a control may be. Nothing is imported here."""

from typing import Literal, get_args

Split = Literal["train", "dev", "test"]
Control = Literal["steered", "unsteered", "prompted", "random", "sign_flipped", "pca", "pca_centered"]
Scope = Literal["response", "all", "generated"]
ReadPosition = Literal["mean_response", "last_response", "first_k", "last_prompt"]
Operation = Literal["add", "add_norm_preserving", "ablate", "project", "project_at_least", "rotate", "reach"]
Strategy = Literal["full", "halving"]
Finish = Literal["eos", "length", "loop"]
Method = Literal["mean_difference", "pca", "pca_centered"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
READ_POSITIONS: tuple[ReadPosition, ...] = get_args(ReadPosition)
METHODS: tuple[Method, ...] = get_args(Method)
