"""Figures 3 and 4."""

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch

from sklearn_memorability.experiments import figure3, figure4
from sklearn_memorability.experiments._results import ResultTable


@pytest.fixture
def data():
    images = [Image.new("RGB", (8, 8), (10 * i, 0, 0)) for i in range(20)]
    return Bunch(images=images, target=np.linspace(0.05, 1, 20))


@pytest.fixture
def table():
    test = np.arange(10, 20)
    predictions = {"cnn-svr": [(test - 10, test * 1.0), (test, np.linspace(0.7, 0.9, 10))]}
    return ResultTable("Title", [], {}, predictions=predictions)


def test_figure_3_shows_the_most_and_the_least_memorable_test_images(data, table):
    display = figure3(data, table, fold=2, n_images=2)
    np.testing.assert_allclose(display.y_true, [data.target[[19, 18]], data.target[[10, 11]]])
    # Predictions are scaled as in the paper.
    np.testing.assert_allclose(display.y_pred, [[1, 8 / 9], [0, 1 / 9]])
    plain = figure3(data, table, fold=2, n_images=2, normalize=False)
    np.testing.assert_allclose(plain.y_pred[0][0], 0.9)
    for settings, message in (({"row": "ic-svr"}, "ic-svr"), ({"fold": 3}, "folds 1 to 2")):
        with pytest.raises(ValueError, match=message):
            figure3(data, table, **settings)


def test_figure_4_has_a_line_for_each_set_that_is_there(data):
    display = figure4({"Isola": data, "Dubey": "ask the authors", "mine": data}, n_images=4)
    assert list(display.row_names) == ["Isola", "mine"]
    # At even steps of the scores, from the highest.
    assert display.indices == [[19, 13, 6, 0]] * 2
    np.testing.assert_array_equal(display.y_true[1], data.target[[19, 13, 6, 0]])
    assert figure4({"mine": data}, n_images=1).indices == [[10]]
    with pytest.raises(ValueError, match="no set"):
        figure4({"Dubey": "ask the authors"})
