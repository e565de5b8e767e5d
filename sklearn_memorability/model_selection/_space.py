"""What a search may try: dicts of distributions and lists, as numbers that a sampler takes."""

import itertools
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.stats import qmc

_EDGE = 1e-9  # a distribution without bounds is infinite at 0 and 1
_MOST_LISTED = 10_000  # candidates of a finite space that are written out one by one


class Candidate(NamedTuple):
    """One setting to try: which dict, a sampler's numbers, an estimator's values, and a key."""

    part: int
    point: dict[str, int | float]
    params: dict[str, Any]
    key: tuple[int | float, ...]


class SearchSpace:
    """The dicts of a search, checked; errors name the parameter."""

    def __init__(self, search_spaces: Any) -> None:
        dicts = [search_spaces] if isinstance(search_spaces, Mapping) else list(search_spaces)
        if not dicts:
            raise ValueError("search_spaces is an empty list. Give at least one dict.")
        for given in dicts:
            if not isinstance(given, Mapping):
                raise TypeError(f"search_spaces must be a dict or a list of dicts, got {given!r}.")
        # Sorted, so that the order in which a dict was written decides nothing.
        self.parts: list[dict[str, Choices | Quantiles]] = [
            {name: _dimension(name, given[name]) for name in sorted(given)} for given in dicts
        ]
        self.size = sum(math.prod(d.size for d in part.values()) for part in self.parts)

    def at(self, part: int, point: dict[str, int | float]) -> Candidate:
        """Return the candidate at a sampler's point."""
        dimensions = self.parts[part]
        params = {name: dimensions[name].value(point[name]) for name in dimensions}
        codes = (dimensions[name].code(point[name], params[name]) for name in dimensions)
        return Candidate(part, point, params, (part, *codes))

    def spread(self, n: int, rng: np.random.Generator) -> list[Candidate]:
        """Return candidates of a Latin hypercube: each of n equal shares of a prior has one."""
        width = 1 + max(len(part) for part in self.parts)
        design = qmc.LatinHypercube(width, optimization="random-cd", seed=rng).random(n)
        return [self._scaled(row) for row in design]

    def draw(self, rng: np.random.Generator) -> Candidate:
        """Return a random candidate, a dict first and then each parameter by its prior."""
        return self._scaled(rng.random(1 + max(len(part) for part in self.parts)))

    def listed(self) -> Iterator[Candidate] | None:
        """Return every candidate, or None where there are too many."""
        if self.size > _MOST_LISTED:
            return None
        return (
            self.at(part, dict(zip(dimensions, point, strict=True)))
            for part, dimensions in enumerate(self.parts)
            for point in itertools.product(*(d.points() for d in dimensions.values()))
        )

    def holds(self, params: Mapping[str, Any]) -> Candidate | None:
        """Return the candidate that has an estimator's parameters, if there is one."""
        for part, dimensions in enumerate(self.parts):
            if not dimensions or not dimensions.keys() <= params.keys():
                continue
            points = {name: d.point_of(params[name]) for name, d in dimensions.items()}
            inside = {name: point for name, point in points.items() if point is not None}
            if len(inside) == len(points):
                return self.at(part, inside)
        return None

    def _scaled(self, row: np.ndarray) -> Candidate:
        part = min(int(row[0] * len(self.parts)), len(self.parts) - 1)
        shares = zip(self.parts[part].items(), row[1:], strict=False)
        return self.at(part, {name: d.scaled(float(share)) for (name, d), share in shares})


