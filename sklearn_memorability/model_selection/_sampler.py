"""Which candidate comes next, and the file that keeps what candidates came to: by Optuna."""

import json
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability._utils._fingerprint import fingerprint
from sklearn_memorability.model_selection._space import Candidate, SearchSpace

_ATTEMPTS = 10  # to get a candidate from Optuna that is new
_DRAWS = 1000  # random ones after that
_GOOD = 0.2  # of the candidates
_QUIET = threading.Lock()

Outcome = list[dict[str, Any]]
"""What scikit-learn has of a candidate: a dict for each fold."""


class CandidateSampler:
    """Candidates one after the other, none twice."""

    def __init__(
        self, space: SearchSpace, seed: int, n_initial: int, first: Candidate | None
    ) -> None:
        self._optuna = import_optuna()
        self._space = space
        self._rng = np.random.default_rng(seed)
        initial = space.spread(n_initial, self._rng)
        self._initial = initial if first is None else [first, *initial[: n_initial - 1]]
        self._seen: set[tuple[int | float, ...]] = set()
        self._running: dict[tuple[int | float, ...], Any] = {}
        with _quiet(self._optuna):
            sampler = self._optuna.samplers.TPESampler(
                seed=int(self._rng.integers(2**32)),
                n_startup_trials=1,
                # Optuna's own share is a single candidate until there are ten or more, from
                # which little is learned; with a fifth, short searches get further.
                gamma=lambda n_finished: math.ceil(_GOOD * n_finished),
                multivariate=True,
                group=len(space.parts) > 1,
                constant_liar=True,
                warn_independent_sampling=False,
            )
            self._study = self._optuna.create_study(sampler=sampler, direction="maximize")

    def batch(self, n: int) -> list[Candidate]:
        """Return the next n candidates, or as many as a finite space still has."""
        candidates: list[Candidate] = []
        while len(candidates) < n and (candidate := self.ask()) is not None:
            candidates.append(candidate)
        return candidates

    def ask(self) -> Candidate | None:
        """Return the next candidate, None if all of a finite space were returned."""
        while self._initial:
            candidate = self._initial.pop(0)
            if candidate.key not in self._seen:
                return self._given(candidate)
        for _ in range(_ATTEMPTS):
            trial = self._study.ask()
            candidate = self._suggested(trial)
            if candidate.key not in self._seen:
                return self._started(candidate, trial)
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        unseen = self._unseen()
        return None if unseen is None else self._given(unseen)

    def tell(self, candidate: Candidate, score: float) -> None:
        """Tell a candidate's score; one that is NaN counts as worse than all others."""
        trial = self._running.pop(candidate.key)
        if math.isnan(score):
            # Optuna forgets trials that failed and would try their neighbours.
            self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial, score)

    def _suggested(self, trial: Any) -> Candidate:
        n_parts = len(self._space.parts)
        part = trial.suggest_categorical("part", range(n_parts)) if n_parts > 1 else 0
        dimensions = self._space.parts[part].items()
        return self._space.at(
            part, {name: d.suggest(trial, f"{part}.{name}") for name, d in dimensions}
        )

    def _given(self, candidate: Candidate) -> Candidate:
        """Let the study know of a candidate that it has not suggested."""
        point = {f"{candidate.part}.{name}": value for name, value in candidate.point.items()}
        self._study.enqueue_trial({"part": candidate.part, **point})
        trial = self._study.ask()
        self._suggested(trial)
        return self._started(candidate, trial)

    def _started(self, candidate: Candidate, trial: Any) -> Candidate:
        self._seen.add(candidate.key)
        self._running[candidate.key] = trial
        return candidate

    def _unseen(self) -> Candidate | None:
        listed = self._space.listed()
        if listed is not None:
            left = [candidate for candidate in listed if candidate.key not in self._seen]
            return left[self._rng.integers(len(left))] if left else None
        draws = (self._space.draw(self._rng) for _ in range(_DRAWS))
        return next((candidate for candidate in draws if candidate.key not in self._seen), None)


class KeptTrials:
    """The finished candidates of one search, in an Optuna journal (a line of JSON for each)."""

    def __init__(self, path: str | os.PathLike[str], search: str) -> None:
        optuna = import_optuna()
        self._path = Path(path)
        if self._path.is_dir():
            raise ValueError(f"storage={str(path)!r} is a folder. Give the path of a file.")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._trial = optuna.trial
        self._is_open = True
        # Unlike Optuna's other lock, it needs no symbolic links.
        lock = optuna.storages.journal.JournalFileOpenLock(str(path))
        try:
            with _quiet(optuna):
                storage = optuna.storages.JournalStorage(
                    optuna.storages.journal.JournalFileBackend(str(path), lock)
                )
                _drop_unfinished_line(self._path, lock)
                self._study = optuna.create_study(
                    study_name=search, storage=storage, direction="maximize", load_if_exists=True
                )
            self._outcomes = {}
            for trial in self._study.get_trials(deepcopy=False):
                known = trial.user_attrs
                if known["check"] != _check_sum(known["candidate"], known["folds"]):
                    raise ValueError("a trial is not what was written")
                self._outcomes[tuple(known["candidate"])] = known["folds"]
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise ValueError(
                f"storage={str(path)!r} is damaged, or no file of a search. Give another path, or "
                "remove the file."
            ) from error

    def get(self, candidate: Candidate) -> Outcome | None:
        """Return what was kept of a candidate, None if there is nothing."""
        return self._outcomes.get(candidate.key)

    def put(self, candidate: Candidate, outcome: Outcome, score: float) -> None:
        """Keep what a candidate came to; on a full disk warn, and keep nothing more."""
        if not self._is_open:
            return
        failed = math.isnan(score)
        trial = self._trial.create_trial(
            state=self._trial.TrialState.PRUNED if failed else self._trial.TrialState.COMPLETE,
            value=None if failed else score,
            user_attrs={
                "candidate": _plain(candidate.key),
                "params": {name: repr(value) for name, value in candidate.params.items()},
                "folds": _plain(outcome),
                "check": _check_sum(_plain(candidate.key), _plain(outcome)),
            },
        )
        try:
            self._study.add_trial(trial)
        except OSError as error:
            self._is_open = False
            warnings.warn(
                f"A candidate can't be kept in storage={str(self._path)!r}: "
                f"{error.strerror or error}. The search goes on; should it be interrupted, "
                "candidates that are not kept are fitted again.",
                UserWarning,
                stacklevel=2,
            )


def _check_sum(key: Any, folds: Any) -> str:
    """Return what tells a trial from one that was damaged in the file."""
    return fingerprint(json.dumps([key, folds], sort_keys=True))


def import_optuna() -> Any:
    """Return Optuna, or raise an error that names the extra."""
    return import_extra("optuna", "BayesSearchCV", "search")


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna from logging each study, and from warning of the options used here."""
    # Both are settings of the process, so threads take turns.
    with _QUIET, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", r"`\w+` has been deprecated", FutureWarning)
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(level)


def _drop_unfinished_line(path: Path, lock: Any) -> None:
    """Remove what a killed process or a full disk left of a line; Optuna would append to it."""
    lock.acquire()
    try:
        rest = path.read_bytes().rpartition(b"\n")[2]
        start = b'{"op_code":'
        if rest[: len(start)] != start[: len(rest)]:
            raise ValueError(f"unknown last line: {rest[:40]!r}")
        if rest:
            os.truncate(path, path.stat().st_size - len(rest))
    finally:
        lock.release()


def _plain(value: Any) -> Any:
    """Return numbers, text and containers as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, str | int) else float(value)
