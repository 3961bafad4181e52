"""Numbers and names as people read them."""

from collections.abc import Sequence

from interp_steer.findings import Value
from interp_steer.records import Cell
from interp_steer.stats import Interval

# What a page should not pass on as it is: control characters (terminal escapes among them), and the
# marks that turn the direction of the text around them.
_HIDDEN = (
    *range(9),
    *range(11, 32),
    *range(0x7F, 0xA0),
    0x061C,
    0x200E,
    0x200F,
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0xFEFF,
    *range(0xE0000, 0xE0080),  # tags: letters that no screen shows
)
_VISIBLE = {code: f"⟨U+{code:04X}⟩" for code in _HIDDEN}


def visible(text: str) -> str:
    """Return model text with control and text-direction characters made visible, and encodable as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n").translate(_VISIBLE)


def number(value: Value, digits: int = 2) -> str:
    """Return a value as it stands in a table; a dash where it is undefined."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, int):
        return f"{value:,}".replace("-", "−")
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        return f"{value:.{digits}g}".replace("-", "−")
    text = f"{value:,.{digits if abs(value) < 100 else 0}f}"
    return (text.lstrip("-") if float(text.replace(",", "")) == 0 else text).replace("-", "−")


def fixed(value: float | None) -> str:
    """Return a score or a difference of scores with two decimals."""
    if value is None:
        return "undefined"
    text = f"{value:.2f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "−")


def interval(value: Interval | None) -> str:
    """Return ``0.71 [0.55, 0.86]``; ``0.00 [all alike]`` where no prompt differs and there is nothing to resample."""
    if value is None:
        return "undefined"
    if value.low == value.high:
        return f"{fixed(value.mean)} [{'all alike' if value.n > 1 else 'one prompt'}]"
    return f"{fixed(value.mean)} [{fixed(value.low)}, {fixed(value.high)}]"


def alpha(value: float) -> str:
    """Return an alpha without trailing zeros."""
    return f"{value:g}".replace("-", "−")


SCOPES = {
    "response": "the answer, from the last token of the prompt on",
    "all": "every token of prompt and answer but the first",
    "generated": "the tokens that were generated",
}
"""What a scope steers, in words."""


def place(cell: Cell, unit: str = "") -> str:
    """Return ``layer 14 at alpha 0.3``, with the unit of the alpha behind it, as in ``layer 14 at alpha 19°``."""
    layers = "+".join(str(layer) for layer in (cell.layer, *cell.more_layers))
    return f"{'layers' if cell.more_layers else 'layer'} {layers} at alpha {alpha(cell.alpha)}{unit}"


def cell_name(cell: Cell, unit: str = "") -> str:
    """Return a cell in words, e.g. ``random direction, layer 14 at alpha 0.3``."""
    if cell.layer is None:
        return {"unsteered": "unsteered", "prompted": "asked in the system prompt"}.get(cell.control, cell.control)
    control = {
        "steered": "",
        "random": "random direction, ",
        "sign_flipped": "sign-flipped pairs, ",
        "pca": "PCA, ",
        "pca_centered": "centered PCA, ",
    }
    return control.get(cell.control, f"{cell.control}, ") + place(cell, unit)


def ranges(values: Sequence[int]) -> str:
    """Return ``3, 7–9 and 12`` for a set of layers."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def count(n: int, noun: str) -> str:
    """Return ``1 prompt``, ``24 prompts``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def capital(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
