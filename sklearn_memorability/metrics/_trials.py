"""Tables of trials, a row a showing: counts, responses of participants, lag-adjusted scores."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_array, check_scalar

from sklearn_memorability._utils._found import refuse


def count_responses(
    trials: Any,
    *,
    image: str = "image",
    repeat: str = "repeat",
    response: str = "response",
    participant: str | None = None,
) -> Any:
    """Count each image's hits, misses, false alarms and correct rejections.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        A row a showing. pandas is not needed.
    image : str, default="image"
        The column that names the image.
    repeat : str, default="repeat"
        The column that says whether the participant had been shown the image before:
        booleans, or 0 and 1.
    response : str, default="response"
        The column that says whether the participant said so: booleans, or 0 and 1.
    participant : str, optional
        The column that names the participant. With it, an image that is new to the same
        participant twice is refused, as happens where ``repeat`` is the wrong way round or
        two sessions share a name.

    Returns
    -------
    sklearn.utils.Bunch
        ``images``, the sorted names, and ``hits``, ``misses``, ``false_alarms`` and
        ``correct_rejections``, arrays of shape (n_images,) of whole numbers in that
        order.

    Raises
    ------
    ValueError
        If a column is missing or differs in length, names are missing or can't be
        sorted, responses are neither booleans nor 0 and 1, or an image is new to a
        participant twice. Rows are counted from 0.

    See Also
    --------
    memorability_score : The scores from these counts.
    response_table : The responses of each participant.

    Examples
    --------
    >>> from sklearn_memorability.metrics import count_responses, memorability_score
    >>> trials = {
    ...     "image": ["b.jpg", "a.jpg", "b.jpg", "a.jpg"],
    ...     "repeat": [False, False, True, True],
    ...     "response": [False, True, True, False],
    ... }
    >>> found = count_responses(trials)
    >>> found.images
    array(['a.jpg', 'b.jpg'], dtype='<U5')
    >>> memorability_score(found.hits, found.misses)
    array([0., 1.])
    """
    columns = _read_columns(trials, image=image, repeat=repeat, response=response)
    images, shown = _label_rows(columns[image], image)
    again, said = _as_booleans(columns[repeat], repeat), _as_booleans(columns[response], response)
    if participant is not None:
        names = _read_columns(trials, image=image, participant=participant)[participant]
        people, person = _label_rows(names, participant)
        new = np.flatnonzero(~again)
        showing = person[new] * len(images) + shown[new]
        once = np.unique(showing, return_index=True)[1]
        refuse(
            (
                f"image {images[shown[i]]} to participant {people[person[i]]} in row {i}"
                for i in np.sort(np.delete(new, once))
            ),
            f"Column {repeat!r} has images that are new to a participant twice",
        )

    def count(rows: np.ndarray) -> np.ndarray:
        return np.bincount(shown[rows], minlength=len(images))

    return Bunch(
        images=images,
        hits=count(again & said),
        misses=count(again & ~said),
        false_alarms=count(~again & said),
        correct_rejections=count(~again & ~said),
    )


def response_table(
    trials: Any,
    *,
    participant: str = "participant",
    image: str = "image",
    repeat: str = "repeat",
    response: str = "response",
) -> Any:
    """Arrange the responses by participant and image.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        A row a showing. pandas is not needed.
    participant, image : str
        The columns that name the participant and the image.
    repeat, response : str
        The columns that say whether the participant had been shown the image before,
        and said so: booleans, or 0 and 1.

    Returns
    -------
    sklearn.utils.Bunch
        With these fields.

        responses : ndarray of shape (n_participants, n_images)
            1 where the participant recognised the repeated image, 0 where not, the mean
            of several repeats, NaN where there was none.
        new_responses : ndarray of shape (n_participants, n_images)
            1 where the participant took the new image for a repeated one, 0 where not,
            NaN where it was never new.
        participants, images : ndarray of shape (n_participants,) and (n_images,)
            The sorted names of the tables' rows and columns.

    Raises
    ------
    ValueError
        As in :func:`count_responses`.

    See Also
    --------
    split_half_consistency : Takes both tables.

    Examples
    --------
    >>> from sklearn_memorability.metrics import response_table
    >>> trials = {
    ...     "participant": [1, 1, 2, 2],
    ...     "image": ["a.jpg", "a.jpg", "b.jpg", "b.jpg"],
    ...     "repeat": [0, 1, 0, 1],
    ...     "response": [0, 1, 0, 0],
    ... }
    >>> response_table(trials).responses
    array([[ 1., nan],
           [nan,  0.]])
    """
    columns = _read_columns(
        trials, participant=participant, image=image, repeat=repeat, response=response
    )
    people, person = _label_rows(columns[participant], participant)
    images, shown = _label_rows(columns[image], image)
    again, said = _as_booleans(columns[repeat], repeat), _as_booleans(columns[response], response)
    shape = len(people), len(images)

    def mean(rows: np.ndarray) -> np.ndarray:
        cell = np.ravel_multi_index((person[rows], shown[rows]), shape)
        total = np.bincount(cell, weights=said[rows], minlength=len(people) * len(images))
        n_shown = np.bincount(cell, minlength=len(total))
        return np.where(n_shown > 0, total / np.maximum(n_shown, 1), np.nan).reshape(shape)

    return Bunch(
        responses=mean(again), new_responses=mean(~again), participants=people, images=images
    )


def lag_adjusted_score(
    trials: Any,
    *,
    image: str = "image",
    lag: str = "lag",
    hit: str = "hit",
    reference_lag: float | None = None,
    clip: bool = True,
) -> Any:
    """Hit rate of each image at one lag, the same for all.

    People forget: an image that happened to be repeated later has a lower hit rate. The
    model is that an image's hit rate falls in a straight line with the logarithm of the
    lag, from its own level and with one slope for all images.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        A row for each showing of a repeated image. Arrays go in as
        ``{"image": images, "lag": lags, "hit": hits}``.
    image : str, default="image"
        The column that names the image.
    lag : str, default="lag"
        The column with the lag since the showing before, a positive number: of images
        between, or of seconds.
    hit : str, default="hit"
        The column that says whether the image was recognised: booleans, or 0 and 1.
    reference_lag : float, optional
        The lag at which scores are given. By default the geometric mean of all lags,
        where scores change least: with it, the mean of all responses stays as it is.
    clip : bool, default=True
        Whether to cut off scores at 0 and 1, which the straight line can pass for a
        image with few responses, or far from its lags.

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
        no boolean, or no image was repeated after different lags. Then the slope can't
        be told from the images' own differences; if all lags are equal there is
        nothing to adjust, and :func:`memorability_score` gives the hit rates.

    See Also
    --------
    memorability_score : The scores where lags don't matter.

    Notes
    -----
    The model of [1]_, section 3.2: a response x at lag t to image i is m_i + a log(t / T)
    plus noise, and the m_i and a have the least sum of squares over all responses. The
    paper finds them by coordinate descent; here they are computed at once. Whatever a
    is, the best m_i is the image's mean of x - a log(t / T). So a is the slope of
    a regression of the responses on log t after each image's means are taken off both
    (fixed effects): differences between images in their mean lag don't enter it. All
    responses count alike. Programs that average within images first, so that all images
    count alike, find a slightly different slope where numbers of responses differ.

    References
    ----------
    .. [1] Khosla, Raju, Torralba and Oliva, "Understanding and predicting image
       memorability at a large scale", ICCV 2015.

    Examples
    --------
    Both images lose .2 from lag 10 to lag 100, but b was repeated later more often.

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
    columns = _read_columns(trials, image=image, lag=lag, hit=hit)
    images, shown = _label_rows(columns[image], image)
    recognised = _as_booleans(columns[hit], hit).astype(float)
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
            f"Column {lag!r} has no image with different lags, so the effect of the lag can't "
            "be told from differences between images; memorability_score gives the hit rates."
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
    refuse(
        (f"{lags[i]:g} in row {i}" for i in np.flatnonzero(lags <= 0)),
        f"Column {name!r} has lags that are not positive",
    )
    return lags


