import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from sklearn_memorability.features._preprocessing import CAFFE, EfficientNetLite, Transform
from sklearn_memorability.inspection._view_places import ViewPlaces

WIDTH, HEIGHT = 640, 427


def _box(preprocess, n_crops=1, size=(WIDTH, HEIGHT)):
    """Return left, right, top and bottom of what each view shows, in pixels."""
    places = ViewPlaces(preprocess, n_crops, size)
    view = preprocess.views(_grey(size), n_crops)
    boxes = []
    for i in range(n_crops):
        ones = np.zeros((n_crops, *view.shape[2:]))
        ones[i] = 1
        found = places.onto_picture(ones) > 0
        rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
        boxes.append((columns[0], columns[-1] + 1, rows[0], rows[-1] + 1))
    return boxes


def _grey(size):
    return Image.new("RGB", size, "grey")


def test_scaling_and_cropping_are_found():
    # The shorter side becomes 256 and the longer 383; of these the middle 224 are taken.
    left, right = 80 / 383 * WIDTH, 304 / 383 * WIDTH
    (box,) = _box(CAFFE)
    np.testing.assert_allclose(box, [left, right, 16 / 256 * HEIGHT, 240 / 256 * HEIGHT], atol=2)


def test_cropping_and_scaling_are_found():
    # A square of 427 * 224 // 256 = 373 pixels in the middle.
    (box,) = _box(EfficientNetLite())
    np.testing.assert_allclose(box, [134, 507, 27, 400], atol=2)


def test_every_crop_is_found():
    boxes = _box(CAFFE, 10)
    side = 224 / 256 * HEIGHT
    corners = [(0, 0), (WIDTH - side, 0), (0, HEIGHT - side), (WIDTH - side, HEIGHT - side)]
    for box, (x, y) in zip(boxes[1:5], corners, strict=True):
        np.testing.assert_allclose(box, [x, x + side, y, y + side], atol=2)
    # Mirrored, they show the same.
    np.testing.assert_allclose(boxes[:5], boxes[5:], atol=2)


def test_values_keep_their_sum_and_their_side():
    places = ViewPlaces(CAFFE, 10, (WIDTH, HEIGHT))
    views = np.zeros((10, 224, 224))
    views[0, 10, 20] = 2
    upright = places.onto_picture(views)
    assert upright.sum() == pytest.approx(2)
    y, x = np.unravel_index(upright.argmax(), upright.shape)
    assert (x, y) == pytest.approx((100.5 / 383 * WIDTH, 26.5 / 256 * HEIGHT), abs=2)
    mirrored = places.onto_picture(np.roll(views, 5, axis=0))
    _, x = np.unravel_index(mirrored.argmax(), mirrored.shape)
    assert x == pytest.approx((304 - 20.5) / 383 * WIDTH, abs=2)


def test_a_border_is_not_taken_for_the_picture():
    padded = transforms.Compose(
        [transforms.Pad((20, 0), fill=128), transforms.Resize((32, 32)), transforms.ToTensor()]
    )
    places = ViewPlaces(Transform(padded), 1, (40, 40))
    # Of 80 columns, 40 are the picture's; of 32, the 16 in the middle.
    views = np.ones((1, 32, 32))
    found = places.onto_picture(views)
    assert found.sum() == pytest.approx(16 * 32, rel=0.05)
    views[:] = 0
    views[0, 16, 16] = 1
    y, x = np.unravel_index(places.onto_picture(views).argmax(), (40, 40))
    assert (x, y) == pytest.approx((20, 20), abs=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 2), (4000, 10)])
@pytest.mark.parametrize("preprocess", [CAFFE, EfficientNetLite()])
def test_pictures_of_every_shape_have_a_place(preprocess, size):
    places = ViewPlaces(preprocess, 1, size)
    found = places.onto_picture(np.ones((1, 224, 224)))
    assert found.shape == size[::-1]
    assert found.sum() == pytest.approx(224 * 224, rel=0.05)
    assert found[size[1] // 2, size[0] // 2] > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture.rotate(90),
        lambda picture: picture.rotate(30),
        lambda picture: picture.point(lambda value: 0),
    ],
)
def test_what_is_more_than_scaling_and_cropping_is_refused(change):
    steps = [transforms.Lambda(change), transforms.Resize((32, 32)), transforms.ToTensor()]
    with pytest.raises(TypeError, match=r"more than to scale.*occlusion_map"):
        ViewPlaces(Transform(transforms.Compose(steps)), 1, (64, 64))
