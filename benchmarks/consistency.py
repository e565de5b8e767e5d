"""How well scores, consistency and intervals recover a truth that is known.

    python benchmarks/consistency.py [--repeats 40] [--quick]

All is simulated: images' memorability (Beta-distributed, mean .6, standard deviation .12), how
it falls with the lag, how participants differ. Figures are means over ``--repeats`` simulated
experiments (intervals: 25 times as many); about a minute and a half on one core.
"""

import argparse

import numpy as np
from scipy.stats import norm, spearmanr

from sklearn_memorability.metrics import (
    lag_adjusted_score,
    spearman_interval,
    split_half_consistency,
)

MEAN, DEVIATION = 0.6, 0.12
SLOPE, LAG = -0.05, 100.0


def memorability(n_images: int, rng: np.random.Generator) -> np.ndarray:
    """Draw images' true hit rates."""
    total = MEAN * (1 - MEAN) / DEVIATION**2 - 1
    return rng.beta(MEAN * total, (1 - MEAN) * total, size=n_images)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's correlation where both are finite."""
    both = np.isfinite(first) & np.isfinite(second)
    return float(spearmanr(first[both], second[both]).statistic)


def lags(repeats: int) -> None:
    """Compare hit rates at one lag with raw ones; lags spread around each image's typical one."""
    print(f"lag_adjusted_score, 2,000 images (true slope {SLOPE}): raw hit rate -> adjusted")
    print(f"  responses  typical lags  {'RMSE':16}  {'Spearman':16}  slope")
    for n_responses in (20, 80):
        for spread in (0.0, np.log(10)):
            rows = []
            for repeat in range(repeats):
                rng = np.random.default_rng(repeat)
                truth = memorability(2000, rng)
                typical = np.log(LAG) + spread * rng.uniform(-1, 1, size=2000)
                image = np.repeat(np.arange(2000), n_responses)
                log_lag = typical[image] + rng.uniform(-2, 2, size=len(image))
                hit = rng.random(len(image)) < truth[image] + SLOPE * (log_lag - np.log(LAG))
                trials = {"image": image, "lag": np.exp(log_lag), "hit": hit}
                found = lag_adjusted_score(trials, reference_lag=LAG, clip=False)
                both = hit.reshape(2000, n_responses).mean(axis=1), found.scores
                errors = [np.sqrt(np.mean((scores - truth) ** 2)) for scores in both]
                rows.append([*errors, *(correlation(s, truth) for s in both), found.slope])
            m = np.mean(rows, axis=0)
            print(
                f"  {n_responses:9}  {'10 to 1,000' if spread else 'alike':12}  "
                f"{m[0]:6.3f} -> {m[1]:6.3f}  {m[2]:6.3f} -> {m[3]:6.3f}  {m[4]:.3f}"
            )


def designs(repeats: int) -> None:
    """Compare consistency and ceiling with the truth; participants are alike, each sees half."""
    print("\nsplit_half_consistency, participants alike: truth, then errors")
    print("  images  responses  consistency   table  counts  ceiling  counts")
    for n_images, n_responses in ((400, 40), (2000, 10), (2000, 20), (2000, 40), (2000, 80)):
        rows = []
        for repeat in range(repeats):
            rng = np.random.default_rng(repeat)
            p = memorability(n_images, rng)
            seen = rng.permuted(np.tile([True, False], (n_images, n_responses)), axis=1).T
            responses = np.where(seen, rng.random(seen.shape) < p, np.nan)
            hits = np.nansum(responses, axis=0)
            table = split_half_consistency(responses, random_state=repeat).consistency
            counts = split_half_consistency(hits=hits, misses=n_responses - hits, random_state=0)
            halves = [rng.binomial(n_responses // 2, p, size=(2, n_images)) for _ in range(10)]
            fresh, reached = np.mean([correlation(*pair) for pair in halves]), correlation(hits, p)
            errors = [table - fresh, counts.consistency - fresh, counts.ceiling - reached]
            rows.append([fresh, reached, *errors])
        m = np.mean(rows, axis=0)
        print(
            f"  {n_images:6}  {n_responses:9}  {m[0]:11.3f}  {m[2]:+.3f}  {m[3]:+.3f}"
            f"  {m[1]:7.3f}  {m[4]:+.3f}"
        )


def participants(repeats: int) -> None:
    """Compare table and counts where participants differ in how readily they say yes."""
    print("\nsplit_half_consistency, participants differ (400 images, 40 responses): errors")
    print("  each sees  SD of hit rates  truth   table   counts")
    for seen in (1.0, 0.25):
        n = round(40 / seen)
        for deviation in (0.3, 0.6, 1.0):
            rows = []
            for repeat in range(repeats):
                rng = np.random.default_rng(repeat)
                latent = norm.ppf(memorability(400, rng)) * np.sqrt(1 + deviation**2)

                def experiment(size: int, latent=latent, rng=rng, deviation=deviation, seen=seen):
                    p = norm.cdf(latent + rng.normal(0, deviation, size=(size, 1)))
                    shown = rng.random(p.shape) < seen
                    return np.where(shown, rng.random(p.shape) < p, np.nan)

                responses = experiment(n)
                hits, misses = np.nansum(responses, axis=0), np.nansum(1 - responses, axis=0)
                halves = [np.nanmean(experiment(n // 2), axis=0) for _ in range(10)]
                pairs = zip(halves[::2], halves[1::2], strict=True)
                fresh = np.mean([correlation(*pair) for pair in pairs])
                table = split_half_consistency(responses, random_state=repeat).consistency
                counts = split_half_consistency(hits=hits, misses=misses, random_state=repeat)
                spread = np.nanmean(responses, axis=1).std()
                rows.append([spread, fresh, table - fresh, counts.consistency - fresh])
            m = np.mean(rows, axis=0)
            print(f"  {seen:9.0%}  {m[0]:15.2f}  {m[1]:.3f}  {m[2]:+.3f}  {m[3]:+.3f}")


def intervals(repeats: int) -> None:
    """Count how often the interval holds the true correlation of a normal pair."""
    print("\nspearman_interval, 95 %: how often it holds the truth (.58), and its mean width")
    print("  images  folds  in groups of  drawn singly  drawn in groups  width")
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    for n, n_folds, size in ((50, 1, 1), (200, 1, 1), (1000, 1, 1), (1000, 5, 1), (1000, 1, 10)):
        inside, widths = [], []
        for repeat in range(25 * repeats):
            rng = np.random.default_rng(repeat)
            groups = np.repeat(np.arange(n // size), size)
            # Images of a group share half of the variance of the scores and of the noise.
            share = 0.0 if size == 1 else 0.5
            common = rng.normal(size=(2, n // size))[:, groups]
            a, b = np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=(2, n))
            how = {"folds": np.arange(n) % n_folds, "n_resamples": 300, "random_state": repeat}
            row = []
            for members in (None,) if size == 1 else (None, groups):
                low, high = spearman_interval(a, 0.6 * a + 0.8 * b, groups=members, **how)
                row.append(low < truth < high)
            inside.append([row[0], row[-1]])  # groups of one are rows
            widths.append(high - low)
        alone, together = np.mean(inside, axis=0)
        print(
            f"  {n:6}  {n_folds:5}  {size:12}  {alone:12.1%}  {together:15.1%}  "
            f"{np.mean(widths):.3f}"
        )


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40, help="experiments a figure")
    parser.add_argument("--quick", action="store_true", help="2 experiments a figure")
    arguments = parser.parse_args()
    for measure in (lags, designs, participants, intervals):
        measure(2 if arguments.quick else arguments.repeats)


if __name__ == "__main__":
    main()