def _read_columns(trials: Any, **names: str) -> dict[str, np.ndarray]:
    """Return the columns of a table, by their names in it."""
    known = list(getattr(trials, "columns", trials))
    missing = [f"{name!r} ({parameter}=)" for parameter, name in names.items() if name not in known]
    if missing:
        raise ValueError(
            f"The table of trials has no column {', '.join(missing)}; it has {known}. "
            "Say which to use with the parameters named."
        )
    columns = {name: np.asarray(trials[name]) for name in names.values()}
    shapes = {name: column.shape for name, column in columns.items()}
    if len(set(shapes.values())) > 1 or any(column.ndim != 1 for column in columns.values()):
        raise ValueError(f"The columns of trials need one entry a row, but have shapes {shapes}.")
    if not len(next(iter(columns.values()))):
        raise ValueError("The table of trials has no rows.")
    return columns


def _label_rows(column: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted different values of a column, and the place of each row's."""
    refuse(
        (f"{value} in row {i}" for i, value in enumerate(column.tolist()) if _is_missing(value)),
        f"Column {name!r} has missing values",
    )
    try:
        labels, places = np.unique(column, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            f"Column {name!r} has values of types that can't be sorted together ({error}); "
            "turn them all into text."
        ) from error
    return labels, places


def _as_booleans(column: np.ndarray, name: str) -> np.ndarray:
    """Return a column of booleans, or of 0 and 1, as booleans."""
    if column.dtype == bool:
        return column
    values = column.tolist()
    refuse(
        (
            f"{value!r} in row {i}"
            for i, value in enumerate(values)
            if not isinstance(value, bool | int | float | np.generic) or value not in (0, 1)
        ),
        f"Column {name!r} has values that are neither booleans nor 0 and 1",
    )
    return np.array(values, dtype=bool)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)  # NaN differs from itself
    except TypeError:  # pandas' missing value can't tell
        return True
