"""What all displays have in common."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_memorability.images import ImageReadError
from sklearn_memorability.inspection import (
    ClassProbabilityDisplay,
    ImageGridDisplay,
    MapDisplay,
    ScoreDisplay,
    TableDisplay,
    TrainingCurveDisplay,
    write_report,
)

LONG = "a_name_of_$one$_word_and then some more words, $ and _underscores_, and more of them.jpg"
RNG = np.random.default_rng(0)
SCORES = RNG.uniform(size=1500)
EPOCHS = [{"train_loss": 1.4, "valid_spearman": 0.2}, {"train_loss": 1.2, "valid_spearman": 0.4}]
GREY = np.full((400, 100), 128, dtype=np.uint8)
PROBA = np.full((2, 4), 0.25)

DISPLAYS = {
    "classes": lambda: ClassProbabilityDisplay(
        PROBA,
        np.linspace(0.1, 0.9, 5),
        y_pred=[0.8] * 2,
        y_true=[0.1] * 2,
        images=[GREY] * 2,
        names=[LONG] * 2,
    ),
    "map": lambda: MapDisplay(GREY, RNG.normal(size=(400, 100)), score=0.7, name=LONG),
    "points": lambda: ScoreDisplay(SCORES[:60], SCORES[:60] / 2, name=LONG, ceiling=0.8),
    "hexagons": lambda: ScoreDisplay(SCORES, SCORES / 2, name=LONG, interval=(0.1, 0.2)),
    "table": lambda: TableDisplay(
        [{"set": LONG, "spearman": 0.1, "standard_error": 0.1}, {"set": "b", "status": LONG}],
        title=LONG,
    ),
    "matrix": lambda: TableDisplay(
        [{"model": f"{i} {LONG}", "set": LONG, "spearman": 0.1} for i in range(3)], title=LONG
    ),
    "training": lambda: TrainingCurveDisplay({LONG: EPOCHS}),
    "trainings": lambda: TrainingCurveDisplay({f"{i} {LONG}": EPOCHS for i in range(20)}),
}


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("name", DISPLAYS)
def test_nothing_is_cut_off(name, style):
    with plt.style.context(style):
        display = DISPLAYS[name]()
        assert display.plot() is display
        figure = display.figure_
        figure.canvas.draw()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert max(0, -drawn.x0, -drawn.y0, drawn.x1 - width, drawn.y1 - height) < 0.02


@pytest.mark.parametrize("name", DISPLAYS)
def test_axes_can_be_given(name):
    figure, (ax, _) = plt.subplots(1, 2)
    display = DISPLAYS[name]().plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]


def test_without_matplotlib_the_extra_is_named_before_anything_is_predicted(no_matplotlib):
    images = [GREY]
    for draw in (
        lambda: ClassProbabilityDisplay.from_estimator(None, PROBA),
        lambda: ImageGridDisplay.from_estimator(None, images),
        lambda: MapDisplay(GREY, GREY).plot(),
        lambda: ScoreDisplay.from_estimator(None, SCORES, SCORES),
        lambda: TableDisplay.from_table([{"set": "a"}]),
        lambda: TrainingCurveDisplay.from_estimator(None),
        lambda: write_report(None, images),
    ):
        with pytest.raises(ImportError, match=r"needs .*'sklearn-memorability\[plot\]'"):
            draw()


CLASSES = {"proba": PROBA, "edges": [0, 0.25, 0.5, 0.75, 1]}
Y = [0.2, 0.8, 0.3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y_pred": [0.1]}, "y_pred has 1 scores for 2"),
        ({"images": [GREY]}, "images has 1 entries for 2 rows"),
        ({"images": [GREY, "missing.png"]}, r"row 1, 'missing\.png'"),
        ({"edges": [0, 0.5, 1]}, "4 classes have 5 limits.*got 3"),
        ({"proba": PROBA[0]}, r"shape \(4,\)"),
        ({"proba": PROBA[:0]}, r"shape \(0, 4\)"),
        ({"proba": [[1.5, -0.5, 0, 0]]}, "row 0"),
    ],
)
def test_probabilities_that_are_none_are_named(options, message):
    with pytest.raises((ValueError, ImageReadError), match=message):
        ClassProbabilityDisplay(**CLASSES | options).plot()
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: MapDisplay(GREY, np.zeros((40, 30))).plot(), r"\(40, 30\); the image has 400"),
        (lambda: MapDisplay(GREY, np.full((400, 100), np.nan)).plot(), "values must be finite"),
        (lambda: MapDisplay(GREY, GREY * 0.0).plot(vmax=0), "vmax=0 must be above zero"),
        (lambda: ScoreDisplay.from_predictions(Y, Y[:2]), "inconsistent numbers of samples"),
        (lambda: ScoreDisplay.from_predictions([0, np.nan], [0, 1]), "y_true.*nan in row 1"),
        (lambda: ScoreDisplay.from_predictions([0, 1], [0, np.inf]), "y_pred.*inf in row 1"),
        (lambda: ScoreDisplay.from_predictions(Y, Y, n_resamples=-1), "n_resamples"),
        (lambda: TableDisplay.from_table([]), "nothing to draw"),
        (lambda: TableDisplay.from_table([{"paper": 0.5}]), "Row 0 has no name.*'paper'"),
        (lambda: TableDisplay.from_table("table.csv"), "a ResultTable.* DataFrame, got a str"),
        (lambda: TrainingCurveDisplay({"mine": []}).plot(), "no epoch to draw of 'mine'"),
        (
            lambda: TrainingCurveDisplay({"mine": EPOCHS}, score="valid_r2").plot(),
            "'valid_r2' is in no epoch; there are.*valid_spearman",
        ),
        (lambda: ImageGridDisplay([]).plot(), "no image to draw"),
        (lambda: ImageGridDisplay([[GREY]], y_true=[[1], [2]]).plot(), "y_true has 2 rows"),
        (lambda: ImageGridDisplay([[GREY]], row_names=["A", "B"]).plot(), "row_names has 2 rows"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_no_figure(draw, message):
    with pytest.raises((ValueError, TypeError), match=message):
        draw()
    assert plt.get_fignums() == []
