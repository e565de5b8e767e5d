from statistics import NormalDist

import numpy as np
import pytest

from sklearn_memorability.metrics import memorability_score

COUNTS = ([18, 5, 0], [2, 5, 10], [4, 0, 5], [16, 10, 5])


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ("none", [0.9, 0.5, 0.0]),
        ("difference", [0.7, 0.5, -0.5]),
        ("balanced_accuracy", [0.85, 0.75, 0.25]),
    ],
)
def test_rates_by_hand(correction, expected):
    assert memorability_score(*COUNTS, correction=correction) == pytest.approx(expected)


def test_d_prime_by_hand_stays_finite_at_rates_of_zero_and_one():
    z = NormalDist().inv_cdf
    # (h + .5) / (n + 1) and (f + .5) / (n + 1).
    expected = [z(18.5 / 21) - z(4.5 / 21), z(5.5 / 11) - z(0.5 / 11), z(0.5 / 11) - z(5.5 / 11)]
    assert memorability_score(*COUNTS, correction="d_prime") == pytest.approx(expected)


def test_answers_at_random_have_no_sensitivity_whatever_their_bias():
    said_yes = np.array([1, 30, 99])
    counts = (said_yes, 100 - said_yes, said_yes, 100 - said_yes)
    assert memorability_score(*counts, correction="d_prime") == pytest.approx(0)
    assert memorability_score(*counts, correction="difference") == pytest.approx(0)
    assert memorability_score(*counts, correction="balanced_accuracy") == pytest.approx(0.5)


def test_hit_rates_need_no_false_alarms_and_take_fractional_counts():
    assert memorability_score([1.5, 1], [0.5, 3]).tolist() == [0.75, 0.25]
    # Pictures that were never new have a hit rate all the same.
    assert memorability_score([1], [1], [0], [0]).tolist() == [0.5]


@pytest.mark.parametrize(
    ("counts", "correction", "message"),
    [
        (([1, 0, 0], [1, 0, 0]), "none", "hits and misses are both 0.*repeat.*: row 1, row 2"),
        (([1], [1], [0], [0]), "d_prime", "false_alarms and correct_rejections.*new.*: row 0"),
        (([1], [1]), "difference", "'difference' needs false_alarms and correct_rejections"),
        (([1], [1]), "dprime", "correction='dprime' is unknown; choose from"),
        (([1, -2], [1, 1]), "none", "hits has negative counts: -2 in row 1"),
        (([1, 2], [1, np.nan]), "none", "misses contains NaN"),
        (([1, np.inf], [1, 1]), "none", "hits contains infinity"),
        (([1, 2], [1]), "none", r"misses has the shape \(1,\), hits \(2,\)"),
        (([], []), "none", "minimum of 1 is required"),
        (([0] * 9, [0] * 9), "none", "row 4 and 4 more"),
    ],
)
def test_bad_counts_are_refused(counts, correction, message):
    with pytest.raises(ValueError, match=message):
        memorability_score(*counts, correction=correction)
