import numpy as np
import pytest

from sklearn_memorability.captions import caption_recall


def _by_hand(images, captions, owner, k):
    """Flickr8k's rules, one query at a time, by sorting."""
    to_text, to_image = [], []
    for i, image in enumerate(images):
        order = sorted(range(len(captions)), key=lambda j: -float(image @ captions[j]))
        to_text.append(min(order.index(j) for j in np.flatnonzero(owner == i)))
    for j, caption in enumerate(captions):
        order = sorted(range(len(images)), key=lambda i: -float(images[i] @ caption))
        to_image.append(order.index(owner[j]))
    return (
        [np.mean([rank < limit for rank in to_text]) for limit in k],
        [np.mean([rank < limit for rank in to_image]) for limit in k],
        np.median(to_text) + 1,
        np.median(to_image) + 1,
    )


def test_it_is_what_sorting_by_hand_gives():
    # More images than are compared at a time, so that parts are put together right.
    rng = np.random.default_rng(0)
    images = rng.normal(size=(300, 6))
    owner = rng.permutation(np.repeat(np.arange(300), 2))
    captions = images[owner] + rng.normal(size=(600, 6))
    recall = caption_recall(images, captions, owner, k=(1, 5, 10))
    to_text, to_image, median_text, median_image = _by_hand(images, captions, owner, (1, 5, 10))
    np.testing.assert_allclose(recall.image_to_text, to_text)
    np.testing.assert_allclose(recall.text_to_image, to_image)
    assert recall.median_rank_image_to_text == median_text
    assert recall.median_rank_text_to_image == median_image
    assert recall.sum == pytest.approx(100 * (sum(to_text) + sum(to_image)))


def test_a_space_in_which_all_is_one_point_finds_nothing():
    same = np.ones((20, 3))
    recall = caption_recall(same, same, np.arange(20), k=(1, 10))
    assert recall.image_to_text.tolist() == recall.text_to_image.tolist() == [0, 0]


@pytest.mark.parametrize("owner", [[0, 0], [0, 1, 2], [0, 5, 5]])
def test_captions_without_an_image_are_an_error(owner):
    with pytest.raises(ValueError, match="image_of_caption"):
        caption_recall(np.eye(2), np.eye(2), owner)
