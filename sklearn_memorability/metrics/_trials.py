"""Tables of trials, a row a showing: counts per picture and responses per participant."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from sklearn_memorability.metrics._recognition import refuse_rows


def count_responses(
    trials: Any,
    *,
    image: str = "image",
    repeat: str = "repeat",
    response: str = "response",
    participant: str | None = None,
) -> Any:
    """Count each picture's hits, misses, false alarms and correct rejections.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        A row a showing. pandas is not needed.
    image : str, default="image"
        The column that names the picture.
    repeat : str, default="repeat"
        The column that says whether the participant had been shown the picture before:
        booleans, or 0 and 1.
    response : str, default="response"
        The column that says whether the participant said so: booleans, or 0 and 1.
    participant : str, optional
        The column that names the participant. With it, a picture that is new to the same
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
        sorted, responses are neither booleans nor 0 and 1, or a picture is new to a
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
    columns = read_columns(trials, image=image, repeat=repeat, response=response)
    images, shown = label_rows(columns[image], image)
    again, said = as_booleans(columns[repeat], repeat), as_booleans(columns[response], response)
    if participant is not None:
        names = read_columns(trials, image=image, participant=participant)[participant]
        people, person = label_rows(names, participant)
        new = np.flatnonzero(~again)
        showing = person[new] * len(images) + shown[new]
        once = np.unique(showing, return_index=True)[1]
        refuse_rows(
            (
                f"image {images[shown[i]]} to participant {people[person[i]]} in row {i}"
                for i in np.sort(np.delete(new, once))
            ),
            f"Column {repeat!r} has pictures that are new to a participant twice",
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
    """Arrange the responses by participant and picture.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        A row a showing. pandas is not needed.
    participant, image : str
        The columns that name the participant and the picture.
    repeat, response : str
        The columns that say whether the participant had been shown the picture before,
        and said so: booleans, or 0 and 1.

    Returns
    -------
    sklearn.utils.Bunch
        With these fields.

        responses : ndarray of shape (n_participants, n_images)
            1 where the participant recognised the repeated picture, 0 where not, the mean
            of several repeats, NaN where there was none.
        new_responses : ndarray of shape (n_participants, n_images)
            1 where the participant took the new picture for a repeated one, 0 where not,
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
    columns = read_columns(
        trials, participant=participant, image=image, repeat=repeat, response=response
    )
    people, person = label_rows(columns[participant], participant)
    images, shown = label_rows(columns[image], image)
    again, said = as_booleans(columns[repeat], repeat), as_booleans(columns[response], response)
    shape = len(people), len(images)

    def mean(rows: np.ndarray) -> np.ndarray:
        cell = np.ravel_multi_index((person[rows], shown[rows]), shape)
        total = np.bincount(cell, weights=said[rows], minlength=len(people) * len(images))
        n_shown = np.bincount(cell, minlength=len(total))
        return np.where(n_shown > 0, total / np.maximum(n_shown, 1), np.nan).reshape(shape)

    return Bunch(
        responses=mean(again), new_responses=mean(~again), participants=people, images=images
    )


def read_columns(trials: Any, **names: str) -> dict[str, np.ndarray]:
    """Return the columns of a table, by their names in it.

    Parameters
    ----------
    trials : DataFrame or mapping of columns
        The table.
    **names : str
        Each column's name, under the parameter that users give it with.

    Returns
    -------
    dict of str to numpy.ndarray of shape (n_rows,)
        The columns asked for.

    Raises
    ------
    ValueError
        If one is missing, they are not one-dimensional and of one length, or have no
        rows.
    """
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


def label_rows(column: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted different values of a column, and the place of each row's.

    Parameters
    ----------
    column : numpy.ndarray of shape (n_rows,)
        Names of pictures or participants.
    name : str
        The column's name, for messages.

    Returns
    -------
    values : numpy.ndarray of shape (n_values,)
        Of the column's type.
    places : numpy.ndarray of shape (n_rows,)
        So that ``values[places]`` is the column.

    Raises
    ------
    ValueError
        If values are missing or can't be sorted.
    """
    values = column.tolist()
    refuse_rows(
        (f"{value} in row {i}" for i, value in enumerate(values) if _is_missing(value)),
        f"Column {name!r} has missing values",
    )
    try:
        ordered = sorted(set(values))
    except TypeError as error:
        raise ValueError(
            f"Column {name!r} has values of types that can't be sorted together ({error}); "
            "turn them all into text."
        ) from error
    place = {value: i for i, value in enumerate(ordered)}
    places = np.fromiter((place[value] for value in values), np.intp, len(values))
    first = np.unique(places, return_index=True)[1]
    return column[first], places


def as_booleans(column: np.ndarray, name: str) -> np.ndarray:
    """Return a column of booleans, or of 0 and 1, as booleans.

    Parameters
    ----------
    column : numpy.ndarray of shape (n_rows,)
        The column.
    name : str
        Its name, for messages.

    Returns
    -------
    numpy.ndarray of bool of shape (n_rows,)
        The same.

    Raises
    ------
    ValueError
        If it holds anything else; text too, of which none is true in every language.
    """
    if column.dtype == bool:
        return column
    values = column.tolist()
    refuse_rows(
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
