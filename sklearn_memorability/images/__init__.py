"""Reading what users call an image: files, bytes, PIL images, arrays."""

from sklearn_memorability.images._collect import as_image_list, list_images
from sklearn_memorability.images._read import ImageContent, ImageReadError, read_image

__all__ = ["ImageContent", "ImageReadError", "as_image_list", "list_images", "read_image"]
