import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.model_selection import GroupKFold, KFold, cross_val_score
from sklearn.svm import SVR

from sklearn_memorability.datasets import load_things_concepts, load_things_photographs
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import (
    mlp_regressor,
    recommended_regressor,
    svr_regressor,
)
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def test_mlp_is_the_papers_behind_a_scaler():
    pipeline = mlp_regressor(n_classes=2, random_state=3, max_epochs=5)
    assert list(pipeline.named_steps) == ["scale", "model"]
    model = pipeline[-1]
    assert isinstance(model, BalancedQuantileClassifierRegressor)
    assert (model.n_classes, model.random_state, model.max_epochs) == (2, 3, 5)
    assert model.score_range == (0.0, 1.0)


def test_svr_is_behind_a_scaler():
    pipeline = svr_regressor(C=2, kernel="linear")
    assert isinstance(pipeline[-1], SVR)
    assert (pipeline[-1].C, pipeline[-1].kernel, pipeline[-1].epsilon) == (2, "linear", 0.05)


def test_recommended_takes_parameters_in_place_of_its_own():
    pipeline = recommended_regressor(random_state=1, n_members=2, score_range=(-1, 1))
    model = pipeline[-1]
    assert (model.n_members, model.score_range, model.random_state) == (2, (-1, 1), 1)
    assert (model.n_classes, model.aggregation, model.target) == (16, "mean", "soft")


@pytest.mark.slow
def test_recommended_holds_where_features_are_many_and_rows_few_and_noisy():
    # The paper's settings overfit here: their order is no better than chance's.
    photographs = load_things_photographs()
    found = {
        make: cross_val_score(
            make(random_state=0),
            photographs.data,
            photographs.target,
            groups=photographs.groups,
            cv=GroupKFold(3, shuffle=True, random_state=7),
            scoring=spearman_scorer,
        ).mean()
        for make in (mlp_regressor, recommended_regressor)
    }
    assert found[recommended_regressor] > 0.03
    assert found[recommended_regressor] > found[mlp_regressor]


@pytest.mark.parametrize("make", [mlp_regressor, recommended_regressor, svr_regressor])
def test_features_come_first_and_pictures_go_in(make, photographs):
    pipeline = make(ImageFeatures())
    assert list(pipeline.named_steps) == ["features", "scale", "model"]
    images = photographs * 10
    predicted = pipeline.fit(images, np.linspace(0.2, 0.9, 20)).predict(images[:3])
    assert predicted.shape == (3,)
    assert np.isfinite(predicted).all()


def test_scores_outside_the_stated_range_are_refused():
    X, y = load_things_concepts(return_X_y=True)
    with pytest.raises(ValueError, match="score_range"):
        mlp_regressor().fit(X, y + 0.5)


@pytest.mark.parametrize(
    ("pipeline", "least"), [(svr_regressor(), 0.55), (mlp_regressor(random_state=0), 0.55)]
)
def test_both_order_the_concepts(pipeline, least):
    X, y = load_things_concepts(return_X_y=True)
    cv = KFold(3, shuffle=True, random_state=1)
    assert cross_val_score(pipeline, X, y, cv=cv, scoring=spearman_scorer).mean() > least


def test_svr_gives_its_reference_figure_on_the_concepts():
    # .575 is the published reference of an SVR of these settings, five folds.
    X, y = load_things_concepts(return_X_y=True)
    found = []
    for train, test in KFold(5, shuffle=True, random_state=0).split(X):
        predicted = svr_regressor().fit(X[train], y[train]).predict(X[test])
        found.append(spearmanr(y[test], predicted).statistic)
    assert np.mean(found) == pytest.approx(0.575, abs=0.01)
