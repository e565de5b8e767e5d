"""
Intervals for a predicted score, with and without a guarantee
=============================================================

The regressor's own intervals (``predict_quantiles``) mix the training scores of its
classes. They are as good as the model's class probabilities. Conformal intervals, from
`MAPIE <https://mapie.readthedocs.io>`_, need some rows that the model has not seen;
in exchange they hold what they say for rows drawn like those, however wrong the model
is. This example puts both side by side on the bundled memorability of 1,854 object
concepts::

    python examples/plot_conformal.py [--output conformal.png]

It needs the extra ``conformal``, runs offline, and takes about twenty seconds.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.inspection import quantiles
from sklearn_memorability.pipelines import recommended_regressor

try:
    from mapie.regression import SplitConformalRegressor
except ModuleNotFoundError:
    sys.exit(
        "This example needs MAPIE, which comes with the extra 'conformal': "
        "pip install 'sklearn-memorability[conformal]'"
    )

LEVEL = 0.9

parser = argparse.ArgumentParser(description="Compare two kinds of intervals for a score.")
parser.add_argument("--output", type=Path, default=Path("conformal.png"), help="the figure")
arguments = parser.parse_args()

# %%
# Three parts
# -----------
# Half of the rows train the model, a quarter is what the conformal intervals are made
# from, a quarter tells how often the intervals hold.

data = load_things_concepts()
X_train, X_rest, y_train, y_rest = train_test_split(
    data.data, data.target, train_size=0.5, random_state=0
)
X_conform, X_test, y_conform, y_test = train_test_split(
    X_rest, y_rest, train_size=0.5, random_state=0
)
pipeline = recommended_regressor(random_state=0).fit(X_train, y_train)

# %%
# MAPIE around the head
# ---------------------
# MAPIE wants tables of numbers. The last step of a Pipeline, its head, gets them from
# the steps before it, so the same lines serve a Pipeline that takes images.

before, head = pipeline[:-1], pipeline[-1]
conformal = SplitConformalRegressor(head, confidence_level=LEVEL, prefit=True)
conformal.conformalize(before.transform(X_conform), y_conform)
predicted, bounds = conformal.predict_interval(before.transform(X_test))

tail = (1 - LEVEL) / 2
intervals = {
    "predict_quantiles": quantiles(pipeline, X_test, (tail, 1 - tail)),
    "MAPIE, split conformal": bounds[:, :, 0],
}

# %%
# How often they hold, and how wide they are
# ------------------------------------------
# Conformal intervals of this kind are equally wide for every row. The regressor's own
# follow the row: they are narrow where it is sure. Chance alone moves a share of so few
# rows by about .02.

print(f"{len(y_test)} held-out concepts, intervals of {LEVEL:.0%}")
for name, (low, high) in ((name, found.T) for name, found in intervals.items()):
    coverage = np.mean((low <= y_test) & (y_test <= high))
    print(f"  {name:23} coverage {coverage:.3f}, mean width {np.mean(high - low):.3f}")

figure, panels = plt.subplots(
    1, 2, figsize=(11, 4.5), sharex=True, sharey=True, layout="constrained"
)
order = np.argsort(predicted)
for axes, (name, found) in zip(panels, intervals.items(), strict=True):
    low, high = found[order].T
    inside = (low <= y_test[order]) & (y_test[order] <= high)
    axes.fill_between(predicted[order], low, high, color="#8da0cb", alpha=0.4, lw=0, step="mid")
    for chosen, colour, label in ((inside, "#404040", "inside"), (~inside, "#d62728", "outside")):
        axes.plot(
            predicted[order][chosen], y_test[order][chosen], ".", color=colour, ms=4, label=label
        )
    axes.set(
        xlabel="predicted score",
        title=f"{name}: {inside.mean():.1%} inside, mean width {np.mean(high - low):.3f}",
    )
panels[0].set_ylabel("true score, held out")
panels[0].legend(loc="lower right")
figure.suptitle(f"Intervals meant to hold {LEVEL:.0%} of the true scores")
figure.savefig(arguments.output, dpi=120)
print(f"The figure is in {arguments.output}")
