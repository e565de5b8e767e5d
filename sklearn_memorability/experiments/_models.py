"""The models of Table 1's rows, as they are or tuned by inner folds."""

from typing import Any

from scipy.stats import loguniform
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, RandomizedSearchCV

from sklearn_memorability.experiments._published import FitRow
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor

_SVR_GRID = {"model__C": [0.03, 0.1, 0.3, 1.0], "model__epsilon": [0.02, 0.05, 0.1]}
# Section 2.2: units a layer from 32 to 1024, dropout, ReLU or tanh, three optimisers.
# Layers (3), batch size (16) and epochs (10) were set by hand. Learning rates aren't
# stated; what suits Adam is far too small for plain SGD.
_MLP_SPACE = {
    "model__branch_sizes": [(32,), (64,), (128,), (256,), (512,), (1024,)],
    "model__hidden_layer_sizes": [(32,), (64,), (128,), (256,), (512,), (1024,)],
    "model__dropout": [0.2, 0.35, 0.5, 0.65, 0.8],
    "model__activation": ["relu", "tanh"],
    "model__optimizer": ["adam", "rmsprop", "sgd"],
    "model__lr": loguniform(1e-4, 1e-2),
}
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
        made[row.key] = model if not nested else _tuned(model, row, nested, grouped, random_state)
    return made


def _tuned(model: Any, row: FitRow, nested: int, grouped: bool, random_state: int) -> Any:
    folds = (GroupKFold if grouped else KFold)(nested, shuffle=True, random_state=random_state)
    shared = {"scoring": spearman_scorer, "cv": folds}
    if row.model == "SVR":
        return GridSearchCV(model, _SVR_GRID, **shared)
    return RandomizedSearchCV(model, _MLP_SPACE, n_iter=_DRAWS, random_state=random_state, **shared)
