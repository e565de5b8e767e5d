import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from sklearn_memorability.metrics import memorability_score, split_half_consistency


def _between_fresh_groups(memorability, n, chance, n_times=100):
    """Correlation of hit rates from two groups of people that share nobody."""
    pairs = chance.binomial(n, memorability, size=(n_times, 2, len(memorability)))
    return np.mean([spearmanr(*pair).statistic for pair in pairs])


def _memorability(n_images, mean, deviation, chance):
    total = mean * (1 - mean) / deviation**2 - 1
    return chance.beta(mean * total, (1 - mean) * total, size=n_images)


def test_two_participants_are_the_halves():
    nan = np.nan
    responses = [[1, 0, 1, 0, nan, nan, nan], [1, 0, 0, 0, 1, 1, nan]]
    found = split_half_consistency(responses, n_splits=3, random_state=0)
    expected = spearmanr([1, 0, 1, 0], [1, 0, 0, 0]).statistic
    assert expected == pytest.approx(1 / np.sqrt(3))
    assert found.splits == pytest.approx([expected] * 3)
    assert found.consistency == pytest.approx(expected)
    assert found.std == pytest.approx(0)
    assert found.n_images == 4
    assert found.reliability == pytest.approx(2 * expected / (1 + expected))
    assert found.ceiling == pytest.approx(np.sqrt(found.reliability))


def test_a_participant_is_never_in_both_halves():
    # Two participants recognise what the other two miss. Counts, two hits and two misses
    # for each image, could not tell.
    responses = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 1, 0, 1]])
    found = split_half_consistency(responses, n_splits=200, random_state=0)
    # Halves are alike in kind (one of either, all rates .5: undefined) or opposites.
    defined = found.splits[~np.isnan(found.splits)]
    assert set(defined.round(9)) == {-1.0}
    # One of the three ways of making pairs sets opposites against each other.
    assert len(defined) / 200 == pytest.approx(1 / 3, abs=0.1)


def test_counts_without_chance_by_hand():
    # Two responses alike go to either half; an image with one can't be split.
    found = split_half_consistency(hits=[2, 0, 4, 1], misses=[0, 2, 0, 0], random_state=0)
    assert found.splits == pytest.approx(1)
    assert found.n_images == 3


def test_odd_responses_go_to_either_half():
    # Hits 2 of 3 and 1 of 3: the rates of a half of one or two responses are 0, .5 or 1.
    found = split_half_consistency(hits=[2, 1], misses=[1, 2], n_splits=4000, random_state=0)
    # By hand: for two images the correlation is the sign of the product of the
    # differences. Let each image's half hold (n, hits) of its three responses,
    # with the odd one in the first or the second half with probability 1/2.
    outcomes = []
    for first_size in (1, 2):
        for a in _draws([1, 1, 0], first_size):
            for second_size in (1, 2):
                outcomes += [
                    np.sign(a[0] - b[0]) * np.sign(a[1] - b[1])
                    for b in _draws([1, 0, 0], second_size)
                ]
    signs = np.array([sign for sign in outcomes if sign])
    assert found.consistency == pytest.approx(signs.mean(), abs=0.06)
    share = np.mean(~np.isnan(found.splits))
    assert share == pytest.approx(len(signs) / len(outcomes), abs=0.03)


def _draws(responses, size):
    """Return the rates of both halves for each way to draw the first."""
    left_out = [[i] for i in range(3)]
    drawn = left_out if size == 1 else [[j for j in range(3) if j != i[0]] for i in left_out]
    responses = np.array(responses)
    return [(responses[d].mean(), np.delete(responses, d).mean()) for d in drawn]


@pytest.mark.parametrize(("n_images", "n"), [(410, 90), (1000, 40), (2000, 15)])
def test_counts_give_the_correlation_of_fresh_halves_and_the_ceiling(n_images, n):
    chance = np.random.default_rng(n)
    consistency, ceiling, fresh, reached = [], [], [], []
    for seed in range(6):
        # HR .55 with a standard deviation of .15, as in MASSVIS.
        memorability = _memorability(n_images, 0.55, 0.15, chance)
        hits = chance.binomial(n, memorability)
        found = split_half_consistency(hits=hits, misses=n - hits, random_state=seed)
        consistency.append(found.consistency)
        ceiling.append(found.ceiling)
        fresh.append(_between_fresh_groups(memorability, n / 2, chance, n_times=20))
        reached.append(spearmanr(hits, memorability).statistic)
    assert np.mean(consistency) == pytest.approx(np.mean(fresh), abs=0.015)
    assert np.mean(ceiling) == pytest.approx(np.mean(reached), abs=0.02)


def test_counts_underrate_the_consistency_of_participants_who_differ_and_saw_all():
    chance = np.random.default_rng(1)
    latent = chance.normal(0.2, 0.4, size=1000)

    def recognise(n_participants):
        bias = chance.normal(0, 1, size=(n_participants, 1))
        return (chance.random((n_participants, 1000)) < norm.cdf(latent + bias)).astype(float)

    fresh = np.mean(
        [
            spearmanr(recognise(30).mean(axis=0), recognise(30).mean(axis=0)).statistic
            for _ in range(20)
        ]
    )
    responses = recognise(60)
    table = split_half_consistency(responses, random_state=0).consistency
    hits = responses.sum(axis=0)
    counts = split_half_consistency(hits=hits, misses=60 - hits, random_state=0).consistency
    assert table == pytest.approx(fresh, abs=0.03)
    assert counts < table - 0.03


