import pytest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.inspection._fitted_steps import fitted_steps


def test_steps_come_in_order_out_of_every_wrapping(scores):
    inner = make_pipeline(StandardScaler(), "passthrough", None, Ridge())
    search = GridSearchCV(inner, {"ridge__alpha": [1.0]}, cv=2).fit(*scores)
    model = make_pipeline(StandardScaler().fit(scores[0]), FrozenEstimator(search)).fit(*scores)
    first, *rest = fitted_steps(model)
    assert first is model[0]
    assert rest == [search.best_estimator_[0], search.best_estimator_[-1]]


@pytest.mark.parametrize(
    "model",
    [
        Ridge(),
        make_pipeline(StandardScaler(), Ridge()),
        RandomizedSearchCV(Ridge(), {"alpha": [1.0]}, n_iter=1),
        GridSearchCV(Ridge(), {"alpha": [1.0]}),
    ],
)
def test_what_is_not_fitted_says_so(model):
    with pytest.raises(NotFittedError):
        fitted_steps(model)
