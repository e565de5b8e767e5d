import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sklearn_memorability.images import ImageReadError
from sklearn_memorability.inspection import ImageGridDisplay

# Scores whose order is easy to see: 3, 1, 5 lead; 4, 0, 2 trail.
Y_TRUE = [0.2, 0.8, 0.3, 0.9, 0.1, 0.7]
Y_PRED = [0.50, 0.60, 0.45, 0.40, 0.35, 0.65]


@pytest.fixture
def six():
    """Six grey images; the shade tells the place."""
    return [np.full((6, 6), 40 * i, dtype=np.uint8) for i in range(6)]


def _texts(display):
    return [
        [tuple(text and text.get_text() for text in pair) for pair in row] for row in display.texts_
    ]


def _shades(display):
    return [
        [int(axes.images[0].get_array()[0, 0, 0]) // 40 for axes in row if axes.images]
        for row in display.axes_
    ]


def _names(display):
    return [row[0].get_title(loc="left") for row in display.axes_]


def _caption(display):
    (text,) = display.figure_.texts
    return text.get_text()


def test_the_most_and_the_least_memorable_are_drawn_with_both_scores(six):
    display = ImageGridDisplay.from_predictions(six, Y_TRUE, Y_PRED, n_images=2)
    assert _shades(display) == display.indices == [[3, 1], [4, 0]]
    assert _texts(display) == [
        [("0.90", "0.40"), ("0.80", "0.60")],
        [("0.10", "0.35"), ("0.20", "0.50")],
    ]
    assert _names(display) == ["Most memorable", "Least memorable"]
    assert " ".join(_caption(display).split()) == (
        "Top left: true score. Top right: predicted score"
    )


def test_predicted_scores_can_choose(six):
    display = ImageGridDisplay.from_predictions(six, Y_TRUE, Y_PRED, n_images=2, by="predicted")
    assert _shades(display) == [[5, 1], [4, 3]]
    assert _names(display) == ["Predicted most memorable", "Predicted least memorable"]


def test_one_kind_of_score_is_enough(six):
    true = ImageGridDisplay.from_predictions(six, Y_TRUE, n_images=1)
    assert _texts(true) == [[("0.90", None)], [("0.10", None)]]
    assert _caption(true) == "Top left: true score"
    # Of few images, none is drawn twice.
    few = ImageGridDisplay.from_predictions(six[:5], Y_TRUE[:5], n_images=6)
    assert few.indices == [[3, 1, 2], [4, 0]]
    assert [axes.axison for axes in few.axes_.flat] == [True] * 5 + [False]
    alone = ImageGridDisplay.from_predictions(six[:1], Y_TRUE[:1])
    assert (alone.indices, _names(alone)) == ([[0]], ["Most memorable"])
    predicted = ImageGridDisplay.from_predictions(six, y_pred=Y_PRED, n_images=1)
    assert _texts(predicted) == [[(None, "0.65")], [(None, "0.35")]]
    assert _caption(predicted) == "Top right: predicted score"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs y_true; give it, or y_pred"),
        ({"y_true": Y_TRUE[:5]}, "y_true has 5 scores for 6 images"),
        ({"y_true": [0.1, np.nan, 0.3, np.inf, 0, 0]}, "finite: nan in row 1, inf in row 3"),
        ({"y_true": Y_TRUE, "n_images": 0}, "n_images == 0, must be >= 1"),
        ({"y_true": Y_TRUE, "by": "score"}, "'true', 'predicted'.*'score'"),
        ({"y_true": Y_TRUE, "by": "predicted"}, "by='predicted'.* needs y_pred"),
        ({"y_true": Y_TRUE, "normalize": True}, "normalize=True needs y_pred"),
        ({"y_pred": Y_PRED, "by": "true"}, "by='true' needs y_true"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_no_figure(six, arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageGridDisplay.from_predictions(six, **arguments)
    assert plt.get_fignums() == []


def test_an_estimator_predicts_all_images_once(six):
    class Model:
        asked = 0

        def predict(self, X):
            self.asked += len(X)
            return np.array(Y_PRED)

    model, images = Model(), pd.Series(six)
    display = ImageGridDisplay.from_estimator(model, images, Y_TRUE, n_images=1, normalize=True)
    assert model.asked == 6
    # Scaled over all predictions: (.40 - .35) / .30
    assert _texts(display) == [[("0.90", "0.17")], [("0.10", "0.00")]]
    alone = ImageGridDisplay.from_estimator(model, six, n_images=1)
    assert _texts(alone) == [[(None, "0.65")], [(None, "0.35")]]


def test_only_the_images_drawn_are_read(six, tmp_path):
    images = [tmp_path / f"{i}.png" for i in range(6)]
    for i in (3, 4):
        Image.fromarray(six[i]).save(images[i])
    display = ImageGridDisplay.from_predictions(images, Y_TRUE, n_images=1)
    assert _shades(display) == [[3], [4]]
    plt.close("all")
    with pytest.raises(ImageReadError, match=r"row 1, .*1\.png.*does not exist"):
        ImageGridDisplay.from_predictions(images, Y_TRUE, n_images=2)
    assert plt.get_fignums() == []


def test_images_of_every_form_and_shape_are_shown_whole_and_small():
    wide, tall = Image.new("RGB", (4000, 1000), "red"), Image.new("RGB", (1, 3000), "blue")
    display = ImageGridDisplay([[wide, tall, np.zeros((2, 2))]]).plot()
    shown = [axes.images[0] for axes in display.axes_[0]]
    # Rows and columns of pixels, then left, right, bottom, top within a square.
    assert [image.get_array().shape[:2] for image in shown] == [(100, 400), (400, 1), (2, 2)]
    assert shown[0].get_extent() == pytest.approx([0, 1, 3 / 8, 5 / 8])


@pytest.mark.parametrize("figsize", [(4, 9), (9, 4), (2, 2)])
def test_nothing_overlaps_or_leaves_the_figure_given(six, figsize):
    name = "A set of images whose name is so long that it has to be written in two lines"
    figure = plt.figure(figsize=figsize)
    display = ImageGridDisplay(
        [six[:3], six[:2]], y_true=[Y_TRUE[:3], None], row_names=[name, "Short"]
    ).plot(fig=figure)
    assert display.figure_ is figure
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    titles = [row[0]._left_title for row in display.axes_]
    boxes = [
        part.get_window_extent(renderer) for part in (*display.axes_.flat, *titles, *figure.texts)
    ]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:i])
    squares = [axes.get_window_extent(renderer) for axes in display.axes_.flat]
    assert all(square.width == pytest.approx(square.height) for square in squares)
