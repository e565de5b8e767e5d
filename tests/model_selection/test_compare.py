"""Comparisons of models: the same folds for all, figures by hand, honest tables."""

import numpy as np
import pytest
from joblib import parallel_config
from scipy.stats import t
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.model_selection import StratifiedScoreKFold, compare

MODELS = {"neighbours": KNeighborsRegressor(), "ridge": Ridge(), "strong": Ridge(alpha=1e4)}


class Failing(RegressorMixin, BaseEstimator):
    """Fails where an image is in training."""

    def __init__(self, row=0.0):
        self.row = row

    def fit(self, X, y):
        if self.row in X[:, 0]:
            raise RuntimeError("can't be trained on that")
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return self.mean_ + X[:, 0]


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4))
    y = (X.sum(axis=1) + 2 * rng.normal(size=90)).round(1)
    return X, y


def test_t_test_figures_are_those_by_hand(images):
    X, y = images
    cv = KFold(6, shuffle=True, random_state=1)
    found = compare(MODELS, X, y, cv=cv, baseline="ridge", confidence_level=0.9)
    scores = {
        name: cross_val_score(model, X, y, cv=cv, scoring=spearman_scorer)
        for name, model in MODELS.items()
    }
    variance_of_mean = 1 / 6 + 15 / 75
    p_values = {}
    for row in found.rows:
        name = row["model"]
        assert found.fold_scores[name] == pytest.approx(scores[name])
        assert row["score"] == pytest.approx(scores[name].mean())
        assert row["standard_error"] == pytest.approx(
            np.sqrt(variance_of_mean * scores[name].var(ddof=1))
        )
        if name == "ridge":
            assert row["difference"] is row["p_value"] is row["p_adjusted"] is None
            continue
        d = scores[name] - scores["ridge"]
        error = np.sqrt(variance_of_mean * d.var(ddof=1))
        width = t.ppf(0.95, 5) * error
        p_values[name] = 2 * t.sf(abs(d.mean()) / error, 5)
        assert row["difference"] == pytest.approx(d.mean())
        assert row["difference_standard_error"] == pytest.approx(error)
        assert row["difference_low"] == pytest.approx(d.mean() - width)
        assert row["difference_high"] == pytest.approx(d.mean() + width)
        assert row["p_value"] == pytest.approx(p_values[name])
    small, large = sorted(p_values, key=p_values.get)
    adjusted = {row["model"]: row["p_adjusted"] for row in found.rows}
    assert adjusted[small] == pytest.approx(min(2 * p_values[small], 1))
    assert adjusted[large] == pytest.approx(max(adjusted[small], p_values[large]))


def test_against_the_best_all_pairs_are_adjusted_for(images):
    X, y = images
    found = compare(MODELS, X, y, cv=5, random_state=0)
    assert found.n_tests == 3
    assert [row["score"] for row in found.rows] == sorted(
        (row["score"] for row in found.rows), reverse=True
    )
    best = found.rows[0]["model"]
    p = {}
    for name in MODELS:
        others = compare(MODELS, X, y, cv=5, random_state=0, baseline=name)
        p |= {frozenset((name, row["model"])): row["p_value"] for row in others.rows}
    pairs = sorted((value, pair) for pair, value in p.items() if value is not None)
    low = 0.0
    for times, (value, pair) in zip((3, 2, 1), pairs, strict=True):
        low = max(low, min(times * value, 1))
        if best in pair:
            (other,) = pair - {best}
            row = next(row for row in found.rows if row["model"] == other)
            assert row["p_adjusted"] == pytest.approx(low)


def test_a_model_and_its_copy_do_not_differ(images):
    X, y = images
    found = compare({"a": Ridge(), "b": Ridge()}, X, y, cv=3, random_state=0)
    assert [row["model"] for row in found.rows] == ["a", "b"]
    assert found.rows[1]["difference"] == 0
    assert found.rows[1]["p_value"] == found.rows[1]["p_adjusted"] == 1


def test_folds_by_default_are_three_shuffled_rounds_by_score_and_split_no_group(images):
    X, y = images
    found = compare({"a": Ridge(), "b": DummyRegressor()}, X, y, scoring="r2", random_state=3)
    rng = np.random.RandomState(3)
    expected = [
        cross_val_score(Ridge(), X, y, cv=StratifiedScoreKFold(5, shuffle=True, random_state=rng))
        for _ in range(3)
    ]
    assert found.fold_scores["a"] == pytest.approx(np.concatenate(expected))
    assert (found.n_train, found.n_test) == (72, 18)
    assert "shuffled 3 times, 15 folds" in found.folds
    groups = np.array([f"object {i // 3}" for i in range(90)])
    models = {"a": make_pipeline(FunctionTransformer(), Ridge()), "b": Ridge(alpha=5)}
    found = compare(models, X, y, groups=groups, cv=4, random_state=0)
    cv = GroupKFold(4, shuffle=True, random_state=np.random.RandomState(0))
    expected = cross_val_score(Ridge(), X, y, groups=groups, cv=cv, scoring=spearman_scorer)
    assert found.fold_scores["a"] == pytest.approx(expected)


