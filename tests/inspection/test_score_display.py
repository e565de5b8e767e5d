import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from scipy.stats import spearmanr

from sklearn_memorability.inspection import ScoreDisplay

Y_TRUE = np.array([0.2, 0.8, 0.3, 0.9, 0.1, 0.7])
Y_PRED = np.array([0.50, 0.60, 0.45, 0.40, 0.35, 0.65])


def _title(display):
    return display.ax_.get_title(loc="left").replace("\n", " ")


def test_what_is_written_is_what_others_compute():
    display = ScoreDisplay.from_predictions(
        Y_TRUE, Y_PRED, ceiling=0.83, consistency=0.68, random_state=0
    )
    assert display.spearman_ == pytest.approx(spearmanr(Y_TRUE, Y_PRED).statistic)
    # Differences: .30, -.20, .15, -.50, .25, -.05
    assert display.bias_ == pytest.approx(-0.05 / 6)
    assert display.mse_ == pytest.approx((0.09 + 0.04 + 0.0225 + 0.25 + 0.0625 + 0.0025) / 6)
    low, high = display.interval
    assert low <= display.spearman_ <= high
    for text in ("95% interval", "human consistency 0.68", "human ceiling 0.83", "n = 6"):
        assert text in _title(display)
    assert "bias -0.008" in _title(display)


def test_many_images_are_drawn_by_their_density():
    true = np.random.default_rng(0).uniform(size=10_000)
    display = ScoreDisplay.from_predictions(true, true**2, n_resamples=2)
    assert isinstance(display.points_, PolyCollection)
    assert display.points_.get_array().sum() == 10_000
    assert display.colorbar_ is not None
    points = ScoreDisplay.from_predictions(true[:1000], true[:1000] ** 2, n_resamples=0)
    assert isinstance(points.points_, PathCollection)
    assert points.colorbar_ is None
    # A single image has no correlation, and is drawn.
    display = ScoreDisplay.from_predictions([0.7], [0.7])
    assert np.isnan(display.spearman_)
    assert display.interval is None
    assert "Spearman not defined" in _title(display)


def test_a_model_predicts_once():
    class Model:
        asked = 0

        def predict(self, X):
            self.asked += 1
            return X / 2

    model = Model()
    display = ScoreDisplay.from_estimator(model, Y_TRUE, Y_TRUE, n_resamples=0)
    assert model.asked == 1
    # Predicted scores go to the right and true ones up.
    offsets = np.column_stack([Y_TRUE / 2, Y_TRUE])
    np.testing.assert_allclose(display.points_.get_offsets(), offsets)
    assert display.ax_.get_xlim() == display.ax_.get_ylim()
    assert display.interval is None
    assert "interval" not in _title(display)
