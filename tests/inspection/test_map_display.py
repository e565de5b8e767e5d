import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.inspection import MapDisplay, occlusion_map

LONG = "a picture with a long name, $ and _underscores_, as long as that.jpg"


class Brightness:
    def predict(self, X):
        return np.asarray(X, dtype=float).mean(axis=(1, 2, 3)) / 255


@pytest.fixture
def values():
    found = np.zeros((30, 40))
    found[:5, :5], found[-5:, -5:] = 0.2, -0.1
    return found


def test_raising_and_lowering_have_colours_of_their_own(values):
    display = MapDisplay(np.zeros((30, 40), np.uint8), values, score=0.71, name="mine").plot()
    assert (display.map_.norm.vmin, display.map_.norm.vmax) == (-0.2, 0.2)
    raised = display.map_.cmap(display.map_.norm(0.2))
    lowered = display.map_.cmap(display.map_.norm(-0.2))
    # Orange and purple: more red than blue, and more blue than red.
    assert raised[0] > raised[2]
    assert lowered[2] > lowered[0]
    np.testing.assert_allclose(display.map_.get_alpha()[[0, 15, -1], [0, 15, -1]], [0.9, 0, 0.45])
    assert display.ax_.get_title() == "mine\npredicted score 0.710"
    assert display.colorbar_ is not None


def test_one_scale_can_serve_several_maps(values):
    display = MapDisplay(np.zeros((30, 40), np.uint8), values).plot(vmax=0.1, colorbar=False)
    assert display.map_.norm.vmax == 0.1
    assert display.map_.get_alpha().max() == 0.9
    assert display.colorbar_ is None


def test_the_map_lies_on_its_picture_upright(values):
    top = np.zeros((30, 40), np.uint8)
    top[:15] = 255
    with plt.rc_context({"image.origin": "lower"}):
        display = MapDisplay(top, values * 0).plot()
        figure = display.figure_
        figure.canvas.draw()
    place = display.ax_.get_window_extent()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1]
    x = round((place.x0 + place.x1) / 2)
    upper, lower = (round(place.y0 + share * place.height) for share in (0.75, 0.25))
    assert pixels[upper, x, :3].tolist() == [255, 255, 255]
    assert pixels[lower, x, :3].tolist() == [0, 0, 0]
    assert display.map_.get_extent() == display.image_.get_extent()


def test_a_model_is_asked_for_its_map():
    picture = np.zeros((12, 12, 3), np.uint8)
    picture[:6] = 255
    options = {"window": 4, "stride": 4, "fill": 0}
    display = MapDisplay.from_estimator(Brightness(), picture, map_options=options)
    expected = occlusion_map(Brightness(), picture, **options)
    np.testing.assert_array_equal(display.values, expected.map)
    assert display.score == 0.5
    assert display.colorbar_.ax.get_ylabel() == "drop of the score when covered"
    with pytest.raises(TypeError, match=r"can't differentiate Brightness.*occlusion_map"):
        MapDisplay.from_estimator(Brightness(), picture, method="gradient")


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("size", [(640, 427), (100, 400), (300, 8), (1, 1)])
def test_nothing_is_cut_off(style, size, overhang):
    picture = Image.new("RGB", size, "grey")
    values = np.random.default_rng(0).normal(size=size[::-1])
    with plt.style.context(style):
        display = MapDisplay(picture, values, score=0.7, name=LONG).plot()
        assert overhang(display.figure_) < 0.02


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.zeros((40, 30)), {}, r"shape \(40, 30\); the picture has 30 rows and 40 columns"),
        (np.full((30, 40), np.nan), {}, "values must be finite"),
        (np.zeros((30, 40)), {"vmax": 0}, "vmax=0 must be above zero"),
        (np.zeros((30, 40)), {"alpha": 2}, "alpha=2 must lie between"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_no_figure(values, options, message):
    with pytest.raises(ValueError, match=message):
        MapDisplay(np.zeros((30, 40), np.uint8), values).plot(**options)
    assert plt.get_fignums() == []


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method='guess' must be one of"):
        MapDisplay.from_estimator(Brightness(), np.zeros((4, 4), np.uint8), method="guess")


def test_without_matplotlib_the_extra_is_named_before_anything_is_predicted(no_matplotlib):
    with pytest.raises(ImportError, match=r"pip install 'sklearn-memorability\[plot\]'"):
        MapDisplay.from_estimator(None, np.zeros((4, 4), np.uint8))
