"""
What a model looks at
=====================

Two maps of an image, of how much each part of it raises or lowers the predicted score:
``occlusion_map`` covers one part after the other and predicts again; ``gradient_map``
follows the network's gradient from a plain image to this one. Here they are drawn for
scikit-learn's two sample images, or for one of your own::

    python examples/plot_why.py [IMAGE] [--output why.png]

It needs the extra ``embedded``, runs offline, and takes about half a minute.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import sklearn.datasets
from sklearn.pipeline import Pipeline

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.images import ImageReadError, list_images, read_image
from sklearn_memorability.inspection import MapDisplay, gradient_map, occlusion_map
from sklearn_memorability.pipelines import mlp_regressor

SIDE = 320

parser = argparse.ArgumentParser(description="Draw what a model looks at.")
parser.add_argument("image", nargs="?", type=Path, help="an image (default: two samples)")
parser.add_argument("--output", type=Path, default=Path("why.png"), help="the figure")
arguments = parser.parse_args()
paths = [arguments.image]
if arguments.image is None:
    paths = list_images(Path(sklearn.datasets.__file__).parent / "images")
try:
    images = {path.name: read_image(path) for path in paths}
except ImageReadError as error:
    parser.error(str(error))
# The network takes 224 pixels; more would only make the maps slower.
for image in images.values():
    image.thumbnail((2 * SIDE, SIDE))

# %%
# A weak model
# ------------
# The classifier is fitted to features of 946 photographs of objects, a small set that
# was chosen for high scores. On objects that it has not seen it orders photographs only
# a little better than chance (``plot_quickstart.py`` prints how much), and the samples
# are no photographs of objects. The maps show what *this model* reacts to. They are no
# evidence of what makes people remember an image, and a model this weak may react to
# anything.

training = load_things_photographs()
head = mlp_regressor(aggregation="mean", random_state=0).fit(training.data, training.target)
features = ImageFeatures().fit(list(images.values()))
model = Pipeline([("features", features), ("head", head)])

# %%
# Both maps of each image
# -------------------------
# Orange raises the predicted score, purple lowers it. The two need not agree: a covered
# part leaves a patch with edges, to which the network reacts too, and it reads but the
# middle of the image. Where they do agree, and do so for other sizes of the window, a
# map is worth a thought.

figure, axes = plt.subplots(
    len(images), 2, figsize=(12, 4.3 * len(images)), squeeze=False, layout="constrained"
)
for row, (name, image) in zip(axes, images.items(), strict=True):
    covered = occlusion_map(model, image, window=64, stride=32)
    gradient = gradient_map(model, image, n_steps=16, smoothing=8)
    MapDisplay.from_map(covered, name=f"{name}, occlusion", ax=row[0])
    MapDisplay.from_map(gradient, name=f"{name}, gradient", ax=row[1])
    print(f"{name}: predicted {covered.score:.3f}")
    print(f"  covered: the score drops by {covered.grid.min():+.3f} to {covered.grid.max():+.3f}")
    print(f"  plain image of its mean colour: {gradient.fill_score:.3f}")
figure.savefig(arguments.output, dpi=110)
print(f"The figure is in {arguments.output}")
