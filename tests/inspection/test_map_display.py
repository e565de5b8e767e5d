import numpy as np
import pytest

from sklearn_memorability.inspection import MapDisplay


@pytest.fixture
def values():
    result = np.zeros((30, 40))
    result[:5, :5], result[-5:, -5:] = 0.2, -0.1
    return result


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
    # One scale can serve several maps.
    display = MapDisplay(np.zeros((30, 40), np.uint8), values).plot(vmax=0.1, colorbar=False)
    assert display.map_.norm.vmax == 0.1
    assert display.map_.get_alpha().max() == 0.9
    assert display.colorbar_ is None
