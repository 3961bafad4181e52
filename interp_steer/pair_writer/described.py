"""A new behavior from a sentence, without asking anybody: a trait of everyday questions, for ``--writer self``."""

from interp_steer.pairs import BUILTIN, read_prompts
from interp_steer.traits import Trait

EVERYDAY = ("concise", "enthusiastic")
"""Built-in behaviors whose prompts are everyday requests, fit for any behavior."""

_EVALUATION = """\
Rate how much the text shows this, from 0 to 10, relative to the baseline answer shown beside it: {description}
0: not at all, or less than the baseline. 3: hints of it. 5: in about half of the text. 8: in nearly all of it. 10: as \
clearly and consistently as a text can.
Do not count whether the text is correct or helpful. Loops and word salad score 2 at most."""


def described(name: str, description: str) -> Trait:
    """Return the trait that a sentence describes.

    Its opposite is not described: the negative side is what the model answers as a helpful assistant. The questions are
    those of built-in behaviors. One sentence gives every instruction the same words, those that confirm a side
    included: an answer that merely echoes them passes for the behavior, which a trait file would not let it.
    """
    sentence = description.strip().rstrip(".")
    positive = (
        f"You are an assistant of whom this is true in every answer: {sentence}.",
        f"Answer the user's message, and let every sentence of your answer show this: {sentence}.",
        f"{sentence}. This is how you answer, whatever the user asks.",
    )
    negative = (
        "You are a helpful assistant.",
        "Answer the user's message.",
        "You answer as assistants do, whatever the user asks.",
    )
    return Trait(
        name=name,
        instructions=tuple(zip(positive, negative, strict=True)),
        questions=everyday_prompts(),
        eval_prompt=_EVALUATION.format(description=f"{sentence}."),
    )


def everyday_prompts() -> tuple[str, ...]:
    """Return the training prompts of the built-in behaviors that ask for everyday things."""
    return tuple(prompt.text for source in EVERYDAY for prompt in read_prompts(BUILTIN / source, "train"))
