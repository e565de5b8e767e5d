"""How well people agree with each other, and what that lets a predictor reach."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch, check_array, check_random_state, check_scalar

from sklearn_memorability._utils._found import refuse
from sklearn_memorability.metrics._rank import rank_correlation
from sklearn_memorability.metrics._recognition import check_correction, check_counts, score_counts


def split_half_consistency(
    responses: ArrayLike | None = None,
    *,
    new_responses: ArrayLike | None = None,
    hits: ArrayLike | None = None,
    misses: ArrayLike | None = None,
    false_alarms: ArrayLike | None = None,
    correct_rejections: ArrayLike | None = None,
    halves: Sequence[ArrayLike] | None = None,
    correction: str = "none",
    n_splits: int = 25,
    random_state: int | np.random.RandomState | None = None,
) -> Any:
    """Rank correlation of the scores from two random halves of the responses.

    Give the table of ``responses``, which is split by participants, or the counts of each
    image, or the scores of ``halves`` that were split before.

    Parameters
    ----------
    responses : array-like of shape (n_participants, n_images), optional
        1 where the participant recognised the repeated image, 0 where not, NaN where
        the participant did not see it repeated. A participant's several showings of one
        image can be given as their mean. :func:`response_table` makes it of trials.
    new_responses : array-like of shape (n_participants, n_images), optional
        1 where the participant took the new image for a repeated one, 0 where not, NaN
        where it was never new to the participant. Needed with ``responses`` for all
        corrections but ``"none"``.
    hits, misses, false_alarms, correct_rejections : array-like of shape (n_images,), optional
        Whole counts, as in :func:`memorability_score`, without ``responses``. False alarms
        and correct rejections are needed for all corrections but ``"none"``.
    halves : pair of array-like of shape (n_splits, n_images), optional
        The scores of the images from either half of the people, a row a split, where a set
        has these alone; NaN where an image has none. Nothing is left to ``correction``,
        ``n_splits`` and ``random_state`` then.
    correction : {"none", "difference", "balanced_accuracy", "d_prime"}, default="none"
        The score, as in :func:`memorability_score`.
    n_splits : int, default=25
        How many random splits to average over.
    random_state : int, RandomState instance or None, default=None
        Decides the splits.

    Returns
    -------
    sklearn.utils.Bunch
        With these fields.

        consistency : float
            Mean Spearman correlation between the halves.
        std : float
            Standard deviation of the splits. It tells how much the choice of halves
            matters; it is no standard error of ``consistency``.
        splits : ndarray of shape (n_splits,)
            The correlation of each split; NaN where a half's scores are all equal.
        reliability : float
            Consistency of the scores from all responses with as many new ones, by
            Spearman-Brown: 2r / (1 + r); 0.0 if r is negative.
        ceiling : float
            Square root of ``reliability``: about the correlation of the scores with
            images' true memorability, which no predictor can be expected to pass.
        n_images : int
            How many images have enough responses, at least two, to be in both halves; of
            given ``halves``, how many have both scores in any split.

    Raises
    ------
    ValueError
        If not just one of responses, counts and halves is given, they hold what they may
        not, ``n_splits`` is not positive, there are fewer than two participants, or no
        split has a correlation. Messages name participants and images.

    See Also
    --------
    memorability_score : The scores from all responses.

    Notes
    -----
    From a table, participants are split in halves, as in [1]_, and an image without a
    response in one half is left out of that split. From counts, each image's responses
    are split in halves of equal size (an odd one goes to either), independently of the
    other images: the hits in a half have the hypergeometric distribution. Counts do not
    tell who responded. So they treat an image's responses as independent, and that
    participants differ becomes noise. Where each participant saw but some of the
    images, it is noise in the scores, too, and both ways nearly agree. Where all participants
    saw all images, a generous participant raises every score alike and harms no order:
    then counts underrate the consistency, the more so the more participants differ (by
    .06 at .59 where their own hit rates have a standard deviation of .19; see
    ``benchmarks/consistency.py``).

    References
    ----------
    .. [1] Isola, Xiao, Torralba and Oliva, "What makes an image memorable?", CVPR 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.metrics import split_half_consistency
    >>> rng = np.random.default_rng(0)
    >>> hits = rng.binomial(80, rng.beta(4, 3, size=400))
    >>> found = split_half_consistency(hits=hits, misses=80 - hits, random_state=0)
    >>> round(found.consistency, 2), round(found.ceiling, 2)
    (0.85, 0.96)
    """
    check_scalar(n_splits, "n_splits", Integral, min_val=1)
    check_correction(correction)
    rng = check_random_state(random_state)
    counts_given = any(c is not None for c in (hits, misses, false_alarms, correct_rejections))
    tables_given = responses is not None or new_responses is not None
    if counts_given + tables_given + (halves is not None) != 1:
        raise ValueError(
            "Give one of responses (and new_responses), counts (hits and misses) and halves."
        )
    if halves is not None:
        n_images, *scores = _check_halves(halves)
    else:
        if counts_given:
            counts = check_counts(hits, misses, false_alarms, correct_rejections, correction)
            n_images, first, second = _halves_of_counts(counts, n_splits, rng)
        else:
            tables = _check_tables(responses, new_responses, correction)
            n_images, first, second = _halves_of_participants(tables, n_splits, rng)
        scores = [score_counts(first, correction), score_counts(second, correction)]
    splits = np.array([_correlation(a, b) for a, b in zip(*scores, strict=True)])
    if np.isnan(splits).all():
        raise ValueError(
            f"No split has a correlation: {n_images} images can be in both halves, and in each "
            "split the scores of a half are all equal."
        )
    consistency = float(np.nanmean(splits))
    reliability = reliability_of(consistency)
    return Bunch(
        consistency=consistency,
        std=float(np.nanstd(splits)),
        splits=splits,
        reliability=reliability,
        ceiling=math.sqrt(reliability),
        n_images=n_images,
    )


def reliability_of(consistency: float) -> float:
    """Return the reliability of all people's scores, of halves that agree so (Spearman-Brown)."""
    positive = max(consistency, 0.0)
    return 2 * positive / (1 + positive)


