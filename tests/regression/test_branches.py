import numpy as np
import pytest

from sklearn_memorability.regression._branches import resolve_branches

NAMES = np.array(["cnn0", "cnn1", "ic0", "ic1", "ic2"], dtype=object)


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        (None, [slice(0, 5)]),
        ((2, 3), [slice(0, 2), slice(2, 5)]),
        ([1, np.int64(1), 3], [slice(0, 1), slice(1, 2), slice(2, 5)]),
        ((-1, 3), [slice(0, 2), slice(2, 5)]),
        ([1, np.int64(-1), 3], [slice(0, 1), slice(1, 2), slice(2, 5)]),
        ({"a": slice(0, 1), "b": slice(1, None)}, [slice(0, 1), slice(1, 5)]),
        ({"a": [4, 0], "b": np.array([-1, 2])}, [(4, 0), (4, 2)]),
        ({"a": ["ic1", "cnn0"], "b": "ic0"}, [(3, 0), slice(2, 3)]),
        ({"a": slice(None, None, 2)}, [(0, 2, 4)]),
    ],
)
def test_columns_of_each_branch(branches, expected):
    assert resolve_branches(branches, 5, NAMES) == expected


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ((2, 2), r"widths of 4 columns, but X has n_features = 5"),
        ((5, 0), "above zero"),
        ((2.5, 2.5), "above zero"),
        ((-1, 2, -1), r"\(-1, 2, -1\) has -1, the columns that are left, 2 times"),
        ((-1, 5), "leaves no column for -1: the others take 5, and X has n_features = 5"),
        ((3, 4, -1), "leaves no column for -1: the others take 7, and X has n_features = 5"),
        ((-1.0, 2), "above zero; one may be -1"),
        ((-2, 2), "above zero; one may be -1"),
        ((), "n_features = 5"),
        ({}, "no branch"),
        ({"a": slice(5, None)}, "'a' is empty.*n_features = 5"),
        ({"a": []}, "'a' is empty"),
        ({"a": [0, 5]}, "asks for column 5.*n_features = 5"),
        ({"a": ["ic9"]}, "'ic9', which X does not have"),
        ({"a": [0.5]}, "names a column by 0.5"),
        ({"a": [True, False]}, "names a column by True"),
    ],
)
def test_branches_that_do_not_fit_are_refused(branches, message):
    with pytest.raises(ValueError, match=message):
        resolve_branches(branches, 5, NAMES)


def test_names_need_a_data_frame():
    with pytest.raises(ValueError, match="pass a data frame"):
        resolve_branches({"a": ["cnn0"]}, 5, None)
