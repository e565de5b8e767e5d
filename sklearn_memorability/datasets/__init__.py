"""Data to learn and measure with: bundled sets, and a user's own folder."""

from sklearn_memorability.datasets._folder import load_image_folder
from sklearn_memorability.datasets._things import load_things_concepts, load_things_photographs

__all__ = ["load_image_folder", "load_things_concepts", "load_things_photographs"]
