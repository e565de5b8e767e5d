"""How well scores, consistency and intervals recover a truth that is known.

    python benchmarks/consistency.py [--repeats 40] [--counts FILE.mat]

Everything is simulated, so the truth is known: pictures' memorability (Beta-distributed,
mean .6, standard deviation .12), how it falls with the lag, how participants differ. Every
figure is the mean over ``--repeats`` simulated experiments (intervals: 25 times as many).

``--counts`` reads a MATLAB file with hits, misses, false alarms and correct rejections of
each picture (``allImages``), as published for MASSVIS, and prints its consistency with each
correction. Without it, all takes about a minute and a half on one core.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _figures import Figure, add_json_option, scored, write_figures
from scipy.io import loadmat
from scipy.stats import norm, spearmanr

from sklearn_memorability.metrics import (
    lag_adjusted_score,
    spearman_interval,
    split_half_consistency,
)

MEAN, DEVIATION = 0.6, 0.12
SLOPE, REFERENCE_LAG = -0.05, 100.0


def memorability(n_images: int, chance: np.random.Generator) -> np.ndarray:
    """Draw pictures' true hit rates."""
    total = MEAN * (1 - MEAN) / DEVIATION**2 - 1
    return chance.beta(MEAN * total, (1 - MEAN) * total, size=n_images)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Return Spearman's correlation where both are known."""
    both = np.isfinite(first) & np.isfinite(second)
    return float(spearmanr(first[both], second[both]).statistic)


def lags(repeats: int) -> list[Figure]:
    """Compare hit rates at one lag with raw ones.

    Lags spread over a factor of 55 around a picture's typical one. That is the same for all
    pictures, or anything between 10 and 1,000. The error is to the true hit rate at
    lag 100; its slope is how it goes with the picture's mean log lag (0 is unbiased).
    """
    print(f"lag_adjusted_score (true slope {SLOPE}): raw hit rate -> adjusted")
    print(
        f"  images  responses  typical lags  {'RMSE':16}  {'error by log lag':16}  "
        f"{'Spearman':16}  slope"
    )
    found_figures = []
    for n_images, n_responses in ((200, 20), (200, 80), (2000, 20), (2000, 80)):
        for spread in (0.0, 1.0):
            rows = []
            for repeat in range(repeats):
                chance = np.random.default_rng(repeat)
                truth = memorability(n_images, chance)
                typical = np.log(REFERENCE_LAG) + spread * chance.uniform(
                    -np.log(10), np.log(10), size=n_images
                )
                image = np.repeat(np.arange(n_images), n_responses)
                log_lag = typical[image] + chance.uniform(-2, 2, size=len(image))
                p = truth[image] + SLOPE * (log_lag - np.log(REFERENCE_LAG))
                hit = chance.random(len(image)) < p
                found = lag_adjusted_score(
                    {"image": image, "lag": np.exp(log_lag), "hit": hit},
                    reference_lag=REFERENCE_LAG,
                    clip=False,
                )
                raw = hit.reshape(n_images, n_responses).mean(axis=1)
                mean_lag = log_lag.reshape(n_images, n_responses).mean(axis=1)
                row = [found.slope]
                for scores in (raw, found.scores):
                    row += [
                        np.sqrt(np.mean((scores - truth) ** 2)),
                        np.polyfit(mean_lag, scores - truth, 1)[0],
                        correlation(scores, truth),
                    ]
                rows.append(row)
            slope, *figures = np.mean(rows, axis=0)
            cells = [
                f"{raw:6.3f} -> {new:6.3f}"
                for raw, new in zip(figures[:3], figures[3:], strict=True)
            ]
            cells = [f"{'10 to 1,000' if spread else 'alike':12}", *cells, f"{slope:.3f}"]
            print(f"  {n_images:6}  {n_responses:9}  {'  '.join(cells)}")
            if spread:
                found_figures.append(
                    Figure(
                        f"{n_images} pictures, {n_responses} responses: RMSE of adjusted scores",
                        figures[3],
                        "lower",
                        "",
                        peer=figures[0],
                        peer_name="hit rates",
                        ratio=figures[3] / figures[0],
                    )
                )
    return found_figures


