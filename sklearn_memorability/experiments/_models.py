"""The models of Table 1's rows, as they are or tuned by inner folds."""

from typing import Any

from sklearn.model_selection import GroupKFold, KFold, RandomizedSearchCV

from sklearn_memorability.experiments._published import FitRow
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, search_space, svr_regressor

_DRAWS = 8


def row_estimators(
    rows: list[FitRow],
    widths: dict[str, int],
    score_range: tuple[float, float],
    nested: int | None,
    grouped: bool,
    random_state: int,
) -> dict[str, Any]:
    """Return the estimator of each row, from features to scores.

    Parameters
    ----------
    rows : list of FitRow
        Rows of Table 1.
    widths : dict of str to int
        How many features there are of each kind.
    score_range : tuple of two floats
        The least and the largest score there can be.
    nested : int or None
        How many inner folds to tune by.
    grouped : bool
        Whether the inner folds keep groups together; ``fit`` then takes ``groups``.
    random_state : int
        Seeds the models, the inner folds and the draws.

    Returns
    -------
    dict of str to estimator
    """
    made = {}
    for row in rows:
        kinds = row.features.split(" + ")
        if row.model == "SVR":
            model = svr_regressor(cache_size=1000)
        else:
            model = mlp_regressor(
                n_classes=int(row.model.split()[1]),
                branches=tuple(widths[kind] for kind in kinds) if len(kinds) > 1 else None,
                score_range=score_range,
                random_state=random_state,
            )
        if nested:
            space = search_space(model, n_features=sum(widths[kind] for kind in kinds))
            model = _tuned(model, space, nested, grouped, random_state)
        made[row.key] = model
    return made


def _tuned(
    model: Any, space: dict[str, Any], nested: int, grouped: bool, random_state: int
) -> RandomizedSearchCV:
    folds = (GroupKFold if grouped else KFold)(nested, shuffle=True, random_state=random_state)
    return RandomizedSearchCV(
        model,
        space,
        n_iter=_DRAWS,
        scoring=spearman_scorer,
        cv=folds,
        random_state=random_state,
    )
