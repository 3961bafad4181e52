import pytest

from interp_steer.records import Cell
from interp_steer.report.phrases import cell_name, count, fixed, interval, number, place, ranges, visible
from interp_steer.stats import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        ("a name", "a name"),
        (1234, "1,234"),
        (-3, "−3"),
        (0.714, "0.71"),
        (-0.5, "−0.50"),
        (-0.0, "0.00"),
        (0.0031, "0.0031"),
        (1234.5, "1,234"),
    ],
)
def test_a_number_reads_as_people_write_it(value, text):
    assert number(value) == text


def test_a_difference_that_rounds_to_zero_has_no_sign():
    assert fixed(-0.001) == "0.00"
    assert fixed(-0.006) == "−0.01"
    assert fixed(None) == "undefined"


def test_an_interval_shows_mean_and_ends():
    assert interval(Interval(mean=0.714, low=-0.05, high=0.86, n=24)) == "0.71 [−0.05, 0.86]"


def test_neighbors_join_into_ranges():
    assert ranges([14, 3, 7, 9, 8, 3]) == "3, 7–9 and 14"
    assert ranges([5]) == "5"
    assert ranges([]) == ""


def test_cells_and_counts_have_names():
    assert place(Cell(control="steered", layer=14, alpha=-0.3)) == "layer 14 at alpha −0.3"
    assert place(Cell(control="steered", layer=14, alpha=0.3, more_layers=(16,))) == "layers 14+16 at alpha 0.3"
    assert cell_name(Cell(control="random", layer=2, alpha=0.15)) == "random direction, layer 2 at alpha 0.15"
    assert cell_name(Cell(control="prompted")) == "asked in the system prompt"
    assert (count(1, "prompt"), count(2400, "cell")) == ("1 prompt", "2,400 cells")


def test_text_keeps_its_letters_and_loses_its_powers():
    assert visible("a\tb\r\nc é 漢 שלום") == "a\tb\nc é 漢 שלום"
    assert visible("\x1b[31m") == "⟨U+001B⟩[31m"
    assert visible("\u202eevil\u2069") == "⟨U+202E⟩evil⟨U+2069⟩"
    assert visible("\ud800").encode()  # a lone surrogate could not be written to the page