def designs(repeats: int) -> list[Figure]:
    """Compare the consistency, and the ceiling, with the truth for several designs.

    Participants are alike and each sees half of the pictures. The truth is the correlation
    between two groups of half the size that share nobody, and between all responses' hit
    rates and memorability.
    """
    print("\nsplit_half_consistency, participants alike: truth, then error +- its spread")
    print("  images  responses  consistency  table           counts          ceiling  counts")
    figures = []
    for n_images in (100, 400, 2000):
        for n_responses in (10, 20, 40, 80):
            truths, errors = [], []
            for repeat in range(repeats):
                chance = np.random.default_rng(repeat)
                p = memorability(n_images, chance)
                by_image = np.tile([True, False], (n_images, n_responses))
                seen = chance.permuted(by_image, axis=1).T
                responses = np.where(seen, chance.random(seen.shape) < p, np.nan)
                hits = np.nansum(responses, axis=0)
                misses = n_responses - hits
                by_table = split_half_consistency(responses, random_state=repeat)
                by_counts = split_half_consistency(hits=hits, misses=misses, random_state=repeat)
                fresh = np.mean(
                    [
                        correlation(*chance.binomial(n_responses // 2, p, size=(2, n_images)))
                        for _ in range(10)
                    ]
                )
                reached = correlation(hits, p)
                truths.append([fresh, reached])
                errors.append(
                    [
                        by_table.consistency - fresh,
                        by_counts.consistency - fresh,
                        by_counts.ceiling - reached,
                    ]
                )
            fresh, reached = np.mean(truths, axis=0)
            table, counts, ceiling = zip(
                np.mean(errors, axis=0), np.std(errors, axis=0), strict=True
            )
            print(
                f"  {n_images:6}  {n_responses:9}  {fresh:11.3f}"
                f"  {table[0]:+.3f} +- {table[1]:.3f}  {counts[0]:+.3f} +- {counts[1]:.3f}"
                f"  {reached:7.3f}  {ceiling[0]:+.3f} +- {ceiling[1]:.3f}"
            )
            if n_responses == 40:
                how = f"{n_images} pictures, {n_responses} responses"
                for column, what in ((0, "consistency"), (2, "ceiling")):
                    figures.append(off_by(f"{how}: {what}", np.array(errors)[:, column]))
    return figures


def off_by(name: str, errors: np.ndarray, **peer: Any) -> Figure:
    """Return the mean error without its sign as a figure, with its standard error."""
    error = scored(f"{name} off by", errors, unit="", better="lower", **peer)
    return replace(error, ours=abs(float(np.mean(errors))))


def experiment(
    latent: np.ndarray,
    n_participants: int,
    bias_deviation: float,
    seen: float,
    chance: np.random.Generator,
) -> np.ndarray:
    """Draw responses of new participants, each with a bias and a share of the pictures."""
    bias = chance.normal(0, bias_deviation, size=(n_participants, 1))
    # So scaled, a picture's mean hit rate is the same whatever participants' biases are.
    p = norm.cdf(latent * np.sqrt(1 + bias_deviation**2) + bias)
    shown = chance.random(p.shape) < seen
    return np.where(shown, chance.random(p.shape) < p, np.nan)


def participants(repeats: int) -> list[Figure]:
    """Compare table and counts where participants differ in how readily they say yes.

    400 pictures, 40 responses to each. A participant's bias moves the probit of all hit
    rates. The truth takes fresh participants for each half, in the same design.
    """
    print("\nsplit_half_consistency, participants differ: truth, then errors")
    print("  each sees  SD of hit rates  truth   table   counts")
    n_images, n_responses = 400, 40
    figures = []
    for seen in (1.0, 0.25):
        for bias_deviation in (0.0, 0.3, 0.6, 1.0):
            rows, deviations = [], []
            for repeat in range(repeats):
                chance = np.random.default_rng(repeat)
                latent = norm.ppf(memorability(n_images, chance))
                n = round(n_responses / seen)
                responses = experiment(latent, n, bias_deviation, seen, chance)
                hits = np.nansum(responses, axis=0)
                misses = np.nansum(1 - responses, axis=0)
                halves = [
                    np.nanmean(experiment(latent, n // 2, bias_deviation, seen, chance), axis=0)
                    for _ in range(10)
                ]
                fresh = np.mean(
                    [correlation(*pair) for pair in zip(halves[::2], halves[1::2], strict=True)]
                )
                table = split_half_consistency(responses, random_state=repeat).consistency
                counts = split_half_consistency(
                    hits=hits, misses=misses, random_state=repeat
                ).consistency
                rows.append([fresh, table - fresh, counts - fresh])
                deviations.append(np.nanmean(responses, axis=1).std())
            fresh, table, counts = np.mean(rows, axis=0)
            deviation = np.mean(deviations)
            print(f"  {seen:9.0%}  {deviation:15.2f}  {fresh:.3f}  {table:+.3f}  {counts:+.3f}")
            figures.append(
                off_by(
                    f"each sees {seen:.0%}, biases of {bias_deviation}: consistency of the table",
                    np.array(rows)[:, 1],
                    peer=abs(float(counts)),
                    peer_name="counts",
                )
            )
    return figures


def intervals(repeats: int) -> list[Figure]:
    """Count how often the interval holds the true correlation of a normal pair."""
    print("\nspearman_interval, 95 %: how often it holds the truth (.58), and its mean width")
    print("  pictures  folds  in groups of  drawn singly  drawn in groups  width")
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    figures = []
    for n_images, n_folds, size in (
        (50, 1, 1),
        (200, 1, 1),
        (1000, 1, 1),
        (1000, 5, 1),
        (1000, 1, 10),
    ):
        inside, widths = [], []
        for repeat in range(25 * repeats):
            chance = np.random.default_rng(repeat)
            groups = np.repeat(np.arange(n_images // size), size)
            common = chance.normal(size=(2, n_images // size))[:, groups]
            # Pictures of a group share half of the variance of the scores and of the noise.
            share = 0.0 if size == 1 else 0.5
            own = chance.normal(size=(2, n_images))
            a, b = np.sqrt(share) * common + np.sqrt(1 - share) * own
            row = []
            for members in (None,) if size == 1 else (None, groups):
                low, high = spearman_interval(
                    a,
                    0.6 * a + 0.8 * b,
                    folds=np.arange(n_images) % n_folds,
                    groups=members,
                    n_resamples=300,
                    random_state=repeat,
                )
                row.append(low < truth < high)
            inside.append([row[0], row[-1]])  # groups of one are rows
            widths.append(high - low)
        singly, together = np.mean(inside, axis=0)
        print(
            f"  {n_images:8}  {n_folds:5}  {size:12}  {singly:12.1%}  {together:15.1%}  "
            f"{np.mean(widths):.3f}"
        )
        figures.append(
            off_by(
                f"{n_images} pictures, {n_folds} folds, groups of {size}: intervals of 95 %",
                np.array(inside)[:, 1] - 0.95,
            )
        )
    return figures


def published(path: Path) -> None:
    """Print the consistency of a file of counts."""
    images = loadmat(path, squeeze_me=True, struct_as_record=False)["allImages"]
    names = ("hits", "misses", "false_alarms", "correct_rejections")
    counts = {name: np.array([getattr(i, name) for i in images], dtype=float) for name in names}
    shown = counts["hits"] + counts["misses"]
    print(
        f"\n{path.name}: {len(images)} pictures, {shown.mean():.1f} responses each, hit rate "
        f"{np.mean(counts['hits'] / shown):.3f} +- {np.std(counts['hits'] / shown):.3f}"
    )
    print("  correction         consistency     ceiling")
    for correction in ("none", "difference", "balanced_accuracy", "d_prime"):
        found = split_half_consistency(**counts, correction=correction, random_state=0)
        print(f"  {correction:17}  {found.consistency:.3f} +- {found.std:.3f}  {found.ceiling:.3f}")


def main() -> None:
    """Simulate, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40, help="experiments a figure")
    parser.add_argument("--counts", type=Path, help="a MATLAB file of counts, see above")
    add_json_option(parser)
    arguments = parser.parse_args()
    if arguments.counts:
        published(arguments.counts)
        return
    figures = [
        figure
        for measure in (lags, designs, participants, intervals)
        for figure in measure(arguments.repeats)
    ]
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
