"""
Quickstart: which images will people remember?
==============================================

The model that comes with the package ranks a dozen images, or those in a folder of your
own, says how sure it is, and shows what makes the first one memorable::

    python examples/plot_quickstart.py [FOLDER] [--output quickstart.png]

It runs offline in less than a minute. Where the images come from is in
``images/SOURCES.md`` beside this file.
"""

import argparse
import sys
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_memorability.images import ImageReadError, list_images, read_image
from sklearn_memorability.inspection import (
    ImageGridDisplay,
    MapDisplay,
    occlusion_map,
    quantiles,
)
from sklearn_memorability.persistence import load, read_facts

N_SHOWN = 6  # of the most memorable and of the least
BLUE, ORANGE = "#1F83C4", "#D55E00"

samples = Path(sys.argv[0]).parent / "images"
parser = argparse.ArgumentParser(description="Rank images by how well people remember them.")
parser.add_argument("folder", nargs="?", type=Path, default=samples, help="images to rank")
parser.add_argument("--output", type=Path, default=Path("quickstart.png"), help="the figure")
arguments = parser.parse_args()

# %%
# Score the images
# ----------------
# A score is the share of people who recognise an image when it comes back, less the share
# who believe that they know it when it is new. Nine in ten true scores are expected within
# the interval.

try:
    images = list_images(arguments.folder)
    if not images:
        parser.error(f"There are no images in {arguments.folder}.")
    model = load("embedded")
    scores = model.predict(images)
    intervals = quantiles(model, images, (0.05, 0.95))
except (NotADirectoryError, ImageReadError) as error:
    parser.error(str(error))

order = np.argsort(-scores, kind="stable")
shown = order if len(order) <= 2 * N_SHOWN else np.r_[order[:N_SHOWN], order[-N_SHOWN:]]
print("Predicted memorability, with the interval of 90 %, most memorable first:")
for i in shown:
    low, high = intervals[i]
    print(f"  {scores[i]:.2f} ({low:.2f} to {high:.2f})  {images[i].name}")

# %%
# What makes the first one memorable
# ----------------------------------
# Parts of the image are covered, one after the other, and the rest is scored again. Where
# the score drops, what was covered made the image memorable, to this model.

first = read_image(images[order[0]])
first.thumbnail((400, 400))
covered = occlusion_map(model, first)

# %%
# Draw it all
# -----------
# The last panel is how well the model orders images that it was not trained on, beside
# the most that any model can reach: the agreement between people sets that ceiling.

facts = read_facts("embedded")
measured = facts["measured"]
plt.rc("font", size=9)
plt.rc("axes", titlesize=10)
figure = plt.figure(figsize=(10, 7.7), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=(4.2, 3.5))
ImageGridDisplay.from_predictions(images, y_pred=scores, n_images=N_SHOWN, fig=upper)
ranking, what, known = lower.subplots(1, 3, width_ratios=(1, 1.35, 1))

places = np.arange(len(shown))
ranking.hlines(places, *intervals[shown].T, color=BLUE, alpha=0.35, linewidth=5)
ranking.plot(scores[shown], places, "o", color=BLUE)
ranking.set_yticks(places, [images[i].stem[:14] for i in shown])
ranking.invert_yaxis()
ranking.set_title("Scores and intervals of 90 %")

title = f"What makes {images[order[0]].stem[:14]} memorable"
MapDisplay(first, covered.map, name=title).plot(what, colorbar=False)
what.set_xlabel("orange raises the score, purple lowers it")

for place, (name, rho) in enumerate(measured.items()):
    known.barh(place, rho, color=BLUE, height=0.6)
    known.hlines(place, *facts["measured_95"][name], color="black")
    known.vlines(facts["ceilings"][name], place - 0.4, place + 0.4, color=ORANGE, linewidth=3)
known.set_yticks(range(len(measured)), [textwrap.fill(name, 12) for name in measured])
known.invert_yaxis()
known.set(xlim=(0, 1), xlabel="Spearman (ceiling in orange)")
known.set_title("How well it orders other images")
figure.savefig(arguments.output, dpi=120)
print(f"The figure is in {arguments.output}")
