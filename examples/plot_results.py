"""
What a model predicts, how it learnt, how sure it is
====================================================

Three displays in the manner of scikit-learn: true scores against predicted ones
(``ScoreDisplay``), loss and score by epoch (``TrainingCurveDisplay``), and the class
probabilities behind single predictions (``ClassProbabilityDisplay``), on the bundled
memorability of 1,854 object concepts::

    python examples/plot_results.py [--output results.png]

It runs offline and takes about ten seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from sklearn_memorability.datasets import load_things_concepts
from sklearn_memorability.inspection import (
    ClassProbabilityDisplay,
    ScoreDisplay,
    TrainingCurveDisplay,
)
from sklearn_memorability.pipelines import mlp_regressor

parser = argparse.ArgumentParser(description="Draw what a model predicts and how it learnt.")
parser.add_argument("--output", type=Path, default=Path("results.png"), help="the figure")
arguments = parser.parse_args()

# %%
# A model that stops early
# ------------------------
# The paper's classifier, but with the mean of each class as its value, which takes the
# bias out of the predictions. A tenth of the training rows says when to stop.

concepts = load_things_concepts()
X_train, X_test, y_train, y_test, _, names = train_test_split(
    concepts.data, concepts.target, concepts.concepts, test_size=0.4, random_state=0
)
model = mlp_regressor(aggregation="mean", early_stopping=True, max_epochs=30, random_state=0).fit(
    X_train, y_train
)

# %%
# All three in one figure
# -----------------------
# Each display draws into axes that it is given, and keeps what it has computed. The
# interval is a bootstrap over the concepts of the test.
#
# The lower half shows the least, the middle and the most memorable concept by prediction.
# The classes are equally full, so they are drawn equally wide, and the limits between them
# are not evenly spaced. A prediction in the middle is often two opinions, not one.

figure = plt.figure(figsize=(13, 9), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=(1.15, 1))
left, right = upper.subplots(1, 2)
scores = ScoreDisplay.from_estimator(
    model, X_test, y_test, name="Concepts held out, MLP of 4 classes", random_state=0, ax=left
)
curve = TrainingCurveDisplay.from_estimator(model, ax=right)
low, high = scores.interval
print(f"Spearman {scores.spearman_:.3f}, 95% interval {low:.3f} to {high:.3f}")
print(f"MSE {scores.mse_:.4f}, bias {scores.bias_:+.4f}")
print(f"Best epoch: {next(iter(curve.best_epochs_.values()))}")

order = np.argsort(scores.y_pred)
chosen = order[[0, len(order) // 2, -1]]
classes = ClassProbabilityDisplay.from_estimator(
    model, X_test[chosen], y_test[chosen], names=[names[i] for i in chosen], ax=lower.subplots()
)
for name, row in zip(classes.names, classes.proba, strict=True):
    print(f"{name}: p(k) = {', '.join(f'{p:.2f}' for p in row)}")
figure.savefig(arguments.output, dpi=110)
print(f"The figure is in {arguments.output}")