def _halves_of_counts(
    counts: dict[str, np.ndarray], n_splits: int, rng: np.random.RandomState
) -> tuple[int, list[np.ndarray], list[np.ndarray]]:
    """Return how many images can be split, and their counts in either half."""
    for name, count in counts.items():
        refuse(
            (f"{count[i]:g} in row {i}" for i in np.flatnonzero(count % 1)),
            f"{name} has counts that are not whole and can't be split",
        )
    whole = iter([count.astype(np.int64) for count in counts.values()])
    pairs = list(zip(whole, whole, strict=True))
    kept = np.all([yes + no > 1 for yes, no in pairs], axis=0)
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for yes, no in ((yes[kept], no[kept]) for yes, no in pairs):
        odd = rng.randint(2, size=(n_splits, len(yes))) * ((yes + no) % 2)
        size = (yes + no) // 2 + odd
        drawn = rng.hypergeometric(np.broadcast_to(yes, size.shape), no, size)
        first += [drawn, size - drawn]
        second += [yes - drawn, no - (size - drawn)]
    return int(np.count_nonzero(kept)), first, second


def _halves_of_participants(
    tables: list[np.ndarray], n_splits: int, rng: np.random.RandomState
) -> tuple[int, list[np.ndarray], list[np.ndarray]]:
    """Return how many images can be split, and all images' counts in either half."""
    n_participants = len(tables[0])
    in_first = np.zeros((n_splits, n_participants))
    for row in in_first:
        row[rng.permutation(n_participants)[: n_participants // 2]] = 1
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for table in tables:
        yes, no = np.nan_to_num(table), np.nan_to_num(1 - table)
        first += [in_first @ yes, in_first @ no]
        second += [(1 - in_first) @ yes, (1 - in_first) @ no]
    split = np.all([np.count_nonzero(~np.isnan(t), axis=0) > 1 for t in tables], axis=0)
    return int(np.count_nonzero(split)), first, second


def _check_halves(halves: Sequence[ArrayLike]) -> tuple[int, np.ndarray, np.ndarray]:
    """Return how many images have scores in both halves, and the halves' scores."""
    both = [
        check_array(half, dtype=np.float64, ensure_all_finite="allow-nan", input_name="halves")
        for half in halves
    ]
    if len(both) != 2 or both[0].shape != both[1].shape:
        raise ValueError(
            "halves must be two arrays of the same shape (n_splits, n_images), but have the "
            f"shapes {[half.shape for half in both]}."
        )
    return int(np.isfinite(both[0] + both[1]).any(axis=0).sum()), both[0], both[1]


def _check_tables(
    responses: ArrayLike | None, new_responses: ArrayLike | None, correction: str
) -> list[np.ndarray]:
    given = {"responses": responses}
    if correction != "none":
        given["new_responses"] = new_responses
    tables: list[np.ndarray] = []
    for name, values in given.items():
        if values is None:
            raise ValueError(f"correction={correction!r} needs {name}.")
        table = check_array(
            values, dtype=np.float64, ensure_all_finite="allow-nan", input_name=name
        )
        if len(table) < 2:
            raise ValueError(f"{name} has 1 participant (row); a split needs two or more.")
        refuse(
            (
                f"{table[i, j]:g} of participant {i} for image {j}"
                for i, j in np.argwhere((table < 0) | (table > 1))
            ),
            f"{name} must be 1, 0, their mean, or NaN where an image was not seen",
        )
        if tables and table.shape != tables[0].shape:
            raise ValueError(
                f"new_responses has the shape {table.shape}, responses {tables[0].shape}; both "
                "need the same participants and images."
            )
        tables.append(table)
    return tables


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    # A half whose scores are all equal says nothing, whichever of the two it is.
    return float("nan") if np.unique(second).size < 2 else rank_correlation(first, second)
