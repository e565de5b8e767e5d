"""What may be tried: dicts of distributions and lists, as numbers a sampler can handle."""

import itertools
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

# A distribution without bounds is infinite at 0 and 1.
_EDGE = 1e-9
_MOST_LISTED = 10_000  # candidates of a finite space that are written out one by one


@dataclass(frozen=True)
class Candidate:
    """One setting to try.

    Attributes
    ----------
    part : int
        Which of the dicts it belongs to.
    point : dict of str to int or float
        What a sampler knows it by: a list's index, a distribution's quantile.
    params : dict of str to object
        What the estimator is given.
    key : tuple
        Equal for equal settings; holds only integers and floats.
    """

    part: int
    point: dict[str, int | float]
    params: dict[str, Any]
    key: tuple[int | float, ...]


class SearchSpace:
    """The dicts of a search, checked.

    Parameters
    ----------
    search_spaces : dict or list of dict
        Parameters' names and, for each, a frozen distribution of SciPy or a list.

    Raises
    ------
    TypeError, ValueError
        If a dict, a distribution or a list isn't one that can be searched.
    """

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

    @property
    def size(self) -> float:
        """How many candidates there are; infinite with a continuous distribution."""
        return sum(math.prod(d.size for d in part.values()) for part in self.parts)

    def at(self, part: int, point: dict[str, int | float]) -> Candidate:
        """Return the candidate at a sampler's point."""
        dimensions = self.parts[part]
        params = {name: dimensions[name].value(point[name]) for name in dimensions}
        codes = (dimensions[name].code(point[name], params[name]) for name in dimensions)
        return Candidate(part, point, params, (part, *codes))

    def spread(self, n: int, rng: np.random.Generator) -> list[Candidate]:
        """Return candidates of a Latin hypercube: each of n equal shares of a prior has one."""
        width = 1 + max(len(part) for part in self.parts)
        designs = [_latin_hypercube(n, width, rng) for _ in range(20)]
        rows = max(designs, key=_least_distance)
        return [self._scaled(row) for row in rows]

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
            point = {name: d.point_of(params[name]) for name, d in dimensions.items()}
            known = {name: at for name, at in point.items() if at is not None}
            if len(known) == len(point):
                return self.at(part, known)
        return None

    def _scaled(self, row: np.ndarray) -> Candidate:
        part = min(int(row[0] * len(self.parts)), len(self.parts) - 1)
        dimensions = self.parts[part]
        point = {
            name: dimensions[name].scaled(float(row[1 + i])) for i, name in enumerate(dimensions)
        }
        return self.at(part, point)


class Choices:
    """A list, known by its indices; ordered if its numbers go up or down."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values
        self.ordered = _in_order(values)
        self.size: float = len(values)

    def value(self, point: int | float) -> Any:
        """Return the object at an index."""
        return self.values[int(point)]

    def code(self, point: int | float, value: Any) -> int:
        """Return what tells this value from the others."""
        return int(point)

    def scaled(self, u: float) -> int:
        """Return the index at a place between 0 and 1."""
        return min(int(u * len(self.values)), len(self.values) - 1)

    def points(self) -> Iterable[int]:
        """Return all indices."""
        return range(len(self.values))

    def point_of(self, value: Any) -> int | None:
        """Return the index of a value, None if it is not in the list."""
        for index, listed in enumerate(self.values):
            if listed is value or (type(listed) is type(value) and _plainly_equal(listed, value)):
                return index
        return None


class Quantiles:
    """A distribution, known by its quantiles: each is as likely as in random search."""

    ordered = True

    def __init__(self, distribution: Any) -> None:
        self.distribution = distribution
        kind = getattr(distribution, "dist", distribution)
        self.discrete = isinstance(kind, stats.rv_discrete)
        self._listed: np.ndarray | None = None
        self.size = math.inf
        if self.discrete:
            low, high = distribution.support()
            if hasattr(kind, "xk"):
                self._listed = np.ravel(kind.xk)
            elif high - low < _MOST_LISTED:
                self._listed = np.arange(low, high + 1)
        if self._listed is not None:
            self._listed = self._listed[distribution.pmf(self._listed) > 0]
            self.size = len(self._listed)

    def value(self, point: int | float) -> int | float:
        """Return a quantile."""
        value = float(self.distribution.ppf(min(max(point, _EDGE), 1.0 - _EDGE)))
        return int(value) if self.discrete and value.is_integer() else value

    def code(self, point: int | float, value: Any) -> int | float:
        """Return what tells this value from the others."""
        return value

    def scaled(self, u: float) -> float:
        """Return the quantile at a place between 0 and 1, which it is."""
        return u

    def points(self) -> Iterable[float]:
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


def _dimension(name: Any, values: Any) -> Choices | Quantiles:
    if not isinstance(name, str):
        raise TypeError(f"search_spaces has {name!r} for a parameter's name, which is no string.")
    if hasattr(values, "rvs"):
        if not hasattr(values, "ppf"):
            raise TypeError(
                f"The distribution of {name!r} has no ppf (quantiles): {values!r}. Give a frozen "
                "distribution of scipy.stats with one dimension, or a list."
            )
        try:
            middle = values.ppf(0.5)
        except TypeError as error:
            raise TypeError(
                f"The distribution of {name!r} lacks its shape: {values!r}. Give it frozen, "
                "like scipy.stats.loguniform(1e-3, 1e3)."
            ) from error
        if not np.all(np.isfinite(middle)) or np.ndim(middle):
            raise ValueError(
                f"The distribution of {name!r} has {middle!r} for a median, not one finite "
                "number. Its parameters are probably out of range."
            )
        return Quantiles(values)
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ValueError(
            f"The values of {name!r} are an array of shape {values.shape}; it must have one "
            "dimension."
        )
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise TypeError(
            f"search_spaces has {values!r} for {name!r}, which is neither a distribution nor a "
            "list. Put a single value into a list."
        )
    if len(values) == 0:
        raise ValueError(f"search_spaces has an empty list for {name!r}.")
    return Choices(list(values))


def _in_order(values: Sequence[Any]) -> bool:
    keys = [value if isinstance(value, tuple) else (value,) for value in values]
    if len({isinstance(value, tuple) for value in values}) > 1:
        return False
    if not all(
        isinstance(n, numbers.Real) and not isinstance(n, bool) for key in keys for n in key
    ):
        return False
    pairs = list(itertools.pairwise(keys))
    return all(a < b for a, b in pairs) or all(a > b for a, b in pairs)


def _plainly_equal(one: Any, other: Any) -> bool:
    # Arrays and estimators have no equality that is a truth value.
    plain = (str, bytes, numbers.Number, tuple, type(None))
    return isinstance(one, plain) and bool(one == other)


def _latin_hypercube(n: int, width: int, rng: np.random.Generator) -> np.ndarray:
    shares = np.column_stack([rng.permutation(n) for _ in range(width)])
    return (shares + rng.random((n, width))) / n


def _least_distance(rows: np.ndarray) -> float:
    if len(rows) < 2:
        return 0.0
    gaps = np.square(rows[:, None] - rows[None]).sum(axis=2)
    return float(gaps[np.triu_indices(len(rows), 1)].min())
