"""One walk through Pipelines, searches and what else wraps an estimator."""

from collections.abc import Iterator
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline


def steps_of(model: Any) -> list[tuple[str, Any]]:
    """Return the steps that data pass through, in order, each with its parameter's name.

    Pipelines, searches and frozen estimators are opened, however nested. Of a fitted search
    it is the best estimator, of another one the estimator that it would fit. The name of a
    step is what stands before ``__`` in ``model.set_params``; that of ``model`` is "". A
    fine-tuned regressor is its features and its head.
    """
    if isinstance(model, Pipeline):
        parts = [(n, s) for n, s in model.steps if s is not None and s != "passthrough"]
    elif isinstance(model, FrozenEstimator):
        parts = [("estimator", model.estimator)]
    elif hasattr(model, "features_") and hasattr(model, "head_"):
        parts = [("features_", model.features_), ("head_", model.head_)]
    elif is_search(model):
        parts = [("estimator", getattr(model, "best_estimator_", model.estimator))]
    else:
        return [("", model)]
    steps = [
        (f"{name}__{inner}" if inner else name, step)
        for name, part in parts
        for inner, step in steps_of(part)
    ]
    # In front of other steps, a fine-tuned regressor gives its features.
    return [step for step in steps[:-1] if hasattr(step[1], "transform")] + steps[-1:]


def parts_of(model: Any) -> Iterator[Any]:
    """Yield every estimator inside: the steps, and what unions and wrappers among them hold."""
    for _, step in steps_of(model):
        yield step
        if hasattr(step, "get_params"):
            for part in step.get_params(deep=True).values():
                if isinstance(part, BaseEstimator):
                    yield part


def is_search(model: Any) -> bool:
    """Tell whether this is one of scikit-learn's searches, or one like them."""
    return all(hasattr(model, name) for name in ("estimator", "refit", "cv"))