class Choices:
    """A list, known by its indices; ordered if its numbers go up or down."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.ordered = _is_sorted(values)
        self.size: float = len(values)

    def suggest(self, trial: Any, name: str) -> int:
        """Return the index that Optuna suggests."""
        if self.ordered:
            return int(trial.suggest_int(name, 0, len(self.values) - 1))
        return int(trial.suggest_categorical(name, range(len(self.values))))

    def value(self, point: int | float) -> Any:
        """Return the object at an index."""
        return self.values[int(point)]

    def code(self, point: int | float, value: Any) -> int:
        """Return what tells this value from the others."""
        return int(point)

    def scaled(self, share: float) -> int:
        """Return the index at a place between 0 and 1."""
        return min(int(share * len(self.values)), len(self.values) - 1)

    def points(self) -> Sequence[int]:
        """Return all indices."""
        return range(len(self.values))

    def point_of(self, value: Any) -> int | None:
        """Return the index of a value, None if it is not in the list."""
        # Arrays and estimators have no equality that is a truth value.
        plain = isinstance(value, str | bytes | numbers.Number | tuple | None)
        for index, listed in enumerate(self.values):
            if listed is value or (plain and type(listed) is type(value) and listed == value):
                return index
        return None


class Quantiles:
    """A distribution, known by its quantiles: each is as likely as in random search."""

    def __init__(self, distribution: Any) -> None:
        self.distribution = distribution
        kind = getattr(distribution, "dist", distribution)
        self.discrete = isinstance(kind, stats.rv_discrete)
        self._listed: np.ndarray | None = None
        if self.discrete:
            low, high = distribution.support()
            if hasattr(kind, "xk"):
                self._listed = np.ravel(kind.xk)
            elif high - low < _MOST_LISTED:
                self._listed = np.arange(low, high + 1)
        if self._listed is not None:
            self._listed = self._listed[distribution.pmf(self._listed) > 0]
        self.size = math.inf if self._listed is None else len(self._listed)

    def suggest(self, trial: Any, name: str) -> float:
        """Return the quantile that Optuna suggests."""
        return float(trial.suggest_float(name, 0.0, 1.0))

    def value(self, point: int | float) -> int | float:
        """Return the value at a quantile."""
        value = float(self.distribution.ppf(min(max(point, _EDGE), 1.0 - _EDGE)))
        return int(value) if self.discrete and value.is_integer() else value

    def code(self, point: int | float, value: Any) -> int | float:
        """Return what tells this value from the others."""
        return value

    def scaled(self, share: float) -> float:
        """Return the quantile at a place between 0 and 1, which it is."""
        return share

    def points(self) -> Sequence[float]:
        """Return a quantile for each value of a finite distribution."""
        values = np.asarray(self._listed)
        # The middle of each step, where rounding can't reach the next value.
        return (self.distribution.cdf(values) - self.distribution.pmf(values) / 2).tolist()

    def point_of(self, value: Any) -> float | None:
        """Return the quantile that is a value, None if it can't come from the distribution."""
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        low, high = self.distribution.support()
        if not low <= value <= high:
            return None
        point = float(self.distribution.cdf(value))
        if self.discrete:
            point -= float(self.distribution.pmf(value)) / 2
        return point if np.isclose(self.value(point), float(value), rtol=1e-9, atol=0) else None


def _dimension(name: str, values: Any) -> Choices | Quantiles:
    """Return a parameter's dimension, or raise an error that says why it can't be searched."""
    if hasattr(values, "rvs"):
        try:
            middle = values.ppf(0.5)
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"The distribution of {name!r} has no quantiles: {values!r}. Give a frozen "
                "distribution of scipy.stats with one dimension, like loguniform(1e-3, 1e3)."
            ) from error
        if not np.all(np.isfinite(middle)) or np.ndim(middle):
            raise ValueError(
                f"The distribution of {name!r} has {middle!r} for a median, not one finite "
                "number. Its parameters are probably out of range."
            )
        return Quantiles(values)
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(
            f"search_spaces has {values!r} for {name!r}, which is neither a distribution nor a "
            "list. Put a single value into a list."
        )
    if len(values) == 0:
        raise ValueError(f"search_spaces has an empty list for {name!r}.")
    return Choices(list(values))


def _is_sorted(values: list[Any]) -> bool:
    """Tell whether these are numbers, or tuples of numbers, that go up or down."""
    keys = [value if isinstance(value, tuple) else (value,) for value in values]
    if len({isinstance(value, tuple) for value in values}) > 1 or not all(
        isinstance(n, numbers.Real) and not isinstance(n, bool) for key in keys for n in key
    ):
        return False
    pairs = list(itertools.pairwise(keys))
    return all(a < b for a, b in pairs) or all(a > b for a, b in pairs)
