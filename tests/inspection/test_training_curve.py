import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import RandomizedSearchCV

from sklearn_memorability.inspection import TrainingCurveDisplay
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor

EPOCHS = [
    {"epoch": 1, "train_loss": 1.4, "valid_spearman": 0.2, "dur": 0.1},
    {"epoch": 2, "train_loss": 1.2, "valid_spearman": 0.4, "dur": 0.1},
    {"epoch": 3, "train_loss": 1.1, "valid_spearman": 0.4, "dur": 0.1},
]


def _model(**params):
    sizes = {"branch_sizes": (8,), "hidden_layer_sizes": (8,)}
    return mlp_regressor(**sizes, max_epochs=3, random_state=0, **params)


def _legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_each_figure_has_a_curve_and_the_best_epoch_a_mark():
    display = TrainingCurveDisplay({"mine": EPOCHS}).plot()
    loss, score = display.lines_
    assert loss.get_xydata().tolist() == [[1, 1.4], [2, 1.2], [3, 1.1]]
    assert score.get_xydata().tolist() == [[1, 0.2], [2, 0.4], [3, 0.4]]
    assert loss.axes is display.ax_
    assert score.axes is display.score_ax_
    # The first of two that are as good, whose weights early stopping keeps.
    assert display.best_epochs_ == {"mine": 2}
    assert display.score_ax_.lines[-1].get_xydata().tolist() == [[2, 0.4]]
    assert _legend(display) == ["training loss", "validation Spearman", "best epoch (2)"]


def test_a_model_is_read_through_every_wrapping(scores):
    search = RandomizedSearchCV(
        _model(early_stopping=True), {"model__n_classes": [3]}, n_iter=1, cv=2, scoring="r2"
    )
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(search)
    search.fit(*scores)
    head = search.best_estimator_[-1]
    for model in (search, FrozenEstimator(search), search.best_estimator_, head):
        display = TrainingCurveDisplay.from_estimator(model)
        np.testing.assert_array_equal(display.lines_[0].get_ydata(), head.history_[:, "train_loss"])
        best = int(np.argmax(head.history_[:, "valid_spearman"])) + 1
        assert list(display.best_epochs_.values()) == [best]


def test_several_models_are_drawn_together(scores):
    X, y = scores
    models = [_model(early_stopping=True).fit(X, y), _model().fit(X[:80], y[:80])]
    display = TrainingCurveDisplay.from_estimator(models)
    assert len(display.lines_) == 3
    assert list(display.best_epochs_) == ["1"]
    assert _legend(display)[-2:] == ["1", "2"]
    named = TrainingCurveDisplay.from_estimator(dict(zip("ab", models, strict=True)))
    assert _legend(named)[-2:] == ["a", "b"]
    with pytest.raises(TypeError, match="Pipeline holds no estimator with a history_"):
        TrainingCurveDisplay.from_estimator(svr_regressor().fit(X, y))
