import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsRegressor

from sklearn_memorability.metrics import spearman_score, spearman_scorer


@pytest.mark.parametrize("n_values", [3, 10, 1000])
def test_agrees_with_scipy_with_and_without_ties(n_values):
    chance = np.random.default_rng(n_values)
    y_true = chance.integers(n_values, size=200) / n_values
    y_pred = chance.integers(n_values, size=200) + y_true
    assert spearman_score(y_true, y_pred) == pytest.approx(spearmanr(y_true, y_pred).statistic)


def test_by_hand():
    # Ranks 1 2.5 2.5 4 against 1 3 2 4: r = 4.5 / sqrt(4.5 * 5).
    assert spearman_score([0.1, 0.5, 0.5, 0.9], [1, 3, 2, 4]) == pytest.approx(np.sqrt(0.9))


def test_only_the_order_of_the_prediction_counts():
    y_true, y_pred = np.arange(9.0), np.arange(9.0)[::-1]
    assert spearman_score(y_true, np.exp(-y_pred)) == pytest.approx(1)
    assert spearman_score(y_true, y_pred) == pytest.approx(-1)


def test_constant_prediction_scores_zero_so_that_a_search_can_rank_it():
    with pytest.warns(UndefinedMetricWarning, match="constant"):
        assert spearman_score([0.1, 0.2, 0.3], [0.5, 0.5, 0.5]) == 0.0


@pytest.mark.parametrize("y_true", [[0.5, 0.5, 0.5], [0.5], []])
def test_truth_without_order_is_nan(y_true):
    with pytest.warns(UndefinedMetricWarning, match="NaN"):
        assert np.isnan(spearman_score(y_true, np.arange(len(y_true))))


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([1, 2, 3], [1, 2], "inconsistent numbers of samples"),
        ([1, np.nan, 3], [1, 2, 3], "y_true contains NaN"),
        ([1, 2, 3], [1, np.inf, 3], "y_pred contains infinity"),
        ([[1, 2], [3, 4]], [1, 2], "1d array"),
        (["a", "b"], [1, 2], "could not convert"),
    ],
)
def test_bad_input_is_refused(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        spearman_score(y_true, y_pred)


def test_scorer_serves_cross_validation_and_searches(scores):
    X, y = scores
    expected = []
    for train in (slice(50, 150), slice(0, 100)):
        test = slice(0, 50) if train.start else slice(100, 150)
        predicted = KNeighborsRegressor().fit(X[train], y[train]).predict(X[test])
        expected.append(spearmanr(y[test], predicted).statistic)
    cv = [
        (np.arange(50, 150), np.arange(0, 50)),
        (np.arange(0, 100), np.arange(100, 150)),
    ]
    found = cross_val_score(KNeighborsRegressor(), X, y, cv=cv, scoring=spearman_scorer)
    assert found == pytest.approx(expected)
    search = GridSearchCV(
        KNeighborsRegressor(), {"n_neighbors": [1, 20]}, cv=cv, scoring=spearman_scorer
    ).fit(X, y)
    assert search.best_params_ == {"n_neighbors": 20}
