"""One walk finds the steps of a model, whatever they are wrapped in."""

from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from sklearn_memorability._utils._estimators import parts_of, steps_of


def test_steps_have_the_names_that_set_params_takes():
    inner = Pipeline([("scale", StandardScaler()), ("skip", "passthrough"), ("model", Ridge())])
    model = GridSearchCV(inner, {"model__alpha": [1.0, 2.0]})
    found = steps_of(model)
    assert [name for name, _ in found] == ["estimator__scale", "estimator__model"]
    model.set_params(estimator__model__alpha=5.0)
    assert found[1][1].alpha == 5.0


def test_of_a_fitted_search_it_is_the_best_estimator():
    model = GridSearchCV(Ridge(), {"alpha": [1e-3, 1e3]}, cv=2)
    model.fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0])
    assert steps_of(model) == [("estimator", model.best_estimator_)]


def test_frozen_estimators_are_opened():
    ridge = Ridge()
    assert steps_of(Pipeline([("model", FrozenEstimator(ridge))])) == [("model__estimator", ridge)]


def test_parts_are_found_inside_of_unions():
    union = FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())])
    found = list(parts_of(Pipeline([("union", union), ("model", Ridge())])))
    assert [type(part).__name__ for part in found] == [
        "FeatureUnion",
        "StandardScaler",
        "MinMaxScaler",
        "Ridge",
    ]
