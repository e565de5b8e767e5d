"""The embeddings that come with the package."""

import os
from importlib import resources
from pathlib import Path

from sklearn_memorability.captions._visual_semantic import VisualSemanticEmbedding

BUNDLED = ("flickr8k",)


def load_embedding(embedding: str | os.PathLike[str]) -> VisualSemanticEmbedding:
    """Load an embedding: one that comes with the package, or a file.

    Parameters
    ----------
    embedding : "flickr8k", str or path-like
        The bundled embedding (see ``docs/captions.md`` for its data, licence and
        recall), or a file that :meth:`VisualSemanticEmbedding.save` wrote.

    Returns
    -------
    VisualSemanticEmbedding
        Fitted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or of another kind.

    Examples
    --------
    >>> from sklearn_memorability.captions import load_embedding
    >>> embedding = load_embedding("flickr8k")
    >>> embedding.transform_captions(["A dog runs on the grass."]).shape
    (1, 1024)
    """
    if embedding in BUNDLED:
        folder = resources.files("sklearn_memorability.captions") / "data"
        with resources.as_file(folder / f"{embedding}.safetensors") as path:
            return VisualSemanticEmbedding.load(path)
    if not Path(embedding).suffix:
        raise FileNotFoundError(
            f"embedding={os.fspath(embedding)!r} is neither a bundled one ({', '.join(BUNDLED)}) "
            "nor a file."
        )
    return VisualSemanticEmbedding.load(embedding)
