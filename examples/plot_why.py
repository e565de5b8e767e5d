"""
What a model looks at
=====================

``occlusion_map`` covers one part of an image after the other and scores the rest again.
Here the embedded model's maps of two images, for a small window and a large one, or of
one of your own::

    python examples/plot_why.py [IMAGE] [--output why.png]

It needs the extras ``embedded`` and ``share``, runs offline, and takes about a minute.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.inspection import MapDisplay, occlusion_map
from sklearn_memorability.persistence import load

SIDE = 400
SHARES = (6, 3)  # of the shorter side, one window each

parser = argparse.ArgumentParser(description="Draw what a model looks at.")
parser.add_argument("image", nargs="?", type=Path, help="an image (default: two samples)")
parser.add_argument("--output", type=Path, default=Path("why.png"), help="the figure")
arguments = parser.parse_args()
paths = [arguments.image]
if arguments.image is None:
    paths = [Path(sys.argv[0]).parent / "images" / name for name in ("bee.jpg", "colosseum.jpg")]
try:
    images = {path.stem: read_image(path) for path in paths}
except ImageReadError as error:
    parser.error(str(error))
# The network takes 224 pixels; more would only make the maps slower.
for image in images.values():
    image.thumbnail((SIDE, SIDE))

# %%
# Two windows for each image
# --------------------------
# Orange raises the predicted score, purple lowers it. A covered part leaves a patch with
# edges, to which the network reacts too, and the network reads but the middle of the
# image. Where maps of several windows agree, they are worth a thought. They show what
# *this model* reacts to, which is no evidence of what makes people remember an image.
#
# ``gradient_map`` draws a finer map, for a Pipeline of ``ImageFeatures`` and the
# regressor with classes.

model = load("embedded")
figure, axes = plt.subplots(
    len(images), 2, figsize=(10, 3.3 * len(images)), squeeze=False, layout="constrained"
)
for row, (name, image) in zip(axes, images.items(), strict=True):
    for ax, share in zip(row, SHARES, strict=True):
        window = max(1, min(image.size) // share)
        covered = occlusion_map(model, image, window=window, stride=max(1, window // 3))
        MapDisplay.from_map(covered, name=f"{name}, window of {window}", ax=ax)
        print(f"{name}: predicted {covered.score:.3f}; covered by {window} x {window} pixels, ")
        print(f"  the score drops by {covered.grid.min():+.3f} to {covered.grid.max():+.3f}")
figure.savefig(arguments.output, dpi=110)
print(f"The figure is in {arguments.output}")
