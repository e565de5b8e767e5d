import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_memorability.metrics import count_responses, memorability_score, response_table

TRIALS = {
    "participant": ["p", "p", "p", "q", "q", "q", "q"],
    "image": ["b", "b", "a", "a", "a", "a", "b"],
    "repeat": [0, 1, 0, 0, 1, 1, 0],
    "response": [0, 1, 1, 0, 1, 0, 0],
}


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame])
def test_counts_by_hand(kind):
    mixed = {name: column[::-1] for name, column in TRIALS.items()}  # rows in any order
    found = count_responses(kind(mixed), participant="participant")
    assert found.images.tolist() == ["a", "b"]
    assert found.hits.tolist() == [1, 1]
    assert found.misses.tolist() == [1, 0]
    assert found.false_alarms.tolist() == [1, 0]
    assert found.correct_rejections.tolist() == [1, 2]
    scores = memorability_score(
        found.hits,
        found.misses,
        found.false_alarms,
        found.correct_rejections,
        correction="difference",
    )
    assert scores.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame])
def test_table_of_responses_by_hand(kind):
    found = response_table(kind(TRIALS))
    assert found.participants.tolist() == ["p", "q"]
    assert found.images.tolist() == ["a", "b"]
    # q saw a repeated twice and recognised it once.
    np.testing.assert_array_equal(found.responses, [[np.nan, 1], [0.5, np.nan]])
    np.testing.assert_array_equal(found.new_responses, [[1, 0], [0, 0]])


def test_columns_have_any_names_and_names_any_type():
    trials = pd.DataFrame(
        {
            "id": pd.array([12, 7], dtype="Int64"),
            "again": pd.array([True, True], dtype="boolean"),
            "said": pd.Series([np.True_, 0.0], dtype=object),
        }
    )
    found = count_responses(trials, image="id", repeat="again", response="said")
    assert found.images.tolist() == [7, 12]
    assert found.hits.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": [0, 1, 1, 0, 1, 0]}, r"one entry a row, but have shapes .*\(6,\)"),
        ({"response": [[0]] * 7}, r"one entry a row, but have shapes .*\(7, 1\)"),
        ({"response": ["no"] * 7}, "'response' has values.*neither.*'no' in row 0.*and 2 more"),
        ({"response": [0, 1, 2, 0, 1, 0, np.nan]}, "neither.*2.0 in row 2, nan in row 6"),
        ({"repeat": [0, 1, None, 0, 1, 0, pd.NA]}, "neither.*None in row 2, <NA> in row 6"),
        (
            {"image": ["b", None, "a", "a", "a", "a", pd.NA]},
            "missing.*None in row 1, <NA> in row 6",
        ),
        ({"image": np.array([1, 2, "a", 1, 1, 1, 1], dtype=object)}, "can't be sorted together"),
        ({"repeat": [0] * 7}, "new to a participant twice: image b to participant p in row 1, "),
    ],
)
def test_bad_tables_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        count_responses(TRIALS | change, participant="participant")


def test_missing_columns_and_rows_are_named():
    with pytest.raises(ValueError, match=r"no column 'file' \(image=\), 'x' \(response=\); it has"):
        count_responses(TRIALS, image="file", response="x")
    with pytest.raises(ValueError, match=r"no column 'who' \(participant=\)"):
        count_responses(TRIALS, participant="who")
    with pytest.raises(ValueError, match="has no rows"):
        response_table(pd.DataFrame(TRIALS).iloc[:0])
