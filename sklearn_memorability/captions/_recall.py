"""How well pictures find their captions, and captions their pictures."""

from collections.abc import Sequence

import numpy as np
from sklearn.utils import Bunch

_CHUNK = 256


def caption_recall(
    pictures: np.ndarray,
    captions: np.ndarray,
    picture_of_caption: np.ndarray,
    k: Sequence[int] = (1, 5, 10),
) -> Bunch:
    """Recall at k in both directions, by the rules of Flickr8k.

    A picture is right at k if any of its captions is among the k nearest of all
    captions; a caption is right at k if its picture is among the k nearest of all
    pictures (Hodosh et al. 2013). What is as near as the right one counts as nearer,
    so that an embedding that tells nothing apart gets nothing for it.

    Parameters
    ----------
    pictures : array-like of shape (n_pictures, n_components)
        Unit rows.
    captions : array-like of shape (n_captions, n_components)
        Unit rows in the same space.
    picture_of_caption : array-like of shape (n_captions,)
        The row of each caption's picture; each picture has at least one caption.
    k : sequence of int, default=(1, 5, 10)
        How many of the nearest are looked at.

    Returns
    -------
    sklearn.utils.Bunch
        ``k``; ``image_to_text`` and ``text_to_image``, arrays of shape (len(k),) of
        shares in [0, 1]; ``median_rank_image_to_text`` and
        ``median_rank_text_to_image`` (1 is best); ``sum``, of all shares in percent, as
        retrieval papers give it.

    References
    ----------
    .. [1] M. Hodosh, P. Young, J. Hockenmaier, "Framing image description as a ranking
       task: data, models and evaluation metrics", JAIR 47, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.captions import caption_recall
    >>> found = caption_recall(np.eye(3), np.eye(3)[[0, 1, 1, 2]], [0, 1, 2, 2], k=(1, 2))
    >>> found.image_to_text.round(2), found.text_to_image.round(2)
    (array([0.67, 1.  ]), array([0.75, 0.75]))
    """
    pictures, captions = np.asarray(pictures), np.asarray(captions)
    owner = np.asarray(picture_of_caption)
    n_pictures, n_captions = len(pictures), len(captions)
    if owner.shape != (n_captions,) or len(np.unique(owner)) != n_pictures:
        raise ValueError(
            "picture_of_caption must give the row of its picture for each of the "
            f"{n_captions} captions, and each of the {n_pictures} pictures must have one."
        )
    of_pictures = np.empty(n_pictures, dtype=np.int64)
    for start in range(0, n_pictures, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n_pictures))
        nearness = pictures[rows] @ captions.T
        own = owner == rows[:, np.newaxis]
        best = np.where(own, nearness, -np.inf).max(axis=1, keepdims=True)
        of_pictures[rows] = ((nearness >= best) & ~own).sum(axis=1) + 1
    of_captions = np.empty(n_captions, dtype=np.int64)
    for start in range(0, n_captions, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n_captions))
        nearness = captions[rows] @ pictures.T
        best = nearness[np.arange(len(rows)), owner[rows]][:, np.newaxis]
        # The right one is as near as itself.
        of_captions[rows] = (nearness >= best).sum(axis=1)
    image_to_text = np.array([(of_pictures <= limit).mean() for limit in k])
    text_to_image = np.array([(of_captions <= limit).mean() for limit in k])
    return Bunch(
        k=tuple(k),
        image_to_text=image_to_text,
        text_to_image=text_to_image,
        median_rank_image_to_text=float(np.median(of_pictures)),
        median_rank_text_to_image=float(np.median(of_captions)),
        sum=100 * float(image_to_text.sum() + text_to_image.sum()),
    )
