"""Which candidate comes next: Optuna's sampler, asked and told."""

import logging
import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from sklearn_memorability.model_selection._space import Candidate, Choices, SearchSpace

_ATTEMPTS = 10  # to get a candidate from the sampler that is not yet known
_DRAWS = 1000  # random ones after that
_N_COMPARED = 24  # draws from where scores are good, of which the best one is asked
_GOOD = 0.2  # of the candidates
_FILTERING = threading.Lock()


class CandidateSampler:
    """Candidates one after the other, none twice.

    What ``ask`` returns depends on the seed, on how many were asked before and on what
    was told, and on nothing else.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    n_initial : int
        How many candidates are spread over the space before scores guide the search.
    first : Candidate or None
        One of these, if there is a candidate to begin with.
    """

    def __init__(
        self, space: SearchSpace, seed: int, n_initial: int, first: Candidate | None
    ) -> None:
        self._optuna = _import_optuna()
        self._space = space
        self._seed = seed
        spread = space.spread(n_initial, self._rng(0))
        self._initial = spread if first is None else [first, *spread[: n_initial - 1]]
        # A study for each dict, as TPE models parameters together only where they are all
        # there; and one that learns which dict is worth trying.
        self._studies = [self._new_study() for _ in space.parts]
        self._chooser = self._new_study() if len(space.parts) > 1 else None
        self._seen: set[tuple[int | float, ...]] = set()
        self._running: dict[tuple[int | float, ...], list[tuple[Any, Any]]] = {}
        self._n_asked = 0

    def batch(self, n: int) -> list[Candidate]:
        """Return the next n candidates, or as many as a finite space still has."""
        candidates: list[Candidate] = []
        while len(candidates) < n and (candidate := self.ask()) is not None:
            candidates.append(candidate)
        return candidates

    def ask(self) -> Candidate | None:
        """Return the next candidate, None if all of a finite space were returned."""
        self._n_asked += 1
        if self._n_asked <= len(self._initial):
            candidate = self._initial[self._n_asked - 1]
            if candidate.key not in self._seen:
                return self._started(candidate)
        else:
            for attempt in range(_ATTEMPTS):
                candidate, trials = self._suggested(attempt)
                if candidate.key not in self._seen:
                    self._seen.add(candidate.key)
                    self._running[candidate.key] = trials
                    return candidate
                for study, trial in trials:
                    study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        unseen = self._unseen()
        return None if unseen is None else self._started(unseen)

    def tell(self, candidate: Candidate, score: float) -> None:
        """Tell a candidate's score; one that is NaN counts as worse than all others."""
        for study, trial in self._running.pop(candidate.key):
            if math.isnan(score):
                # The sampler forgets trials that failed and would try their neighbours.
                study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
            else:
                study.tell(trial, score)

    def _suggested(self, attempt: int) -> tuple[Candidate, list[tuple[Any, Any]]]:
        trials = []
        part = 0
        if self._chooser is not None:
            self._chooser.sampler = self._new_sampler(attempt, stream=1)
            trial = self._chooser.ask({"part": self._categories(len(self._space.parts))})
            trials.append((self._chooser, trial))
            part = trial.params["part"]
        study = self._studies[part]
        study.sampler = self._new_sampler(attempt, stream=2)
        trial = study.ask(self._distributions(part))
        trials.append((study, trial))
        return self._space.at(part, dict(trial.params)), trials

    def _started(self, candidate: Candidate) -> Candidate:
        """Let the studies know of a candidate that is not theirs."""
        trials = []
        if self._chooser is not None:
            self._chooser.enqueue_trial({"part": candidate.part})
            categories = self._categories(len(self._space.parts))
            trials.append((self._chooser, self._chooser.ask({"part": categories})))
        study = self._studies[candidate.part]
        study.enqueue_trial(candidate.point)
        trials.append((study, study.ask(self._distributions(candidate.part))))
        self._seen.add(candidate.key)
        self._running[candidate.key] = trials
        return candidate

    def _unseen(self) -> Candidate | None:
        rng = self._rng(3, self._n_asked)
        listed = self._space.listed()
        if listed is not None:
            left = [candidate for candidate in listed if candidate.key not in self._seen]
            return left[rng.integers(len(left))] if left else None
        for _ in range(_DRAWS):
            candidate = self._space.draw(rng)
            if candidate.key not in self._seen:
                return candidate
        return None

    def _new_study(self) -> Any:
        with _without_log(self._optuna.storages.InMemoryStorage.__module__):
            return self._optuna.create_study(
                storage=self._optuna.storages.InMemoryStorage(), direction="maximize"
            )

    def _new_sampler(self, attempt: int, stream: int) -> Any:
        # A new one each time, as an old one's state would depend on whether the search
        # was interrupted.
        seed = self._rng(stream, self._n_asked, attempt).integers(2**32)
        # Filters are the process's, so threads take turns.
        with _FILTERING, warnings.catch_warnings():
            # Optuna 4 calls the last two options experimental; Optuna 5 has them by default,
            # but wants its users to do without gamma.
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", "`gamma` has been deprecated", FutureWarning)
            return self._optuna.samplers.TPESampler(
                seed=int(seed),
                n_startup_trials=1,
                n_ei_candidates=_N_COMPARED,
                gamma=_n_good,
                multivariate=True,
                constant_liar=True,
            )

    def _distributions(self, part: int) -> dict[str, Any]:
        return {
            name: self._distribution(dimension)
            for name, dimension in self._space.parts[part].items()
        }

    def _distribution(self, dimension: Any) -> Any:
        if not isinstance(dimension, Choices):
            return self._optuna.distributions.FloatDistribution(0.0, 1.0)
        if dimension.ordered:
            return self._optuna.distributions.IntDistribution(0, len(dimension.values) - 1)
        return self._categories(len(dimension.values))

    def _categories(self, n: int) -> Any:
        return self._optuna.distributions.CategoricalDistribution(range(n))

    def _rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *stream])


def _n_good(n_finished: int) -> int:
    # Optuna's own tenth is a single candidate until there are ten, from which little is
    # learned; with a fifth, short searches get further.
    return math.ceil(_GOOD * n_finished)


def _import_optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "BayesSearchCV needs Optuna, which is not installed. Install it with "
            'pip install "sklearn-memorability[search]".'
        ) from error
    return optuna


@contextmanager
def _without_log(name: str) -> Iterator[None]:
    """Keep this thread's records out of a logger, whose level stays what it is."""
    thread = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    logger = logging.getLogger(name)
    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)
