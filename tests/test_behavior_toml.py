import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_steer.behavior_toml import behavior_toml
from interp_steer.behaviors import Behavior, Checks, Coherence, Gate, Rubric, ScorerSpec
from interp_steer.pairs import list_behaviors, read_behavior

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ['"""', '\\"""\n', "\n", "a\r\nb\n", "\x7f\x00", "'''", "# no", "[x]", "back\\", "trailing \\\n  space"]
)
OPTIONS = st.dictionaries(
    TEXT,
    TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.lists(TEXT | st.integers(0, 9), max_size=3)
    | st.dictionaries(TEXT, st.floats(-9, 9), max_size=3),
    max_size=3,
).filter(lambda options: "name" not in options)


@pytest.fixture
def reread(tmp_path):
    """Function that writes a behavior and reads it back."""

    def there_and_back(behavior):
        (tmp_path / "behavior.toml").write_text(behavior_toml(behavior), encoding="utf-8", newline="")
        return read_behavior(tmp_path)

    return there_and_back


@pytest.mark.parametrize("name", list_behaviors())
def test_the_built_in_behaviors_come_back(name, reread):
    behavior = read_behavior(name)
    assert reread(behavior) == behavior


@settings(max_examples=150, deadline=None)
@given(text=TEXT, texts=st.lists(TEXT, max_size=3), options=OPTIONS)
def test_any_text_comes_back(tmp_path_factory, text, texts, options):
    behavior = Behavior(
        name=text,
        description=text,
        positive=text,
        negative=text,
        system_prompt=text,
        scorer=ScorerSpec(name=text, options=options),
        rubric=Rubric(version=3, text=text),
        gate=Gate(prompt=text, high=tuple(texts), low=(text,), gibberish=()),
        coherence=Coherence(reference="prompted"),
        checks=Checks(allow=("length_imbalance",)),
        notes=text,
    )
    folder = tmp_path_factory.mktemp("toml")
    (folder / "behavior.toml").write_text(behavior_toml(behavior), encoding="utf-8", newline="")
    assert read_behavior(folder) == behavior


def test_texts_of_several_lines_are_readable():
    behavior = read_behavior("refusal")
    text = behavior_toml(behavior)
    assert behavior.rubric.text.splitlines()[2] in text.splitlines()
    assert list(tomllib.loads(text)) == [
        "name", "description", "positive", "negative", "system_prompt", "notes", "scorer", "rubric", "gate",
        "coherence", "checks",
    ]  # fmt: skip
