import plotly.graph_objects as go

from interp_steer.findings import Mark
from interp_steer.report.marks import draw_marks


def drawn(*marks):
    figure = go.Figure(layout={"height": 380})
    draw_marks(figure, [Mark(x=x, label=label) for x, label in marks], [float(x) for x in range(30)])
    return figure.layout


def test_labels_of_close_marks_stand_in_rows():
    assert [note.yshift for note in drawn((12.0, "one"), (17.0, "two")).annotations] == [2, 2]
    assert [note.yshift for note in drawn((14.0, "one"), (14.5, "two")).annotations] == [2, 18]


def test_rows_of_labels_take_nothing_from_the_plot():
    heights = {layout.height - layout.margin.t for layout in (drawn((14.0, "a")), drawn((14.0, "a"), (14.1, "b")))}
    assert heights == {380 - 12}


def test_labels_at_the_ends_read_inwards():
    notes = drawn((0.0, "first"), (14.0, "middle"), (29.0, "last")).annotations
    assert [note.xanchor for note in notes] == ["left", "center", "right"]


def test_without_marks_nothing_is_drawn():
    layout = drawn()
    assert (layout.annotations, layout.shapes, layout.height) == ((), (), 380)
