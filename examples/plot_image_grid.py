"""
The most and the least memorable images, drawn
================================================

The paper shows images with their scores (Fig. 3) and examples of each data set
(Fig. 4). ``ImageGridDisplay`` draws both, here of images that come with
scikit-image and scikit-learn, or of your own::

    python examples/plot_image_grid.py [FOLDER] [--scores TABLE] [--output image_grid.png]

TABLE is a CSV file with the columns ``image`` and ``score``. The example needs the extra
``test`` for scikit-image, runs offline, and takes a few seconds.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import sklearn.datasets
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from sklearn_memorability.datasets import load_image_folder, load_things_photographs
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.inspection import ImageGridDisplay
from sklearn_memorability.pipelines import svr_regressor

try:
    import skimage.data
except ModuleNotFoundError:
    sys.exit(
        "This example needs scikit-image, which comes with the extra 'test': "
        "pip install 'sklearn-memorability[test]'"
    )

parser = argparse.ArgumentParser(description="Draw the most and the least memorable images.")
parser.add_argument("folder", nargs="?", type=Path, help="images (default: samples)")
parser.add_argument("--scores", type=Path, help="the table of their true scores")
parser.add_argument("--output", type=Path, default=Path("image_grid.png"), help="the figure")
arguments = parser.parse_args()
if arguments.scores is not None and arguments.folder is None:
    parser.error("--scores needs the FOLDER with the images.")

# %%
# Images
# --------
# Images may be arrays as well as files. Nobody has measured how memorable the samples
# are, so only predicted scores can be drawn. With a table of scores, true ones are too.

names = ["astronaut", "camera", "cat", "coffee", "coins", "hubble_deep_field", "moon", "rocket"]
photographs = [getattr(skimage.data, name)() for name in names]
textures = [getattr(skimage.data, name)() for name in ("brick", "grass", "gravel")]
samples = sklearn.datasets.load_sample_images().images
sets = {
    "Photographs of scikit-image": photographs,
    "Textures of scikit-image": textures,
    "Photographs of scikit-learn": samples,
}
mine = Bunch(images=[*photographs, *textures, *samples], target=None)
if arguments.folder is not None:
    try:
        mine = load_image_folder(arguments.folder, arguments.scores)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    sets = {arguments.folder.resolve().name: mine, **sets}

# %%
# A model
# -------
# An SVR on features of 946 photographs. The set is small and chosen for high scores:
# take its predictions as a demonstration.

training = load_things_photographs()
head = svr_regressor().fit(training.data, training.target)
features = ImageFeatures(verbose=1).fit(mine.images)
model = Pipeline([("features", features), ("head", head)])

# %%
# Both grids in one figure
# ------------------------
# The predictions are scaled to 0–1, as in the paper: what a model predicts lies closer
# together than what people remember.

figure = plt.figure(figsize=(10, 4.2 + 1.9 * len(sets)))
upper, lower = figure.subfigures(2, 1, height_ratios=(4.2, 1.9 * len(sets)))
extremes = ImageGridDisplay.from_estimator(
    model, mine.images, mine.target, n_images=6, normalize=True, fig=upper
)
examples = ImageGridDisplay.from_sets(sets, n_images=6, random_state=0, fig=lower)
figure.savefig(arguments.output, dpi=110)

# %%
# The labels can be read from the display, too.

for name, row, texts in zip(extremes.row_names, extremes.indices, extremes.texts_, strict=True):
    print(name)
    for i, labels in zip(row, texts, strict=True):
        true, predicted = (label.get_text() if label else "unknown" for label in labels)
        print(f"  image {i}: true {true}, predicted {predicted} (scaled to 0–1)")
print(f"The figure is in {arguments.output}")
