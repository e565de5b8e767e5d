"""Which of several models is better, and whether the difference is more than chance."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state, indexable
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.model_selection._folds import check_scores
from sklearn_memorability.model_selection._paired import (
    Estimate,
    corrected_t_test,
    holm,
    make_folds,
    score_models,
)


@validate_params(
    {
        "models": [Mapping],
        "scoring": [str, callable, None],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def compare(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    *,
    cv: Any = None,
    groups: ArrayLike | None = None,
    scoring: Any = None,
    baseline: str | None = None,
    confidence_level: float = 0.95,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    params: dict[str, Any] | None = None,
) -> "Comparison":
    """Score models on the same folds and test their differences.

    Two models never score the same, and most of a small difference is chance: which
    images were trained on and which were tested. A correlation of .65 against .64 on one
    set of five folds, as between the rows of the paper that this package is made after [1]_,
    is no evidence that one model is better.

    Parameters
    ----------
    models : mapping of str to estimator
        Two models or more under their names. They are cloned, not fitted.
    X : array-like of shape (n_samples, ...)
        The images or their features: what the models take.
    y : array-like of shape (n_samples,)
        The scores.
    cv : int, splitter or iterable of (train, test), optional
        The folds. A number stands for so many of :class:`StratifiedScoreKFold`, shuffled
        once. By default five, shuffled three times anew (15 fits of each model): see Notes.
        With ``groups``, :class:`~sklearn.model_selection.GroupKFold` is used instead.
    groups : array-like of shape (n_samples,), optional
        Which images belong together. Passed to the splitter.
    scoring : str or callable, optional
        As in :func:`~sklearn.model_selection.cross_validate`; higher is better. By default
        Spearman's correlation, :data:`~sklearn_memorability.metrics.spearman_scorer`.
    baseline : str, optional
        The model that the others are compared with, chosen before seeing any score. By
        default the one with the best mean.
    confidence_level : float, default=0.95
        The level of each interval, which is not adjusted for their number.
    n_jobs : int, optional
        How many fits (a model on a fold) run at once, by joblib. It changes no result.
    random_state : int, RandomState instance or None, default=None
        Shuffles the folds. Models have their own.
    params : dict, optional
        More for ``fit`` (or what scikit-learn's metadata routing makes of it), as in
        :func:`~sklearn.model_selection.cross_validate`: ``{"sample_weight": weights}``.

    Returns
    -------
    Comparison
        ``print`` it. It has the ``rows`` of the table, best model first, which
        ``pandas.DataFrame`` takes too, and the ``fold_scores``.

    Raises
    ------
    ValueError
        If there are fewer than two models, none called ``baseline``, an argument is not one
        of those named above, or no model (or not the baseline) has a score on all folds.
        What a model raises is passed on, with a note that names the model and the fold.

    See Also
    --------
    sklearn_memorability.metrics.spearman_interval : How sure one model's correlation is.

    Notes
    -----
    The corrected resampled t-test [2]_ takes (1/k + n_test/n_train) s² as the variance of
    the mean difference, with the variance s² of the k folds' differences and the mean
    ratio of their sizes, and k - 1 degrees of freedom. The plain paired t-test takes s²/k, as
    if folds shared no images. ``benchmarks/comparison.py`` counts how often either finds a
    difference at 5 % between two models that are equally good, and the corrected one
    between models whose correlations are .42 and .49 (400 studies of 250 images; the
    first two columns should be 5 %):

    ===================  =======  ===========  ==========
    folds                plain t  corrected t  its power
    ===================  =======  ===========  ==========
    5                      7.0 %        2.8 %       7.8 %
    3 rounds of 5         32.2 %        5.2 %      16.8 %
    10 rounds of 5        56.2 %        5.0 %      21.5 %
    10 rounds of 10       53.8 %        4.5 %      21.8 %
    ===================  =======  ===========  ==========

    So one round misses what there is, and three are the default. For 100 to 600 images
    with 5 to 60 features, they find 2.2 to 6.0 % where there is nothing. Ten
    rounds find more of what there is, but also 5.2 to 8.2 % where there is nothing. With
    images in 20 groups,
    :class:`~sklearn.model_selection.GroupKFold` finds 5.2 %, :class:`StratifiedGroupScoreKFold`
    10.8 %, as its rounds are too alike, and folds that split groups 20.2 %.

    The best of several models is chosen by the same scores that it is then tested with.
    Without a ``baseline``, Holm's adjustment [3]_ therefore counts all pairs of models, of
    which those with the best are shown; with one, each other model counts once. Of studies of
    eight equally good models, 4.2 % then have a false alarm; 11.8 % if only the pairs
    with the best were counted, and 46 % without adjustment. The intervals and ``p_value``
    are not adjusted. The best model's own score is optimistic, too: report that of
    images which had no part in the choice.

    References
    ----------
    .. [1] Squalli-Houssaini, Duong, Gwenaëlle and Demarty, "Deep learning for predicting
       image memorability", ICASSP 2018.
    .. [2] Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52,
       2003.
    .. [3] Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
       Journal of Statistics 6, 1979.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from sklearn_memorability.datasets import load_things_concepts
    >>> from sklearn_memorability.model_selection import compare
    >>> X, y = load_things_concepts(return_X_y=True)
    >>> models = {
    ...     "tree": DecisionTreeRegressor(max_depth=4, random_state=0),
    ...     "ridge": Ridge(alpha=1),
    ...     "ridge, 10": Ridge(alpha=10),
    ... }
    >>> print(compare(models, X[:300], y[:300], random_state=0))
    model      spearman       difference      95% interval      p      p adjusted
    ridge, 10  0.616 ± 0.035  reference
    ridge      0.578 ± 0.037  -0.038 ± 0.019  -0.078 to +0.002  0.058  0.058
    tree       0.322 ± 0.052  -0.294 ± 0.054  -0.410 to -0.178  <.001  <.001
    <BLANKLINE>
    Test: corrected resampled t-test; ± is one standard error.
    Folds: StratifiedScoreKFold(n_splits=5) shuffled 3 times, 15 folds, 240 images to train
    on and 60 to test; random_state=0.
    Adjusted by Holm's procedure for 3 tests: all pairs, as the best was chosen by its score.
    """
    names = list(models)
    if len(names) < 2:
        raise ValueError(f"models={models!r} has fewer than two models.")
    if baseline is not None and baseline not in names:
        raise ValueError(f"baseline={baseline!r} is none of the models, {names}.")
    X, y, groups = indexable(X, y, groups)
    y = check_scores(y)
    seed = _seed(random_state)
    rng = check_random_state(seed)
    splits, described = make_folds(cv, X, y, groups, rng)
    if len(splits) < 2:
        raise ValueError("cv gives one fold; a test of differences needs two or more.")
    sizes = np.array([(len(train), len(tested)) for train, tested in splits])
    fold_scores = score_models(models, X, y, splits, scoring or spearman_scorer, n_jobs, params)
    test_to_train = float(np.mean(sizes[:, 1] / sizes[:, 0]))
    estimate = partial(_estimate, fold_scores, test_to_train, confidence_level)
    rows, n_tests = _rows(names, fold_scores, estimate, baseline)
    return Comparison(
        rows=rows,
        fold_scores=dict(zip(names, fold_scores, strict=True)),
        score="spearman" if scoring is None or scoring is spearman_scorer else str(scoring),
        folds=described,
        n_train=float(np.mean(sizes[:, 0])),
        n_test=float(np.mean(sizes[:, 1])),
        baseline=baseline,
        confidence_level=confidence_level,
        n_tests=n_tests,
        random_state=seed,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Models' scores on the same folds, and how they differ from one of them.

    Returned by :func:`compare`; ``print`` shows it.

    Parameters
    ----------
    rows : list of dict
        One of each model, best first: ``model``; ``score``, its mean over folds, and the
        mean's ``standard_error``; ``difference``, its score less the reference's, with
        ``difference_standard_error``, ``difference_low`` and ``difference_high``; the
        ``p_value`` of no difference, and ``p_adjusted`` unless ``correction`` is None. All
        from ``difference`` on are None for the reference.
    fold_scores : dict of str to numpy.ndarray of shape (n_folds,)
        Each model's scores.
    score : str
        What the scores are.
    folds : str
        What made the folds.
    n_train, n_test : float
        A fold's mean numbers of images.
    baseline : str or None
        The reference, if it was chosen before; otherwise it is the best model.
    confidence_level : float
        The level of the intervals.
    n_tests : int
        For how many tests.
    random_state : int
        What makes the same comparison again.

    See Also
    --------
    compare : Makes it.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.datasets import make_regression
    >>> from sklearn_memorability.model_selection import compare
    >>> X, y = make_regression(60, 3, noise=1, random_state=0)
    >>> models = {"ridge": Ridge(), "stronger ridge": Ridge(alpha=1000)}
    >>> comparison = compare(models, X, y, random_state=0)
    >>> [row["model"] for row in comparison.rows], len(comparison.fold_scores["ridge"])
    (['ridge', 'stronger ridge'], 15)
    """

    rows: list[dict[str, Any]]
    fold_scores: dict[str, np.ndarray]
    score: str
    folds: str
    n_train: float
    n_test: float
    baseline: str | None
    confidence_level: float
    n_tests: int
    random_state: int

    def __str__(self) -> str:
        return "\n".join([*self._table(), "", *self._notes()])

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.rows)} models; print it to see it>"

    def _table(self) -> list[str]:
        level = f"{self.confidence_level:.0%} interval"
        heading = ["model", self.score, "difference", level, "p", "p adjusted"]
        table = [heading, *(list(self._cells(row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return [
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in table
        ]

    def _cells(self, row: dict[str, Any]) -> Iterator[str]:
        yield str(row["model"])
        yield f"{row['score']:.3f} ± {row['standard_error']:.3f}"
        if row["difference"] is None:
            yield "reference"
            yield from [""] * 3
            return
        yield f"{row['difference']:+.3f} ± {row['difference_standard_error']:.3f}"
        yield f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}"
        yield _p(row["p_value"])
        yield _p(row["p_adjusted"])

    def _notes(self) -> Iterator[str]:
        yield "Test: corrected resampled t-test; ± is one standard error."
        yield (
            f"Folds: {self.folds}, {self.n_train:.0f} images to train on and "
            f"{self.n_test:.0f} to test; random_state={self.random_state}."
        )
        which = "all pairs, as the best was chosen by its score"
        if self.baseline is not None:
            which = f"each model with {self.baseline}"
        yield f"Adjusted by Holm's procedure for {self.n_tests} tests: {which}."


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"


def _seed(random_state: Any) -> int:
    """Return the number with which the same folds can be had again."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def _estimate(
    fold_scores: np.ndarray,
    test_to_train: float,
    confidence_level: float,
    model: int,
    other: int | None = None,
) -> Estimate:
    """Estimate a model's score, or its difference to another model's."""
    base = 0.0 if other is None else fold_scores[other]
    return corrected_t_test(fold_scores[model] - base, test_to_train, confidence_level)


def _rows(
    names: list[str],
    fold_scores: np.ndarray,
    estimate: Callable[..., Estimate],
    baseline: str | None,
) -> tuple[list[dict[str, Any]], int]:
    """Return the table's rows, best model first, and how many tests were adjusted for."""
    means = fold_scores.mean(axis=1)
    if np.isnan(means).all() or (baseline is not None and np.isnan(means[names.index(baseline)])):
        who = "No model has" if baseline is None else f"The baseline {baseline!r} does not have"
        raise ValueError(f"{who} a score on every fold; there is nothing to compare with.")
    reference = int(np.nanargmax(means)) if baseline is None else names.index(baseline)
    if baseline is None:
        pairs = list(combinations(range(len(names)), 2))
    else:
        pairs = [(i, reference) for i in range(len(names)) if i != reference]
    p_values = np.array([estimate(*pair).p_value for pair in pairs])
    adjusted = dict(zip(map(frozenset, pairs), holm(p_values), strict=True))
    rows = []
    for i in np.argsort(-means, kind="stable"):
        mean = estimate(i)
        row = {"model": names[i], "score": mean.value, "standard_error": mean.standard_error}
        difference = None if i == reference else estimate(i, reference)
        row |= {
            "difference": difference and difference.value,
            "difference_standard_error": difference and difference.standard_error,
            "difference_low": difference and difference.low,
            "difference_high": difference and difference.high,
            "p_value": difference and difference.p_value,
            "p_adjusted": difference and float(adjusted[frozenset((i, reference))]),
        }
        rows.append(row)
    return rows, int(np.count_nonzero(~np.isnan(p_values)))
