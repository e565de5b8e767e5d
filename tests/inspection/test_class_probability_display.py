import numpy as np
import pytest

from sklearn_memorability.inspection import ClassProbabilityDisplay, class_proba
from sklearn_memorability.pipelines import mlp_regressor

PROBA = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
EDGES = [0, 0.6, 0.8, 1.0]


def _draw(**options):
    return ClassProbabilityDisplay(PROBA, EDGES, **options).plot()


def _marks(display):
    return {marks.get_label(): marks.get_offsets() for marks in display.ax_.collections[2:]}


def test_bars_are_as_high_as_the_classes_are_probable():
    display = _draw()
    heights = [[-bar.get_height() for bar in bars] for bars in display.bars_]
    np.testing.assert_allclose(np.divide(heights, heights[0][2]), PROBA / 0.7)
    assert all(bars[k].get_x() + 0.45 == k + 0.5 for bars in display.bars_ for k in range(3))
    written = [text.get_text() for text in display.ax_.texts]
    assert written == ["0.10", "0.20", "0.70", "0.50", "0.30", "0.20"]
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["0", "0.6", "0.8", "1"]
    assert display.ax_.get_xticks().tolist() == [0, 1, 2, 3]
    own = ClassProbabilityDisplay(PROBA, [-1, 0, 0.505, 1]).plot()
    labels = [label.get_text() for label in own.ax_.get_xticklabels()]
    assert labels == ["-1", "0", "0.505", "1"]


def test_scores_are_marked_where_they_lie_between_the_limits():
    # .3 is half of the first class, .75 three quarters of the second, .9 half of the third.
    display = _draw(y_pred=[0.3, 0.9], y_true=[0.75, 0.6])
    marks = _marks(display)
    np.testing.assert_allclose(marks["predicted score"][:, 0], [0.5, 2.5])
    np.testing.assert_allclose(marks["true score"][:, 0], [1.75, 1.0])
    # In their image's row, the first of which is the uppermost.
    assert [int(y) for y in marks["predicted score"][:, 1]] == [0, 1]
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["predicted 0.300\ntrue 0.750", "predicted 0.900\ntrue 0.600"]
    assert {text.get_text() for text in display.legend_.get_texts()} == set(marks)


def test_images_stand_beside_their_own_rows():
    images = [np.full((30, 60), shade, np.uint8) for shade in (50, 200)]
    display = _draw(images=images, names=["dark", "light"])
    figure = display.figure_
    figure.canvas.draw()
    assert [ax.images[0].get_array()[0, 0, 0] for ax in display.thumbnails_] == [50, 200]
    for i, thumbnail in enumerate(display.thumbnails_):
        place = thumbnail.get_window_extent()
        left, middle = display.ax_.transData.transform((0, i + 0.5))
        assert (place.y0 + place.y1) / 2 == pytest.approx(middle, abs=1)
        assert place.x1 < left
    assert display.legend_ is None


def test_a_models_classes_are_drawn(scores):
    X, y = scores
    model = mlp_regressor(branch_sizes=(8,), hidden_layer_sizes=(8,), max_epochs=2, random_state=0)
    display = ClassProbabilityDisplay.from_estimator(model.fit(X, y), X[:2], y[:2])
    np.testing.assert_array_equal(display.proba, class_proba(model, X[:2]))
    np.testing.assert_array_equal(display.edges, [0, *model[-1].thresholds_])
    np.testing.assert_array_equal(display.y_pred, model.predict(X[:2]))
