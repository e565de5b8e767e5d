import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsRegressor

from sklearn_memorability.metrics import spearman_interval, spearman_score, spearman_scorer


@pytest.mark.parametrize("n_values", [3, 10, 1000])
def test_agrees_with_scipy_with_and_without_ties(n_values):
    chance = np.random.default_rng(n_values)
    y_true = chance.integers(n_values, size=200) / n_values
    y_pred = chance.integers(n_values, size=200) + y_true
    assert spearman_score(y_true, y_pred) == pytest.approx(spearmanr(y_true, y_pred).statistic)


def test_by_hand():
    # Ranks 1 2.5 2.5 4 against 1 3 2 4: r = 4.5 / sqrt(4.5 * 5).
    assert spearman_score([0.1, 0.5, 0.5, 0.9], [1, 3, 2, 4]) == pytest.approx(np.sqrt(0.9))


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
        ([1, 2, 3], [1, np.nan, 3], "y_pred contains NaN in 1 of 3 rows, the first is 1.*Leave"),
        ([[1, 2], [3, 4]], [1, 2], "1d array"),
    ],
)
def test_bad_input_is_refused(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        spearman_score(y_true, y_pred)


def test_scorer_serves_cross_validation(scores):
    X, y = scores
    expected = []
    for train in (slice(50, 150), slice(0, 100)):
        test = slice(0, 50) if train.start else slice(100, 150)
        predicted = KNeighborsRegressor().fit(X[train], y[train]).predict(X[test])
        expected.append(spearmanr(y[test], predicted).statistic)
    cv = [(np.arange(50, 150), np.arange(0, 50)), (np.arange(0, 100), np.arange(100, 150))]
    found = cross_val_score(KNeighborsRegressor(), X, y, cv=cv, scoring=spearman_scorer)
    assert found == pytest.approx(expected)


def _naive_interval(y_true, y_pred, folds, groups, n_resamples, chance):
    """Draw groups within folds and let SciPy correlate the rows."""
    found = []
    for label in np.unique(folds):
        rows = np.flatnonzero(folds == label)
        names = np.unique(groups[rows])
        members = {name: rows[groups[rows] == name] for name in names}
        statistics = []
        for _ in range(n_resamples):
            drawn = names[chance.randint(len(names), size=len(names))]
            sample = np.concatenate([members[name] for name in drawn])
            statistics.append(spearmanr(y_true[sample], y_pred[sample]).statistic)
        found.append(statistics)
    return np.quantile(np.mean(found, axis=0), [0.05, 0.95])


@pytest.mark.parametrize("n_values", [4, 1000])
def test_interval_is_that_of_resampling_rows_and_ranking_them_again(n_values):
    chance = np.random.default_rng(n_values)
    y_true = chance.integers(n_values, size=150) / n_values
    y_pred = (chance.integers(n_values, size=150) / n_values + y_true).round(1)
    folds = np.repeat(["a", "b", "c"], 50)
    for groups in (np.arange(150), chance.integers(40, size=150)):
        expected = _naive_interval(y_true, y_pred, folds, groups, 100, np.random.RandomState(3))
        found = spearman_interval(
            y_true,
            y_pred,
            folds=folds,
            groups=groups,
            confidence_level=0.9,
            n_resamples=100,
            random_state=3,
        )
        assert found == pytest.approx(expected)


def test_interval_covers_the_truth_as_often_as_it_says():
    chance = np.random.default_rng(0)
    # Spearman's correlation of two normal variables whose Pearson correlation is .6.
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    inside = 0
    for seed in range(200):
        y_true = chance.normal(size=150)
        y_pred = 0.6 * y_true + 0.8 * chance.normal(size=150)
        low, high = spearman_interval(
            y_true, y_pred, confidence_level=0.9, n_resamples=200, random_state=seed
        )
        inside += low < truth < high
    # Three standard errors of a share of 200 are .064.
    assert inside / 200 == pytest.approx(0.9, abs=0.064)


def test_interval_of_constant_predictions_is_zero_and_resamples_of_one_score_are_left_out():
    assert spearman_interval([0.1, 0.2, 0.3, 0.4], np.ones(4), random_state=2) == (0.0, 0.0)
    # A quarter of the draws of two rows hold the first alone, a quarter the second.
    assert spearman_interval([0, 1], [3, 4], n_resamples=50, random_state=0) == (1.0, 1.0)
    alone = next(s for s in range(9) if np.ptp(np.random.RandomState(s).randint(2, size=2)) == 0)
    with pytest.raises(ValueError, match="n_resamples=1 resamples have a fold with a constant"):
        spearman_interval([0, 1], [3, 4], n_resamples=1, random_state=alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": [0, 0, 0, 1]}, "fewer than two different true scores in fold 1"),
        ({"y_true": [1, 1, 1, 1]}, "fewer than two different true scores; an"),
        ({"groups": [5, 5, 5, 5]}, "fewer than two groups; an"),
        ({"groups": [5, 5]}, "inconsistent numbers of samples"),
        ({"y_pred": [1, 2, np.nan, 4]}, "y_pred contains NaN"),
        ({"y_true": [], "y_pred": []}, "y_true is empty"),
        ({"confidence_level": 95}, "confidence_level"),
    ],
)
def test_bad_input_to_the_interval_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        spearman_interval(**({"y_true": [1, 2, 3, 4], "y_pred": [1, 3, 2, 4]} | change))
