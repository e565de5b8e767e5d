"""Files of embeddings: tensors and their settings, as safetensors."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

FORMAT = "sklearn-memorability joint image-caption space 1"
_LARGEST_SETTINGS = 50_000_000


def write(
    path: str | os.PathLike[str], tensors: dict[str, torch.Tensor], settings: dict[str, Any]
) -> None:
    """Write tensors and settings, so that there is either the whole file or none.

    Parameters
    ----------
    path : str or path-like
        The file; it must end in ``.safetensors``.
    tensors : dict of str to torch.Tensor
        What was learned.
    settings : dict
        All else, as JSON can hold it.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{str(path)!r} must end in .safetensors, which is what is written.")
    metadata = {"format": FORMAT, "settings": json.dumps(settings, ensure_ascii=False)}
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(save({k: v.contiguous() for k, v in tensors.items()}, metadata))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`write` wrote; tensors come in single precision.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or another kind of file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of an embedding at {str(path)!r}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"it is not one that VisualSemanticEmbedding.save wrote (format "
                    f"{metadata.get('format')!r:.80})."
                )
            if len(metadata.get("settings", "")) > _LARGEST_SETTINGS:
                raise ValueError("its settings are too large.")
            settings = json.loads(metadata["settings"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} can't be read as an embedding: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{str(path)!r} can't be read as an embedding: its settings are none.")
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{str(path)!r} is damaged: {name} is not finite.")
    return tensors, settings
