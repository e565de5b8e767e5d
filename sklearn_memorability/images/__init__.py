"""Reading what users call an image: files, bytes, PIL images, arrays."""

from sklearn_memorability.images._collect import list_images
from sklearn_memorability.images._read import ImageReadError, read_image

__all__ = ["ImageReadError", "list_images", "read_image"]
