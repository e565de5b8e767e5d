"""The steps of a fitted model, out of whatever they are wrapped in."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def fitted_steps(model: Any) -> list[Any]:
    """Return a model's steps in the order in which data pass through them.

    Parameters
    ----------
    model : estimator
        A fitted estimator, or Pipelines, searches (``best_estimator_``) and frozen
        estimators around some, nested in any way.

    Returns
    -------
    list of estimators
        Those inside; steps that pass data on as they are, are left out.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If one of them is not fitted.
    """
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if step not in (None, "passthrough")]
        return [inner for step in steps for inner in fitted_steps(step)]
    # Every search of scikit-learn has these two parameters, and no other estimator.
    if hasattr(model, "best_estimator_") or (hasattr(model, "refit") and hasattr(model, "cv")):
        check_is_fitted(model, "best_estimator_")
        return fitted_steps(model.best_estimator_)
    if type(model).__name__ == "FrozenEstimator":
        return fitted_steps(model.estimator)
    # Whatever has a predict may stand in for an estimator, and can't be asked.
    if hasattr(model, "fit"):
        check_is_fitted(model)
    return [model]