@pytest.mark.parametrize("correction", ["difference", "balanced_accuracy", "d_prime"])
def test_corrected_scores_are_split_with_their_false_alarms(correction):
    chance = np.random.default_rng(2)
    n_images, n_participants = 800, 100
    p_hit = _memorability(n_images, 0.6, 0.15, chance)
    p_alarm = _memorability(n_images, 0.2, 0.1, chance)
    responses, new_responses = (
        (chance.random((n_participants, n_images)) < p).astype(float) for p in (p_hit, p_alarm)
    )
    table = split_half_consistency(
        responses, new_responses=new_responses, correction=correction, random_state=0
    )
    hits, alarms = responses.sum(axis=0), new_responses.sum(axis=0)
    counts = split_half_consistency(
        hits=hits,
        misses=n_participants - hits,
        false_alarms=alarms,
        correct_rejections=n_participants - alarms,
        correction=correction,
        random_state=0,
    )
    half = n_participants // 2
    fresh = []
    for _ in range(20):
        h, f = (chance.binomial(half, p, size=(2, n_images)) for p in (p_hit, p_alarm))
        scores = [
            memorability_score(a, half - a, b, half - b, correction=correction)
            for a, b in zip(h, f, strict=True)
        ]
        fresh.append(spearmanr(*scores).statistic)
    assert table.consistency == pytest.approx(np.mean(fresh), abs=0.025)
    assert counts.consistency == pytest.approx(table.consistency, abs=0.01)


def test_given_halves_are_compared_split_by_split():
    chance = np.random.default_rng(3)
    halves = chance.normal(size=300) + chance.normal(size=(2, 25, 300))
    halves[0, :, 0] = halves[1, ::2, 1] = halves[1, 4] = np.nan
    found = split_half_consistency(halves=halves)
    expected = [spearmanr(*pair, nan_policy="omit").statistic for pair in zip(*halves, strict=True)]
    expected[4] = np.nan
    assert found.splits == pytest.approx(expected, nan_ok=True)
    assert found.consistency == pytest.approx(np.nanmean(expected))
    assert found.std == pytest.approx(np.nanstd(expected))
    # The mean of both halves has a true variance of 1 and half a variance of noise.
    assert found.ceiling == pytest.approx(np.sqrt(2 / 3), abs=0.03)
    assert found.n_images == 299


def test_images_that_do_not_differ_have_no_reliability():
    chance = np.random.default_rng(7)
    hits = chance.binomial(40, 0.5, size=300)
    found = split_half_consistency(hits=hits, misses=40 - hits, random_state=0)
    assert found.consistency == pytest.approx(0, abs=0.15)
    opposite = split_half_consistency([[1, 0, 1], [0, 1, 0]])
    assert opposite.consistency == pytest.approx(-1)
    assert opposite.reliability == opposite.ceiling == 0


def test_the_same_state_gives_the_same_splits():
    chance = np.random.default_rng(0)
    hits = chance.binomial(20, 0.5, size=50)
    first, second, other = (
        split_half_consistency(hits=hits, misses=20 - hits, random_state=seed).splits
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"Give one of responses .* counts .* and halves"),
        ({"responses": [[1], [0]], "hits": [1], "misses": [1]}, "Give one of"),
        ({"halves": [[[1, 0]]]}, r"must be two arrays .*shapes \[\(1, 2\)\]"),
        ({"halves": [[[1, 0]], [[1, 0, 1]]]}, r"shapes \[\(1, 2\), \(1, 3\)\]"),
        ({"halves": [[1, 0], [1, 0]]}, "Expected 2D array"),
        ({"halves": [[[1, 1]], [[1, 0]]]}, "No split .* 2 images"),
        ({"hits": [3, 2]}, "needs misses"),
        ({"hits": [1, 2], "misses": [1, 0.5]}, "misses.*not whole.*0.5 in row 1"),
        ({"hits": [1, 2], "misses": [1, 3], "correction": "d_prime"}, "needs false_alarms and"),
        ({"hits": [1, 2], "misses": [1, 3], "correction": "dp"}, "correction='dp' is unknown"),
        ({"responses": [[1, 0], [0, 1]], "correction": "d_prime"}, "needs new_responses"),
        ({"new_responses": [[1, 0], [0, 1]]}, "correction='none' needs responses"),
        (
            {
                "responses": [[1, 0], [0, 1]],
                "new_responses": [[1], [0]],
                "correction": "difference",
            },
            r"new_responses has the shape \(2, 1\), responses \(2, 2\)",
        ),
        ({"responses": [[1, 0]]}, "1 participant"),
        ({"responses": [[1, 2], [0, -1]]}, "2 of participant 0 for image 1, -1 of participant 1"),
        ({"responses": [[1, 1], [0, 0]]}, "No split .* 2 images"),
        ({"hits": [1, 0], "misses": [0, 1]}, "No split .* 0 images"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_half_consistency(**arguments)
