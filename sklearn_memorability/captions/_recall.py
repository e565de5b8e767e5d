"""How well images find their captions, and captions their images."""

from collections.abc import Sequence

import numpy as np
from sklearn.utils import Bunch, gen_batches

_CHUNK = 256


def caption_recall(
    images: np.ndarray,
    captions: np.ndarray,
    image_of_caption: np.ndarray,
    k: Sequence[int] = (1, 5, 10),
) -> Bunch:
    """Recall at k in both directions, by the rules of Flickr8k.

    An image is right at k if any of its captions is among the k nearest of all captions;
    a caption is right at k if its image is among the k nearest of all images (Hodosh et
    al. 2013 [1]_). A wrong one that is as near as the right one counts as nearer, so that
    a space in which all is one point has a recall of 0.

    Parameters
    ----------
    images : array-like of shape (n_images, n_components)
        Unit rows.
    captions : array-like of shape (n_captions, n_components)
        Unit rows in the same space.
    image_of_caption : array-like of shape (n_captions,)
        The row of each caption's image; each image has at least one caption.
    k : sequence of int, default=(1, 5, 10)
        How many of the nearest count.

    Returns
    -------
    sklearn.utils.Bunch
        ``k``; ``image_to_text`` and ``text_to_image``, arrays of shape (len(k),) of
        shares in [0, 1]; ``median_rank_image_to_text`` and
        ``median_rank_text_to_image`` (1 is best); ``sum``, of all shares in percent, as
        retrieval papers give it.

    Raises
    ------
    ValueError
        If ``image_of_caption`` has another length, or leaves out an image.

    References
    ----------
    .. [1] M. Hodosh, P. Young, J. Hockenmaier, "Framing image description as a ranking
       task: data, models and evaluation metrics", JAIR 47, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.captions import caption_recall
    >>> result = caption_recall(np.eye(3), np.eye(3)[[0, 1, 1, 2]], [0, 1, 2, 2], k=(1, 2))
    >>> result.image_to_text.round(2), result.text_to_image.round(2)
    (array([0.67, 1.  ]), array([0.75, 0.75]))
    """
    images, captions = np.asarray(images), np.asarray(captions)
    owner = np.asarray(image_of_caption)
    n_images, n_captions = len(images), len(captions)
    if owner.shape != (n_captions,) or not np.array_equal(np.unique(owner), np.arange(n_images)):
        raise ValueError(
            "image_of_caption must give the row of its image for each of the "
            f"{n_captions} captions, and each of the {n_images} images must have one."
        )
    image_ranks = np.empty(n_images, dtype=np.int64)
    for rows in gen_batches(n_images, _CHUNK):
        cosines = images[rows] @ captions.T
        own = owner == np.arange(n_images)[rows, np.newaxis]
        best = np.where(own, cosines, -np.inf).max(axis=1, keepdims=True)
        image_ranks[rows] = ((cosines >= best) & ~own).sum(axis=1) + 1
    caption_ranks = np.empty(n_captions, dtype=np.int64)
    for rows in gen_batches(n_captions, _CHUNK):
        cosines = captions[rows] @ images.T
        best = np.take_along_axis(cosines, owner[rows, np.newaxis], axis=1)
        # The right one is as near as itself.
        caption_ranks[rows] = (cosines >= best).sum(axis=1)
    image_to_text = np.array([(image_ranks <= limit).mean() for limit in k])
    text_to_image = np.array([(caption_ranks <= limit).mean() for limit in k])
    return Bunch(
        k=tuple(k),
        image_to_text=image_to_text,
        text_to_image=text_to_image,
        median_rank_image_to_text=float(np.median(image_ranks)),
        median_rank_text_to_image=float(np.median(caption_ranks)),
        sum=100 * float(image_to_text.sum() + text_to_image.sum()),
    )
