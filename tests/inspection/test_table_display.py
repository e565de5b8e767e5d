import numpy as np
import pandas as pd

from sklearn_memorability.experiments import table3
from sklearn_memorability.inspection import TableDisplay

ROWS = [
    {
        "features": "CNN",
        "model": "SVR",
        "paper": 0.64,
        "spearman": 0.62,
        "interval_low": 0.6,
        "interval_high": 0.65,
    },
    {"features": "IC", "model": "SVR", "paper": 0.65, "spearman": None},
    {"features": "mine", "model": "mine", "spearman": 0.7, "standard_error": 0.02},
]


def _ours(display):
    """Return the figure, and the ends of its line, of each row."""
    ours = []
    for container in display.ax_.containers:
        points, _, bars = container.lines
        segments = [segment for bar in bars for segment in bar.get_segments()]
        if not segments:
            segments = [[(x, 0), (x, 0)] for x in points.get_xdata()]
        ours += [
            (x, (start[0], end[0]))
            for x, (start, end) in zip(points.get_xdata(), segments, strict=True)
        ]
    return ours


def _papers(display):
    return [line.get_xdata() for line in display.ax_.lines if line.get_label() == "paper"]


def test_our_figures_stand_beside_the_papers():
    display = TableDisplay.from_table(pd.DataFrame(ROWS))
    assert [list(values) for values in _papers(display)] == [[0.64, 0.65]]
    (first, ends), (third, error) = _ours(display)
    assert (first, third) == (0.62, 0.7)
    np.testing.assert_allclose([*ends, *error], [0.6, 0.65, 0.68, 0.72])
    assert display.names_ == ["CNN, SVR", "IC, SVR\nnot computed", "mine"]
    assert {text.get_text() for text in display.legend_.get_texts()} == {
        "paper",
        "here, with interval",
        "here, ± standard error",
    }


def test_rows_that_are_missing_are_listed_with_the_reason():
    table = table3(None, {"Flickr": "no key for Flickr's API"})
    display = TableDisplay.from_table(table)
    assert len(display.names_) == 5
    assert display.names_[1] == "Flickr\nmissing: no key for Flickr's API"
    assert display.names_[0] == "MediaEval\nnot given"
    assert _ours(display) == []
    assert len(_papers(display)[0]) == 5


def test_models_and_sets_make_a_heat_map():
    known = {"model": "A", "interval_low": 0.42, "interval_high": 0.58, "of_ceiling": 0.625}
    rows = [
        {**known, "set": "one", "spearman": 0.5, "status": "cv"},
        {"model": "A", "set": "two", "spearman": -0.25},
        {**known, "model": "B", "set": "one", "spearman": 0.9, "status": "fitted"},
    ]
    display = TableDisplay.from_table(pd.DataFrame(rows))
    # What was fitted has no colour, no interval and no share of the ceiling.
    np.testing.assert_allclose(display.ax_.images[0].get_array().filled(9), [[0.5, -0.25], [9, 9]])
    texts = [text.get_text() for text in display.ax_.texts]
    assert texts == ["0.50\n0.42 to 0.58\n62%\ncv", "-0.25", "0.90\nfitted"]
