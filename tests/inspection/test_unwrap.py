import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.inspection import class_proba, quantiles
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor


@pytest.fixture
def pipeline():
    return mlp_regressor(branch_sizes=(8,), hidden_layer_sizes=(8,), max_epochs=2, random_state=0)


def test_alike_through_every_wrapping(scores, pipeline):
    X, y = scores
    search = GridSearchCV(pipeline, {"model__n_classes": [3]}, cv=2, scoring=spearman_scorer)
    search.fit(X, y)
    best = search.best_estimator_
    scaled = best[:-1].transform(X)
    expected = best[-1].predict_class_proba(scaled)
    levels = best[-1].predict_quantiles(scaled, [0.1, 0.9])
    for model, data in (
        (best[-1], scaled),
        (best, X),
        (search, X),
        (FrozenEstimator(search), X),
        (make_pipeline(StandardScaler(with_mean=False, with_std=False).fit(X), best), X),
    ):
        assert np.array_equal(class_proba(model, data), expected)
        assert np.array_equal(quantiles(model, data, [0.1, 0.9]), levels)
    assert quantiles(best, X).shape == (150, 3)


def test_models_without_classes_are_refused(scores):
    with pytest.raises(TypeError, match="Pipeline holds no estimator with predict_class_proba"):
        class_proba(svr_regressor().fit(*scores), scores[0])
    with pytest.raises(TypeError, match="predict_quantiles"):
        quantiles(StandardScaler(), scores[0])


def test_unfitted_models_say_so(scores, pipeline):
    with pytest.raises(NotFittedError):
        class_proba(pipeline, scores[0])
    with pytest.raises(NotFittedError):
        class_proba(pipeline[-1], scores[0])
    with pytest.raises(NotFittedError):
        quantiles(GridSearchCV(pipeline, {"model__n_classes": [3]}), scores[0])
    with pytest.raises(NotFittedError):
        quantiles(RandomizedSearchCV(pipeline, {"model__n_classes": [3]}), scores[0])
