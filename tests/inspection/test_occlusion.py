import numpy as np
import pytest

from sklearn_memorability.images import ImageReadError
from sklearn_memorability.inspection import MapDisplay, occlusion_map


class Values:
    """The mean of all pixels, from 0 to 1."""

    def __init__(self):
        self.sizes = []

    def predict(self, X):
        self.sizes.append(len(X))
        return np.asarray(X, dtype=float).mean(axis=(1, 2, 3)) / 255


@pytest.fixture
def image():
    """Grey, with a red square in rows 6 to 13 and columns 20 to 27."""
    pixels = np.full((24, 36, 3), 120, dtype=np.uint8)
    pixels[6:14, 20:28] = (255, 0, 0)
    return pixels


def test_drops_are_those_of_the_covered_copies():
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[:2, :2] = 255
    result = occlusion_map(Values(), pixels, window=2, stride=2, fill=0)
    # Only the first window covers anything that is not black: 4 of 24 pixels.
    np.testing.assert_allclose(result.grid, [[4 / 24, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(result.map[:2, :2], 4 / 24)
    np.testing.assert_allclose(result.map.sum(), 4 * 4 / 24)
    display = MapDisplay.from_map(result)
    np.testing.assert_array_equal(display.values, result.map)
    assert display.score == result.score == 4 / 24
    assert display.colorbar_.ax.get_ylabel() == "drop of the score when covered"
    # White in place of black raises the score, which is a negative drop.
    result = occlusion_map(Values(), pixels, window=2, stride=2, fill=(255, 255, 255))
    np.testing.assert_allclose(result.grid, [[0, -4 / 24, -4 / 24], [-4 / 24] * 3])


def test_overlapping_windows_are_averaged_and_reach_every_edge():
    pixels = np.zeros((2, 5, 3), dtype=np.uint8)
    pixels[:, 4] = 255
    result = occlusion_map(Values(), pixels, window=2, fill=0, stride=2)
    # Windows begin at 0, 2 and, so that the last column is covered, 3.
    np.testing.assert_allclose(result.grid, [[0, 0, 0.2]])
    np.testing.assert_allclose(result.map, [[0, 0, 0, 0.1, 0.2]] * 2)
    # By default the mean colour covers.
    pixels = np.full((8, 8, 3), (10, 20, 200), dtype=np.uint8)
    assert not occlusion_map(Values(), pixels).map.any()


def test_copies_are_predicted_in_batches_and_the_image_stays(image):
    model = Values()
    occlusion_map(model, image, window=4, stride=2)
    # 11 rows of 17 windows, 32 at a time.
    assert model.sizes == [1, *[32] * 5, 27]
    assert image[6, 20].tolist() == [255, 0, 0]


def test_what_is_wrong_is_named(image):
    for options, message in (
        ({"window": 25}, "window == 25, must be <= 24"),
        ({"window": 4, "stride": 5}, "stride == 5, must be <= 4"),
        ({"fill": "blur"}, "fill='blur' must be 'mean'"),
        ({"fill": (0, 0)}, r"fill=\(0, 0\)"),
    ):
        with pytest.raises(ValueError, match=message):
            occlusion_map(Values(), image, **options)


def test_models_that_do_not_predict_scores_are_refused(image):
    class Odd:
        def __init__(self, scores):
            self.scores = scores

        def predict(self, X):
            return self.scores

    for scores in ([0.1, 0.2], [np.nan]):
        with pytest.raises(ValueError, match="one finite score an image"):
            occlusion_map(Odd(scores), image)
    with pytest.raises(ImageReadError):
        occlusion_map(Values(), "missing.png")
