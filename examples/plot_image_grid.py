"""
The most and the least memorable images, drawn
================================================

The paper shows images with their scores (Fig. 3) and examples of each data set
(Fig. 4). ``ImageGridDisplay`` draws both, here of the dozen images beside this file, or
of your own::

    python examples/plot_image_grid.py [FOLDER] [--scores TABLE] [--output image_grid.png]

TABLE is a CSV file with the columns ``image`` and ``score``. The example needs the extras
``embedded`` and ``share``, runs offline, and takes a few seconds.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.inspection import ImageGridDisplay
from sklearn_memorability.persistence import load

KINDS = {
    "People and animals": ("astronaut", "bee", "cat", "photographer"),
    "Food and things": ("citrus", "coffee", "gravel", "rocket"),
    "Places": ("colosseum", "hotel_room", "lake", "tea_fields"),
}

parser = argparse.ArgumentParser(description="Draw the most and the least memorable images.")
parser.add_argument("folder", nargs="?", type=Path, help="images (default: a dozen samples)")
parser.add_argument("--scores", type=Path, help="the table of their true scores")
parser.add_argument("--output", type=Path, default=Path("image_grid.png"), help="the figure")
arguments = parser.parse_args()
if arguments.scores is not None and arguments.folder is None:
    parser.error("--scores needs the FOLDER with the images.")

# %%
# Images
# ------
# Nobody has measured how memorable the samples are, so only predicted scores can be
# drawn. With a table of scores, true ones are too.

samples = Path(sys.argv[0]).parent / "images"
sets = {kind: [samples / f"{name}.jpg" for name in names] for kind, names in KINDS.items()}
try:
    mine = load_image_folder(arguments.folder or samples, arguments.scores)
except (OSError, ValueError) as error:
    parser.error(str(error))
if arguments.folder is not None:
    sets = {arguments.folder.resolve().name: mine.images[:6], **sets}

# %%
# Both grids in one figure
# ------------------------
# The predictions are scaled to 0–1, as in the paper: what a model predicts lies closer
# together than what people remember.

model = load("embedded")
figure = plt.figure(figsize=(10, 4.2 + 1.9 * len(sets)))
upper, lower = figure.subfigures(2, 1, height_ratios=(4.2, 1.9 * len(sets)))
extremes = ImageGridDisplay.from_estimator(
    model, mine.images, mine.target, n_images=6, normalize=True, fig=upper
)
examples = ImageGridDisplay(list(sets.values()), row_names=list(sets)).plot(fig=lower)
figure.savefig(arguments.output, dpi=110)

# %%
# The labels can be read from the display, too.

for name, row, texts in zip(extremes.row_names, extremes.indices, extremes.texts_, strict=True):
    print(name)
    for i, labels in zip(row, texts, strict=True):
        true, predicted = (label.get_text() if label else "unknown" for label in labels)
        print(f"  {mine.images[i].name}: true {true}, predicted {predicted} (scaled to 0–1)")
print(f"The figure is in {arguments.output}")
