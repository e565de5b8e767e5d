"""
What the caption space sees in an image
=======================================

The paper's second feature is an image's place in a space that it shares with captions.
This shows which captions lie nearest to each image. The bundled space was learned on
everyday scenes (Flickr8k) and knows those best::

    python examples/plot_captions.py [FOLDER] [--captions FILE] [--output captions.png]

FILE holds a caption a line. It runs offline in a few seconds.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from sklearn_memorability import CaptionEmbedding
from sklearn_memorability.images import list_images, read_image

N_SHOWN = 4
N_CAPTIONS = 4
CAPTIONS = """\
A red flower on a plant.
A dog runs through the grass.
A man takes a picture with a camera.
A woman in an orange suit smiles.
A cat looks at the camera.
Snow lies on the mountains behind a lake.
People eat at a table.
A man rides a bike."""

parser = argparse.ArgumentParser(description="Show which captions lie nearest to images.")
samples = Path(sys.argv[0]).parent / "images"
parser.add_argument("folder", nargs="?", type=Path, default=samples, help="images")
parser.add_argument("--captions", type=Path, help="a file with a caption a line")
parser.add_argument("--output", type=Path, default=Path("captions.png"), help="the figure")
arguments = parser.parse_args()

# %%
# Images and candidates
# ---------------------

text = CAPTIONS
try:
    paths = list_images(arguments.folder)
    if arguments.captions is not None:
        text = arguments.captions.read_text(encoding="utf-8")
except OSError as error:
    parser.error(str(error))
candidates = [line.strip() for line in text.splitlines() if line.strip()]
if not paths:
    parser.error(f"There are no images in {arguments.folder}.")

# %%
# The nearest captions of each image
# ----------------------------------
# Compare the captions of one image: the order is what was learned, and a cosine on its
# own says little. Few of the samples are everyday scenes, and it shows.

embedding = CaptionEmbedding(on_error="nan", verbose=1).fit(paths)
described = embedding.describe(paths, candidates, k=N_CAPTIONS)
titles = [
    "\n".join(f"{cosine:+.2f}  {caption}" for caption, cosine in nearest) for nearest in described
]
for path, title in zip(paths, titles, strict=True):
    print(path.name, *title.splitlines(), sep="\n")

# %%
# The first few, drawn
# --------------------

shown = [(path, title) for path, title in zip(paths, titles, strict=True) if title][:N_SHOWN]
if not shown:
    parser.error(f"None of the images in {arguments.folder} can be read.")
figure, axes = plt.subplots(1, len(shown), figsize=(4 * len(shown), 4.5), squeeze=False)
for ax, (path, title) in zip(axes[0], shown, strict=True):
    ax.imshow(read_image(path))
    ax.set_axis_off()
    ax.set_title(title, fontsize=9, loc="left")
figure.tight_layout()
figure.savefig(arguments.output, dpi=110, bbox_inches="tight")
print(f"-> {arguments.output}")
