"""
What the caption space sees in a picture
========================================

The paper's second feature is a picture's place in a space that it shares with captions.
Before one builds on it, one may want to look: which captions lie nearest to a picture?
The bundled space was learned on everyday scenes (Flickr8k) and knows those best::

    python examples/plot_captions.py [FOLDER] [--captions FILE] [--output captions.png]

FILE holds a caption a line. It runs offline in a few seconds.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import sklearn.datasets

from sklearn_memorability import CaptionEmbedding
from sklearn_memorability.images import list_images, read_image

N_SHOWN = 4
N_CAPTIONS = 4
CAPTIONS = [
    "A red flower on a plant.",
    "A temple with a tiled roof.",
    "A dog runs through the grass.",
    "A man climbs a rock.",
    "A child plays in the water.",
    "People walk down a street in the city.",
    "A bird flies over the sea.",
    "A man rides a bike.",
]

parser = argparse.ArgumentParser(description="Show which captions lie nearest to pictures.")
parser.add_argument("folder", nargs="?", type=Path, help="pictures (default: two samples)")
parser.add_argument("--captions", type=Path, help="a file with a caption a line")
parser.add_argument("--output", type=Path, default=Path("captions.png"), help="the figure")
arguments = parser.parse_args()

# %%
# Pictures and candidates
# -----------------------

folder = arguments.folder or Path(sklearn.datasets.__file__).parent / "images"
try:
    pictures = list_images(folder)
    lines = CAPTIONS
    if arguments.captions is not None:
        lines = arguments.captions.read_text(encoding="utf-8").splitlines()
except OSError as error:
    parser.error(str(error))
candidates = [line.strip() for line in lines if line.strip()]
if not pictures:
    parser.error(f"There are no pictures in {folder}.")
if not candidates:
    parser.error(f"There are no captions in {arguments.captions}.")

# %%
# The nearest captions of each picture
# ------------------------------------
# Compare the captions of one picture: the order is what was learned, and a cosine on its
# own says little. Neither sample is an everyday scene, and it shows.

embedding = CaptionEmbedding(on_error="nan", verbose=1).fit(pictures)
described = embedding.describe(pictures, candidates, k=N_CAPTIONS)
for picture, captions in zip(pictures, described, strict=True):
    print(picture.name)
    for caption, cosine in captions:
        print(f"  {cosine:+.2f}  {caption}")

# %%
# The first few, drawn
# --------------------

shown = [(p, c) for p, c in zip(pictures, described, strict=True) if c][:N_SHOWN]
if not shown:
    parser.error(f"None of the pictures in {folder} can be read.")
figure, axes = plt.subplots(1, len(shown), figsize=(4 * len(shown), 4.5), squeeze=False)
for axis, (picture, captions) in zip(axes[0], shown, strict=True):
    axis.imshow(read_image(picture))
    axis.set_axis_off()
    text = "\n".join(f"{cosine:+.2f}  {caption}" for caption, cosine in captions)
    axis.set_title(text, fontsize=9, loc="left")
figure.tight_layout()
figure.savefig(arguments.output, dpi=110, bbox_inches="tight")
print(f"-> {arguments.output}")
