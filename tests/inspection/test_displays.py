"""What all displays have in common."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

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
        lambda: ImageGridDisplay.from_sets({"a": images}),
        lambda: MapDisplay(GREY, GREY).plot(),
        lambda: ScoreDisplay.from_estimator(None, SCORES, SCORES),
        lambda: TableDisplay.from_table([{"set": "a"}]),
        lambda: TrainingCurveDisplay.from_estimator(None),
        lambda: write_report(None, images),
    ):
        with pytest.raises(ImportError, match=r"needs matplotlib.*sklearn-memorability\[plot\]"):
            draw()
