import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import spearmanr

from sklearn_memorability.metrics import lag_adjusted_score


def _experiment(rng, n_images=600, slope=-0.08, reference=100.0):
    """Simulate images of which some were repeated late and rarely, others soon and often."""
    truth = rng.uniform(0.4, 0.7, size=n_images)
    typical = rng.uniform(np.log(10), np.log(1000), size=n_images)
    n_responses = rng.integers(20, 80, size=n_images)
    image = np.repeat(np.arange(n_images), n_responses)
    log_lag = typical[image] + rng.uniform(-1, 1, size=len(image))
    p = truth[image] + slope * (log_lag - np.log(reference))
    assert 0 < p.min() < p.max() < 1
    trials = {"image": image, "lag": np.exp(log_lag), "hit": rng.random(len(image)) < p}
    return trials, truth


def _raw(trials):
    return np.bincount(trials["image"], trials["hit"]) / np.bincount(trials["image"])


def test_by_hand():
    # Within images: a falls by 1 over ln 10, b by 0: the slope is -1/2 per ln 10.
    trials = {"image": list("aabb"), "lag": [1, 10, 10, 100], "hit": [1, 0, 1, 1]}
    found = lag_adjusted_score(trials, reference_lag=10, clip=False)
    assert found.slope == pytest.approx(-0.5 / np.log(10))
    # Means .5 at half a decade before the reference, 1 at half a decade after it.
    assert found.scores == pytest.approx([0.25, 1.25])
    assert lag_adjusted_score(trials, reference_lag=10).scores == pytest.approx([0.25, 1.0])
    assert found.images.tolist() == ["a", "b"]
    assert found.n_responses.tolist() == [2, 2]


@pytest.mark.parametrize("reference", [None, 3.0])
def test_no_other_slope_or_scores_have_less_squared_error(reference):
    trials, _ = _experiment(np.random.default_rng(0), n_images=5)
    found = lag_adjusted_score(trials, reference_lag=reference, clip=False)
    away = np.log(trials["lag"] / found.reference_lag)
    design = np.column_stack([np.eye(5)[trials["image"]], away])
    expected = np.linalg.lstsq(design, trials["hit"].astype(float))[0]
    assert np.append(found.scores, found.slope) == pytest.approx(expected)


def test_the_slope_and_scores_of_a_simulation_are_recovered():
    slopes, errors = [], []
    for seed in range(10):
        trials, truth = _experiment(np.random.default_rng(seed))
        found = lag_adjusted_score(trials, reference_lag=100.0, clip=False)
        slopes.append(found.slope)
        errors.append((found.scores - truth).mean())
    assert np.mean(slopes) == pytest.approx(-0.08, abs=0.005)
    assert np.mean(errors) == pytest.approx(0, abs=0.003)


def test_scores_are_better_than_hit_rates_where_lags_go_with_images():
    trials, truth = _experiment(np.random.default_rng(0))
    found = lag_adjusted_score(trials, reference_lag=100.0)
    raw = _raw(trials)
    mean_lag = np.bincount(trials["image"], np.log(trials["lag"])) / found.n_responses
    # Hit rates carry the lag; adjusted scores do not.
    assert np.corrcoef(raw - truth, mean_lag)[0, 1] < -0.5
    assert abs(np.corrcoef(found.scores - truth, mean_lag)[0, 1]) < 0.2
    assert np.mean((found.scores - truth) ** 2) < 0.6 * np.mean((raw - truth) ** 2)
    assert spearmanr(found.scores, truth).statistic > spearmanr(raw, truth).statistic + 0.1


def test_by_default_the_mean_response_stays_as_it_is():
    trials, _ = _experiment(np.random.default_rng(0))
    found = lag_adjusted_score(trials, clip=False)
    assert found.reference_lag == pytest.approx(np.exp(np.mean(np.log(trials["lag"]))))
    mean = np.average(found.scores, weights=found.n_responses)
    assert mean == pytest.approx(trials["hit"].mean())


def test_the_unit_of_the_lag_does_not_matter():
    trials, _ = _experiment(np.random.default_rng(0))
    minutes = trials | {"lag": trials["lag"] / 60}
    first, second = (lag_adjusted_score(t) for t in (trials, minutes))
    assert second.scores == pytest.approx(first.scores)
    assert second.slope == pytest.approx(first.slope)
    assert second.reference_lag == pytest.approx(first.reference_lag / 60)


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame])
def test_tables_with_columns_of_any_name(kind):
    columns = {"f": ["x", "x", "w"], "gap": [1, 4, 2], "ok": [True, False, True]}
    found = lag_adjusted_score(kind(columns), image="f", lag="gap", hit="ok", reference_lag=2)
    assert found.images.tolist() == ["w", "x"]
    assert found.scores == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"lag": [1, 0, 2, -3]}, {}, "'lag' has lags that are not positive: 0 in row 1, -3"),
        ({"lag": [1, np.nan, 2, 3]}, {}, "'lag' of trials contains NaN"),
        ({"hit": [1, 0, 1, 0.5]}, {}, "'hit' has values.*0.5 in row 3"),
        ({"lag": [0.1 + 0.2, 0.3, 7, 7]}, {}, "no image with different lags"),
        ({}, {"image": "file"}, r"no column 'file' \(image=\)"),
        ({}, {"reference_lag": 0}, "reference_lag"),
        ({"hit": [1]}, {}, "one entry a row"),
    ],
)
def test_bad_input_is_refused(change, arguments, message):
    trials = {"image": list("aabb"), "lag": [1, 10, 10, 100], "hit": [1, 0, 1, 1]}
    with pytest.raises(ValueError, match=message):
        lag_adjusted_score(trials | change, **arguments)
