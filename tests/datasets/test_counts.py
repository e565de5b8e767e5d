import numpy as np
import pytest

from sklearn_memorability.datasets._counts import check_correction, scores_from_counts

COUNTS = {
    "hits": np.array([60, 30]),
    "misses": np.array([20, 50]),
    "false_alarms": np.array([5, 40]),
    "correct_rejections": np.array([95, 40]),
}
NAMES = ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("correction", "expected", "score_range"),
    [
        ("none", [0.75, 0.375], (0, 1)),
        ("difference", [0.70, -0.125], (-1, 1)),
        ("balanced_accuracy", [0.85, 0.4375], (0, 1)),
    ],
)
def test_scores_and_their_range(correction, expected, score_range):
    target, found_range = scores_from_counts(COUNTS, correction, NAMES)
    assert np.allclose(target, expected)
    assert found_range == score_range == check_correction(correction)


def test_the_hit_rate_needs_no_false_alarms():
    counts = {name: COUNTS[name] for name in ("hits", "misses")}
    assert scores_from_counts(counts, "none", NAMES)[0].tolist() == [0.75, 0.375]
    with pytest.raises(ValueError, match="needs false_alarms and correct_rejections.*'none'"):
        scores_from_counts(counts, "difference", NAMES)


def test_unknown_corrections_are_refused():
    with pytest.raises(ValueError, match=r"correction='d_prime' is unknown.*'difference'"):
        scores_from_counts(COUNTS, "d_prime", NAMES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hits": np.array([60, -1])}, "hits that are no counts: -1 for 'b.jpg'"),
        ({"misses": np.array([np.nan, 1])}, "misses that are no counts: nan for 'a.jpg'"),
        (
            {"hits": np.array([0, 30]), "misses": np.array([0, 50])},
            "without any hits or misses, so without a score: 'a.jpg'",
        ),
        (
            {"false_alarms": np.array([0, 1]), "correct_rejections": np.array([0, 1])},
            "without any false_alarms or correct_rejections.*'a.jpg'",
        ),
    ],
)
def test_counts_that_give_no_score_are_named_by_picture(change, message):
    with pytest.raises(ValueError, match=message):
        scores_from_counts(COUNTS | change, "difference", NAMES)