def test_jobs_change_nothing_and_the_seed_shown_repeats_the_result(images):
    X, y = images
    with parallel_config("threading"):
        first = compare(MODELS, X, y, cv=3, n_jobs=2)
    again = compare(MODELS, X, y, cv=3, random_state=first.random_state)
    assert again.rows == first.rows
    assert compare(MODELS, X, y, cv=3, random_state=7).rows != first.rows


def test_a_failing_model_is_named(images):
    X, y = images
    models = {"ridge": Ridge(), "fails": Failing(row=X[0, 0])}
    with pytest.raises(RuntimeError, match=r"can't be trained") as raised:
        compare(models, X, y, cv=KFold(3))
    assert raised.value.__notes__ == ["Model 'fails' failed on fold 1, counted from 0."]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:Scoring failed")
def test_a_model_without_a_score_is_left_out_of_the_tests_and_listed_last(images):
    X, y = images

    def r2_of_most(estimator, X, y):
        return np.nan if isinstance(estimator, DummyRegressor) else estimator.score(X, y)

    models = {"none": DummyRegressor(), **MODELS}
    found = compare(models, X, y, cv=KFold(3), scoring=r2_of_most, random_state=0)
    whole = compare(MODELS, X, y, cv=KFold(3), scoring="r2", random_state=0)
    assert found.rows[:3] == whole.rows
    assert found.rows[3]["model"] == "none"
    assert np.isnan(found.rows[3]["p_adjusted"])
    assert found.n_tests == 3
    assert "nan" in str(found)
    with pytest.raises(ValueError, match="baseline 'none' does not have a score on every fold"):
        compare(models, X, y, cv=KFold(3), scoring=r2_of_most, baseline="none")


def test_params_go_to_fit_or_where_routing_sends_them(images):
    X, y = images
    weights = np.linspace(0.1, 2, 90)
    models = {"a": Ridge(), "b": Ridge(alpha=100)}
    cv = KFold(3)
    found = compare(models, X, y, cv=cv, scoring="r2", params={"sample_weight": weights})
    expected = cross_val_score(
        Ridge(), X, y, cv=cv, scoring="r2", params={"sample_weight": weights}
    )
    assert found.fold_scores["a"] == pytest.approx(expected)
    with config_context(enable_metadata_routing=True):
        models = {name: model.set_fit_request(sample_weight=True) for name, model in models.items()}
        scoring = make_scorer(r2_score).set_score_request(sample_weight=True)
        params = {"sample_weight": weights}
        found = compare(models, X, y, cv=cv, scoring=scoring, params=params)
        expected = cross_val_score(models["a"], X, y, cv=cv, scoring=scoring, params=params)
        assert found.fold_scores["a"] == pytest.approx(expected)


def test_models_given_are_not_fitted_and_images_may_be_a_list(images):
    X, y = images
    models = {
        name: make_pipeline(FunctionTransformer(np.array), Ridge(alpha=alpha))
        for name, alpha in (("a", 1), ("b", 100))
    }
    found = compare(models, X.tolist(), y.tolist(), cv=3, random_state=0)
    expected = compare({"a": Ridge(), "b": Ridge(alpha=100)}, X, y, cv=3, random_state=0)
    assert found.rows == expected.rows
    assert not hasattr(models["a"][-1], "coef_")


def test_the_table_says_how_it_was_made(images):
    X, y = images
    found = compare(MODELS, X, y, cv=3, random_state=5, baseline="ridge")
    lines = str(found).splitlines()
    assert next(line for line in lines if line.startswith("ridge")).endswith("reference")
    assert "shuffled, 3 folds, 60 images to train on and 30 to test; random_state=5." in lines[6]
    assert lines[7] == "Adjusted by Holm's procedure for 2 tests: each model with ridge."
    assert repr(found) == "<Comparison of 3 models; print it to see it>"
    text = str(compare(MODELS, X, y, cv=KFold(3), random_state=5))
    assert "KFold(n_splits=3, random_state=None, shuffle=False), 3 folds" in text
    assert "3 tests: all pairs, as the best was chosen by its score" in text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": {"a": Ridge()}}, "fewer than two models"),
        ({"baseline": "c"}, "baseline='c' is none of the models"),
        ({"scoring": ["r2"]}, "The 'scoring' parameter of compare"),
        ({"confidence_level": 95.0}, "The 'confidence_level' parameter of compare"),
        ({"cv": 1}, "n_splits=2 or more"),
        ({"cv": [(np.arange(60), np.arange(60, 90))]}, "cv gives one fold"),
        ({"y": np.ones(3)}, "inconsistent numbers of samples"),
        ({"y": np.where(np.arange(90) == 7, np.nan, 0.5)}, "Input y contains NaN"),
    ],
)
def test_bad_arguments_are_refused(images, changed, message):
    X, y = images
    arguments = {"models": {"a": Ridge(), "b": Ridge()}, "X": X, "y": y, **changed}
    with pytest.raises(ValueError, match=message):
        compare(arguments.pop("models"), arguments.pop("X"), arguments.pop("y"), **arguments)
