"""Reading what users call an image: files, PIL images, arrays."""

from sklearn_memorability.images._collect import as_image_list, list_images
from sklearn_memorability.images._read import ImageReadError, read_image

__all__ = ["ImageReadError", "as_image_list", "list_images", "read_image"]
