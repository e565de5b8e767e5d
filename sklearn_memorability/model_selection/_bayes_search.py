"""A search over parameters that learns from the candidates it has tried."""

import numbers
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sklearn
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _insert_error_scores
from sklearn.utils import check_random_state, indexable
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import process_routing

from sklearn_memorability._utils._fingerprint import fingerprint
from sklearn_memorability.model_selection._sampler import (
    CandidateSampler,
    KeptTrials,
    Outcome,
    import_optuna,
)
from sklearn_memorability.model_selection._space import Candidate, SearchSpace


class BayesSearchCV(BaseSearchCV):
    """Search for the best parameters, guided by the scores of those already tried.

    Used like scikit-learn's ``RandomizedSearchCV``, with the same search spaces. After a
    few candidates spread over the space, each next one comes from Optuna's tree-structured
    Parzen estimator: it models where good candidates are and where the others are, and
    takes one that is likelier among the good ones. Needs Optuna
    (``pip install "sklearn-memorability[search]"``).

    Parameters
    ----------
    estimator : estimator object
        What is tuned. It has a ``score`` method or ``scoring`` is given. If its own
        parameters lie in the space, they are the first candidate.
    search_spaces : dict or list of dict
        Parameters' names and, for each, a frozen one-dimensional distribution of
        ``scipy.stats`` or a list of any objects. Of several dicts each candidate takes
        its parameters from one. Lists of numbers, or of tuples of numbers, that go up or
        down are searched in their order; other lists as unordered categories. A
        distribution is searched by its quantiles, so what is likely in a random search is
        likely before this one has learned anything.
    n_iter : int, default=30
        How many candidates are evaluated; fewer if the space has no more.
    n_initial : int, default=4
        How many of them are spread over the space before scores guide the search.
    batch_size : int, default=1
        How many candidates are chosen at a time, without each other's scores. Only the
        folds of one batch can be fitted in parallel: with many processors and few folds,
        a larger batch is faster, though it learns a little less from each candidate.
    scoring : str, callable, list, tuple or dict, default=None
        As in ``RandomizedSearchCV``. With several metrics, ``refit`` has to name the one
        that guides the search.
    n_jobs : int or None, default=None
        Fits at the same time. The result doesn't depend on it.
    refit : bool, str or callable, default=True
        As in ``RandomizedSearchCV``.
    cv : int, cross-validation generator or iterable, default=None
        As in ``RandomizedSearchCV``. All candidates get the same splits, also from a
        splitter that shuffles with ``random_state=None``.
    verbose : int, default=0
        As in ``RandomizedSearchCV``.
    pre_dispatch : int or str, default='2*n_jobs'
        As in ``RandomizedSearchCV``.
    random_state : int, RandomState instance or None, default=None
        Decides the candidates, together with the scores. None draws it from NumPy.
    error_score : 'raise' or float, default=np.nan
        The score of a fit that fails. A candidate whose mean score is NaN guides the search
        as one worse than all that succeed.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores on the training parts.
    storage : str or path-like, default=None
        A file in which finished candidates are kept, an Optuna journal. If ``fit`` is
        interrupted and called again, it goes on after the last finished batch; if ``n_iter``
        is raised, after the last candidate. Nothing is reused once the data, weights, splits,
        parameters of the estimator, spaces, scoring, seed or version of scikit-learn are
        others, so one file serves any number of searches, also in several processes at once.
        Needs an integer or a generator as ``random_state``.

    Attributes
    ----------
    cv_results_ : dict of arrays
        As in ``RandomizedSearchCV``, in the order in which candidates were chosen.
    best_estimator_ : estimator
        The estimator with the best parameters, fitted on all data. Only with ``refit``.
    best_score_ : float
        Mean score of the best candidate over the folds.
    best_params_ : dict
        Parameters of the best candidate.
    best_index_ : int
        Its place in ``cv_results_``.
    scorer_ : callable or dict
        What scored the candidates.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Seconds the last fit took. Only with ``refit``.
    multimetric_ : bool
        Whether there are several metrics.
    classes_ : ndarray
        Of a classifier.
    n_features_in_ : int
        If the best estimator has it.
    feature_names_in_ : ndarray
        If the best estimator has it.

    See Also
    --------
    sklearn.model_selection.RandomizedSearchCV : Candidates at random.
    sklearn.model_selection.GridSearchCV : All candidates of a grid.

    Notes
    -----
    The sampler is that of Bergstra, Bardenet, Bengio and Kégl, "Algorithms for
    Hyper-Parameter Optimization" (NIPS 2011), section 4, with all parameters of a dict
    modelled together. A batch's candidates keep away from each other as if those that are
    being fitted had scored badly ("constant liar").

    For ``storage``, data and parameters count by their value, a file named in ``X`` by its size
    and time of change, functions and classes by their name: after a change of your own code,
    give another file. What can't be pickled, such as a ``lambda``, is never known again.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.svm import SVR
    >>> from sklearn_memorability.model_selection import BayesSearchCV
    >>> X, y = make_regression(60, 5, noise=5, random_state=0)
    >>> spaces = {"C": loguniform(1e-2, 1e4), "kernel": ["rbf", "linear"]}
    >>> search = BayesSearchCV(SVR(), spaces, n_iter=15, random_state=0).fit(X, y)
    >>> search.best_params_["kernel"], len(search.cv_results_["params"])
    ('linear', 15)
    >>> print(f"{search.best_score_:.2f}")
    1.00
    """

    cv: Any
    _parameter_constraints: dict = {  # noqa: RUF012 (scikit-learn's way)
        **BaseSearchCV._parameter_constraints,
        "search_spaces": [dict, list],
        "n_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "n_initial": [Interval(numbers.Integral, 1, None, closed="left")],
        "batch_size": [Interval(numbers.Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "storage": [str, os.PathLike, None],
    }

    def __init__(
        self,
        estimator: Any,
        search_spaces: Any,
        *,
        n_iter: int = 30,
        n_initial: int = 4,
        batch_size: int = 1,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        storage: str | os.PathLike[str] | None = None,
    ) -> None:
        self.search_spaces = search_spaces
        self.n_iter = n_iter
        self.n_initial = n_initial
        self.batch_size = batch_size
        self.random_state = random_state
        self.storage = storage
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    @_fit_context(prefer_skip_nested_validation=False)  # an estimator inside isn't validated yet
    def fit(self, X: Any, y: Any = None, **params: Any) -> "BayesSearchCV":
        """Search, and fit the estimator with the best parameters.

        Parameters
        ----------
        X : array-like, or whatever the estimator takes
            Data, one row for each sample.
        y : array-like, default=None
            Targets.
        **params : dict
            Passed on to the estimator, the scorer and the splitter (``groups``), as in
            ``RandomizedSearchCV``.

        Returns
        -------
        BayesSearchCV
            Itself.

        Raises
        ------
        ImportError
            If Optuna is not installed.
        ValueError, TypeError
            If a search space can't be searched, if several metrics are computed and ``refit``
            names none of them, if ``storage`` is no file of a search, or if all fits failed.
        """
        X, y = indexable(X, y)
        given = self.cv
        if isinstance(given, Iterator):
            self.cv = list(given)  # an iterator can be gone through only once
        try:
            self._run = self._begin(X, y, params)
            return super().fit(X, y, **params)
        finally:
            self.cv = given
            self.__dict__.pop("_run", None)

    def __getstate__(self) -> dict[str, Any]:
        # Workers get a copy of the search; its run concerns the first process alone.
        return {name: value for name, value in super().__getstate__().items() if name != "_run"}

    def _begin(self, X: Any, y: Any, params: dict[str, Any]) -> "_Run":
        import_optuna()
        if _names_of(self.scoring) and not isinstance(self.refit, str):
            raise ValueError(_no_guide(self.refit, _names_of(self.scoring)))
        if self.storage is not None and self.random_state is None:
            raise ValueError(
                "storage= is for going on with a search, but with random_state=None each search "
                "is another. Give random_state an integer."
            )
        space = SearchSpace(self.search_spaces)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        routing = sklearn.get_config()["enable_metadata_routing"]
        if routing:
            split_params = process_routing(self, "fit", **params).splitter.split
        else:
            split_params = {"groups": params.get("groups")}
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = _Splits(list(splitter.split(X, y, **split_params)))
        kept = None
        if self.storage is not None:
            search = fingerprint(
                *(X, y, params, splits.pairs, self.estimator, self.search_spaces, seed),
                *(self.scoring, self.refit if isinstance(self.refit, str) else None),
                *(self.error_score, self.return_train_score, routing, sklearn.__version__),
            )
            kept = KeptTrials(self.storage, search)
        first = space.holds(self.estimator.get_params())
        return _Run(CandidateSampler(space, seed, self.n_initial, first), splits, kept)

    def _run_search(self, evaluate_candidates: Callable[..., Any]) -> None:
        run = self._run
        failure: ValueError | None = None
        while batch := run.sampler.batch(min(self.batch_size, self.n_iter - len(run.finished))):
            outcomes = {c.key: run.kept.get(c) if run.kept else None for c in batch}
            missing = [candidate for candidate in batch if outcomes[candidate.key] is None]
            if missing:
                fitted, error = self._fitted(missing, evaluate_candidates)
                failure = error or failure
                outcomes |= {c.key: o for c, o in zip(missing, fitted, strict=True)}
            for candidate in batch:
                outcome = outcomes[candidate.key] or []
                score = self._score_of(outcome)
                if run.kept and candidate in missing:
                    run.kept.put(candidate, outcome, score)
                run.finished.append((candidate, outcome))
                run.sampler.tell(candidate, score)
        if not run.evaluated:
            # scikit-learn takes from a fit of its own what scores look like.
            again = run.quickest_success()
            if again is None and failure is not None:
                raise failure
            evaluate_candidates([(again or run.finished[0][0]).params], cv=run.splits)
        if all(np.isnan(self._score_of(outcome)) for _, outcome in run.finished):
            self._say_no_score()
        out = [dict(fold) for _, outcome in run.finished for fold in outcome]
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        settings = [candidate.params for candidate, _ in run.finished]
        run.results.update(super()._format_results(settings, len(run.splits.pairs), out))

    def _say_no_score(self) -> None:
        """Raise or warn, as for a fit that failed, if there is nothing to choose by."""
        what = (
            "No candidate has a score, as one fold at least has none for any of them. Scores that "
            "are all the same have no rank correlation: StratifiedScoreKFold makes folds alike."
        )
        if self.error_score == "raise":
            raise ValueError(what)
        warnings.warn(f"{what} best_index_ is that of the first.", UserWarning, stacklevel=2)

    def _fitted(
        self, candidates: list[Candidate], evaluate: Callable[..., Any]
    ) -> tuple[list[Outcome], ValueError | None]:
        """Return what candidates come to, and what scikit-learn raised if all of them failed."""
        n_splits = len(self._run.splits.pairs)
        for candidate in candidates:  # an unknown parameter is an error, not a fit that fails
            clone(self.estimator).set_params(**clone(candidate.params, safe=False))
        started = time.perf_counter()
        try:
            evaluate([candidate.params for candidate in candidates], cv=self._run.splits)
        except ValueError as error:
            # For scikit-learn a search in which all fits fail is a mistake of the user's.
            # Here it is one batch of many.
            if self.error_score == "raise":
                raise
            warnings.warn(str(error), FitFailedWarning, stacklevel=2)
            seconds = (time.perf_counter() - started) / len(candidates) / n_splits
            return [self._failed(str(error), seconds) for _ in candidates], error
        out = self._run.evaluated[-n_splits * len(candidates) :]
        return [out[i : i + n_splits] for i in range(0, len(out), n_splits)], None

    def _failed(self, error: str, seconds: float) -> Outcome:
        """Return what scikit-learn has of a candidate of which no fold could be fitted."""
        names = _names_of(self.scoring)
        scores = dict.fromkeys(names, self.error_score) if names else self.error_score
        return [
            {
                "fit_error": error,
                "fit_time": seconds,
                "score_time": 0.0,
                "n_test_samples": len(test),
                "test_scores": scores,
                **({"train_scores": scores} if self.return_train_score else {}),
            }
            for _, test in self._run.splits.pairs
        ]

    def _score_of(self, outcome: Outcome) -> float:
        """Return a candidate's mean score over the folds, of the metric that guides."""
        scores = [fold["test_scores"] for fold in outcome]
        names = next((list(one) for one in scores if isinstance(one, dict)), [])
        if names and self.refit not in names:
            raise ValueError(_no_guide(self.refit, names))
        return float(np.mean([one[self.refit] if isinstance(one, dict) else one for one in scores]))

    def _format_results(
        self,
        candidate_params: list[dict[str, Any]],
        n_splits: int,
        out: list[dict[str, Any]],
        more_results: Any = None,
    ) -> dict[str, Any]:
        # Called after each batch with all that was fitted so far. What is kept in a file
        # belongs between these, so the results are put together when the search ends.
        self._run.evaluated = out
        return self._run.results


class _Splits:
    """The splits of one fit; a splitter that shuffles without a seed would make others."""

    def __init__(self, pairs: list[tuple[Any, Any]]) -> None:
        self.pairs = pairs

    def split(self, X: Any, y: Any = None, **params: Any) -> Iterator[tuple[Any, Any]]:
        """Return the splits, whatever is given."""
        return iter(self.pairs)


@dataclass
class _Run:
    """One fit: ``results`` becomes ``cv_results_``; it is empty until the search ends."""

    sampler: CandidateSampler
    splits: _Splits
    kept: KeptTrials | None
    results: dict[str, Any] = field(default_factory=dict)
    finished: list[tuple[Candidate, Outcome]] = field(default_factory=list)
    evaluated: Outcome = field(default_factory=list)

    def quickest_success(self) -> Candidate | None:
        """Return the finished candidate that is fitted the fastest, None if all failed."""
        seconds = {
            i: sum(fold["fit_time"] for fold in outcome)
            for i, (_, outcome) in enumerate(self.finished)
            if any(fold["fit_error"] is None for fold in outcome)
        }
        return self.finished[min(seconds, key=seconds.__getitem__)][0] if seconds else None


def _names_of(scoring: Any) -> list[str]:
    """Return the names of several metrics, none if there is one."""
    return list(scoring) if isinstance(scoring, list | tuple | set | dict) else []


def _no_guide(refit: Any, names: list[str]) -> str:
    return (
        f"With several metrics ({', '.join(map(repr, names))}) refit must name the one that guides "
        f"the search, got refit={refit!r}. For another choice of the best candidate, look at "
        "cv_results_."
    )
