"""The tests behind comparisons, against computations by hand."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr, t, ttest_rel

from sklearn_memorability.model_selection._paired import (
    bootstrap_test,
    corrected_t_test,
    draw_times,
    holm,
    resample_means,
    resampled_correlations,
)


def test_corrected_t_is_the_formula_of_nadeau_and_bengio():
    # Mean .02; squared deviations .0001 + .0001 over 2 degrees of freedom.
    found = corrected_t_test(np.array([0.01, 0.02, 0.03]), 0.5, confidence_level=0.9)
    error = np.sqrt((1 / 3 + 0.5) * 0.0001)
    assert found.value == pytest.approx(0.02)
    assert found.standard_error == pytest.approx(error)
    assert found.p_value == pytest.approx(2 * t.sf(0.02 / error, df=2))
    # Students' table has 2.920 for two degrees of freedom and 90 %.
    assert (found.low, found.high) == pytest.approx(
        (0.02 - 2.920 * error, 0.02 + 2.920 * error), abs=1e-5
    )


def test_without_shared_training_pictures_it_is_the_paired_t_test():
    chance = np.random.default_rng(0)
    first, second = chance.normal(size=(2, 10))
    found = corrected_t_test(first - second, 0.0)
    expected = ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_differences_without_spread_are_certain():
    assert corrected_t_test(np.zeros(5), 0.25) == (0.0, 0.0, 0.0, 0.0, 1.0)
    assert corrected_t_test(np.full(5, 0.25), 0.25).p_value == 0.0


def test_one_fold_or_a_missing_score_has_no_test():
    for scores in ([0.3], [0.3, np.nan, 0.1]):
        found = corrected_t_test(np.array(scores), 0.25)
        assert np.isnan(found.p_value)


def test_holm_by_hand():
    # Sorted: .01 * 4, .02 * 3, .03 * 2 (not below the one before), .9.
    found = holm(np.array([0.02, 0.9, 0.01, 0.03]))
    assert found == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])


def test_holm_does_not_count_tests_that_were_not_made():
    assert holm(np.array([np.nan, 0.02, 0.04])) == pytest.approx([np.nan, 0.04, 0.04], nan_ok=True)


def test_bootstrap_estimate_is_that_of_percentiles():
    resampled = np.concatenate([np.linspace(-0.1, 0.9, 101), [np.nan]])
    found = bootstrap_test(0.4, resampled, confidence_level=0.9)
    assert (found.low, found.high) == pytest.approx((-0.05, 0.85))
    assert found.standard_error == pytest.approx(np.std(np.linspace(-0.1, 0.9, 101)))
    # Eleven of 101 are 0 or less.
    assert found.p_value == pytest.approx(2 * 12 / 102)
    assert bootstrap_test(0.4, np.full(99, 0.4)).p_value == 2 / 100
    assert bootstrap_test(0.0, np.zeros(99)).p_value == 1.0
    assert np.isnan(bootstrap_test(0.4, np.full(3, np.nan)).p_value)


@pytest.mark.parametrize("n_values", [4, 1000])
def test_counted_rows_correlate_as_repeated_rows_do(n_values):
    chance = np.random.default_rng(n_values)
    true = chance.integers(n_values, size=40) / n_values
    predictions = [(chance.integers(n_values, size=40) / n_values + true).round(1), -true]
    times = chance.integers(4, size=(20, 40))
    found = resampled_correlations(true, predictions, times)
    for i, counts in enumerate(times):
        rows = np.repeat(np.arange(40), counts)
        expected = [spearmanr(true[rows], predicted[rows]).statistic for predicted in predictions]
        assert found[i] == pytest.approx(expected)


def test_constant_truth_has_no_correlation_and_constant_prediction_none_to_be_seen():
    true = np.array([0.1, 0.1, 0.7])
    times = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 2]])
    found = resampled_correlations(true, [true, np.zeros(3)], times)
    assert found == pytest.approx(
        np.array([[np.nan, np.nan], [np.nan, np.nan], [1.0, 0.0]]), nan_ok=True
    )


def test_draws_keep_sizes_of_strata_and_groups_together():
    units = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    strata = [np.array([0, 1, 2, 3]), np.array([4, 5, 6, 7])]
    times = draw_times(strata, units, 2000, np.random.RandomState(0))
    assert times[:, :8:2].tolist() == times[:, 1:8:2].tolist()
    for rows in strata:
        assert set(times[:, rows].sum(axis=1)) == {4}
    assert not times[:, 8:].any()
    assert times[:, :8].mean(axis=0) == pytest.approx(1, abs=0.06)


def _naive_means(y, folds, predictions, drawn_in, n_resamples, chance):
    """Draw rows, repeat them and rank them again, fold by fold."""
    means = []
    for _ in range(n_resamples):
        times = np.zeros(len(y), dtype=int)
        for rows in drawn_in:
            np.add.at(times, chance.choice(rows, size=len(rows)), 1)
        by_fold = []
        for rows, predicted in zip(folds, predictions, strict=True):
            again = np.repeat(np.arange(len(rows)), times[rows])
            ranks = rankdata([y[rows][again], predicted[again]], axis=1)
            by_fold.append(np.corrcoef(ranks)[0, 1])
        means.append(np.mean(by_fold))
    return np.array(means)


@pytest.mark.parametrize("overlap", [False, True])
def test_resampled_means_are_distributed_as_the_naive_bootstrap_s(overlap):
    chance = np.random.default_rng(0)
    y = chance.normal(size=90)
    order = chance.permutation(90)
    folds = [order[:30], order[30:60], order[60:]]
    if overlap:
        folds += [np.sort(order)[:45], np.sort(order)[45:]]
    predictions = [y[rows] + chance.normal(size=len(rows)) for rows in folds]
    drawn_in = [np.arange(90)] if overlap else folds
    naive = _naive_means(y, folds, predictions, drawn_in, 1000, chance)
    found = resample_means(y, folds, [predictions], None, 4000, np.random.RandomState(0))[:, 0]
    # Six standard errors of the naive one's mean, and a tenth of its spread.
    assert found.mean() == pytest.approx(naive.mean(), abs=6 * naive.std() / np.sqrt(1000))
    assert found.std() == pytest.approx(naive.std(), rel=0.1)


def test_resamples_do_not_depend_on_how_many_are_ranked_at_once(monkeypatch):
    chance = np.random.default_rng(0)
    y = chance.normal(size=30)
    expected = resample_means(y, [np.arange(30)], [[y**3]], None, 7, np.random.RandomState(0))
    assert expected == pytest.approx(np.ones((7, 1)))
    predicted = y + chance.normal(size=30)
    arguments = (y, [np.arange(30)], [[predicted]], None, 7)
    whole = resample_means(*arguments, np.random.RandomState(0))
    monkeypatch.setattr("sklearn_memorability.model_selection._paired._ROWS_AT_ONCE", 60)
    assert resample_means(*arguments, np.random.RandomState(0)) == pytest.approx(whole)
