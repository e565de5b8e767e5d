import numpy as np
import pandas as pd
import pytest

from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

NAMES = ["cnn__0", "cnn__1", "ic__0", "ic__1", "ic__2", "ic__3"]


def _fitted(branches, X, y):
    return BalancedQuantileClassifierRegressor(
        branches=branches, branch_sizes=(8,), hidden_layer_sizes=(8,), max_epochs=1, random_state=0
    ).fit(X, y)


@pytest.mark.parametrize(
    "branches",
    [
        "auto",
        (-1, 4),
        [np.int64(2), np.int64(-1)],
        {"cnn": slice(0, 2), "ic": slice(2, None)},
        {"cnn": [0, 1], "ic": np.array([2, 3, -2, -1])},
        {"cnn": NAMES[:2], "ic": NAMES[2:]},
    ],
    ids=str,
)
def test_branches_by_width_slice_index_name_and_prefix_are_the_same(scores, branches):
    X, y = pd.DataFrame(scores[0], columns=NAMES), scores[1]
    model = _fitted(branches, X, y)
    assert [layers[0].in_features for layers in model.net_.module_.branches] == [2, 4]
    np.testing.assert_allclose(model.predict(X), _fitted((2, 4), X, y).predict(X), atol=1e-6)


@pytest.mark.parametrize(
    ("branch", "columns"), [([4, 0], [0, 4]), (slice(None, None, 2), [0, 2, 4]), ("ic__0", [2])]
)
def test_columns_in_no_branch_have_no_influence(scores, branch, columns):
    X, y = pd.DataFrame(scores[0], columns=NAMES), scores[1]
    model = _fitted({"only": branch}, X, y)
    changed = X.copy()
    changed.iloc[:, [i for i in range(6) if i not in columns]] = 99
    assert np.array_equal(model.predict(changed), model.predict(X))
    changed.iloc[:, columns] = 99
    assert not np.array_equal(model.predict(changed), model.predict(X))


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ((2, 2), r"widths of 4 columns, but X has n_features = 6"),
        ((6, 0), "above zero"),
        ((-1, 2, -1), r"\(-1, 2, -1\) has -1, the columns that are left, 2 times"),
        ((-1, 6), "leaves no column for -1: the others take 6, and X has n_features = 6"),
        ((-2, 2), "above zero; one may be -1"),
        ({}, "no branch"),
        ({"a": slice(6, None)}, "'a' is empty.*n_features = 6"),
        ({"a": []}, "'a' is empty"),
        ({"a": [0, 6]}, "asks for column 6.*n_features = 6"),
        ({"a": ["ic9"]}, "'ic9', which X does not have"),
        ({"a": [True, False]}, "names a column by True"),
    ],
)
def test_branches_that_do_not_fit_are_refused(scores, branches, message):
    with pytest.raises(ValueError, match=message):
        _fitted(branches, pd.DataFrame(scores[0], columns=NAMES), scores[1])


def test_names_and_prefixes_need_a_data_frame(scores):
    with pytest.raises(ValueError, match="pass a data frame"):
        _fitted({"a": ["cnn__0"]}, *scores)
    with pytest.raises(ValueError, match="set_output"):
        _fitted("auto", *scores)
