"""Hit rates at one lag, where pictures were repeated after different lags."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_array, check_scalar

from sklearn_memorability.metrics._recognition import refuse_rows
from sklearn_memorability.metrics._trials import as_booleans, label_rows, read_columns


def lag_adjusted_score(
    trials: Any,
    *,
    image: str = "image",
    lag: str = "lag",
    hit: str = "hit",
    reference_lag: float | None = None,
    clip: bool = True,
) -> Any:
    """Hit rate of each picture at one lag, the same for all.

    People forget: a picture that happened to be repeated later has a lower hit rate. The
    model is that a picture's hit rate falls in a straight line with the logarithm of the
    lag, from its own level and with one slope for all pictures.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        A row for each showing of a repeated picture. Arrays go in as
        ``{"image": images, "lag": lags, "hit": hits}``.
    image : str, default="image"
        The column that names the picture.
    lag : str, default="lag"
        The column with the lag since the showing before, a positive number: of pictures
        between, or of seconds.
    hit : str, default="hit"
        The column that says whether the picture was recognised: booleans, or 0 and 1.
    reference_lag : float, optional
        The lag at which scores are given. By default the geometric mean of all lags,
        where scores change least: with it, the mean of all responses stays as it is.
    clip : bool, default=True
        Whether to cut off scores at 0 and 1, which the straight line can pass for a
        picture with few responses, or far from its lags.

    Returns
    -------
    sklearn.utils.Bunch
        With these fields.

        images : ndarray of shape (n_images,)
            The sorted names.
        scores : ndarray of shape (n_images,)
            Their hit rates at ``reference_lag``.
        slope : float
            The change of a hit rate with each unit of the natural logarithm of the lag;
            negative where people forget.
        n_responses : ndarray of shape (n_images,)
            How many responses each score rests on.
        reference_lag : float
            The lag of the scores.

    Raises
    ------
    ValueError
        If a column is missing or differs in length, a lag is no positive number, a hit
        no boolean, or no picture was repeated after different lags. Then the slope can't
        be told from the pictures' own differences; if all lags are equal there is
        nothing to adjust, and :func:`memorability_score` gives the hit rates.

    See Also
    --------
    memorability_score : The scores where lags don't matter.

    Notes
    -----
    The model of [1]_, section 3.2: a response x at lag t to picture i is m_i + a log(t / T)
    plus noise, and the m_i and a have the least sum of squares over all responses. The
    paper finds them by coordinate descent; here they are computed at once. Whatever a
    is, the best m_i is the picture's mean of x - a log(t / T). So a is the slope of
    a regression of the responses on log t after each picture's means are taken off both
    (fixed effects): differences between pictures in their mean lag don't enter it. All
    responses count alike. Programs that average within pictures first, so that all pictures
    count alike, find a slightly different slope where numbers of responses differ.

    References
    ----------
    .. [1] Khosla, Raju, Torralba and Oliva, "Understanding and predicting image
       memorability at a large scale", ICCV 2015.

    Examples
    --------
    Both pictures lose .2 from lag 10 to lag 100, but b was repeated later more often.

    >>> from sklearn_memorability.metrics import lag_adjusted_score
    >>> trials = {
    ...     "image": ["a"] * 10 + ["b"] * 10,
    ...     "lag": [10] * 5 + [100] * 5 + [10] * 5 + [100] * 5,
    ...     "hit": [1, 1, 1, 1, 0] + [1, 1, 1, 0, 0] + [1, 1, 1, 0, 0] + [1, 1, 0, 0, 0],
    ... }
    >>> found = lag_adjusted_score(trials, reference_lag=10)
    >>> found.scores.round(2)
    array([0.8, 0.6])
    >>> round(found.slope, 3)
    -0.087
    """
    columns = read_columns(trials, image=image, lag=lag, hit=hit)
    images, shown = label_rows(columns[image], image)
    recognised = as_booleans(columns[hit], hit).astype(float)
    log_lag = np.log(_check_lags(columns[lag], lag))
    if reference_lag is None:
        reference_lag = float(np.exp(log_lag.mean()))
    check_scalar(reference_lag, "reference_lag", Real, min_val=0, include_boundaries="neither")

    n_responses = np.bincount(shown)
    mean_lag = np.bincount(shown, weights=log_lag) / n_responses
    hit_rate = np.bincount(shown, weights=recognised) / n_responses
    within = log_lag - mean_lag[shown]
    spread = within @ within
    # Of equal lags, the difference to their mean can be a rounding error.
    if spread <= len(within) * np.finfo(float).eps ** 1.5:
        raise ValueError(
            f"Column {lag!r} has no picture with different lags, so the effect of the lag can't "
            "be told from differences between pictures; memorability_score gives the hit rates."
        )
    slope = float(within @ recognised / spread)
    scores = hit_rate + slope * (np.log(reference_lag) - mean_lag)
    return Bunch(
        images=images,
        scores=np.clip(scores, 0.0, 1.0) if clip else scores,
        slope=slope,
        n_responses=n_responses,
        reference_lag=float(reference_lag),
    )


def _check_lags(column: np.ndarray, name: str) -> np.ndarray:
    lags = check_array(
        column, ensure_2d=False, dtype=np.float64, input_name=f"Column {name!r} of trials"
    )
    refuse_rows(
        (f"{lags[i]:g} in row {i}" for i in np.flatnonzero(lags <= 0)),
        f"Column {name!r} has lags that are not positive",
    )
    return lags
