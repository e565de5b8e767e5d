"""The registry of ready models: a published model is a row of ``READY``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._backbones import BACKBONES, own_weights
from sklearn_memorability.features._families import clip_is_here
from sklearn_memorability.features._weights import DownloadedWeights, read_state_dict
from sklearn_memorability.persistence._contents import hash_of_file
from sklearn_memorability.regression._layers import LayersRegressor

_SCALE = "recognition rate of a repeat-detection game, 0 to 1"
# The sets of images that models were measured on. LaMem's figures are as published.
LANDSCAPES = "landscapes (LNSIM)"
SCENES = "urban and natural scenes"
OBJECTS = "objects (THINGS)"
LAMEM = "LaMem, as published"

# Facts in a row that go with the model wherever it is saved.
_ABOUT = ("name", "terms", "trained_on", "citation", "scale", "measured")


@dataclass(frozen=True)
class ReadyModel:
    """A published model: a network of the registry of backbones, and layers behind it.

    Attributes
    ----------
    name : str
        Its name in ``load``.
    network : str
        ``backbone`` of its ImageFeatures.
    layers : sequence of str
        The names of its head's layers in the file of weights.
    output : {"sigmoid", "clip"}
        How the last output becomes a score.
    module, install : str
        What it needs to be installed, and pip's name for that.
    head : DownloadedWeights, optional
        The file with the head's layers, where it isn't the network's own.
    size : int
        Bytes of all its files.
    terms, trained_on, citation, scale : str
        What users must know.
    measured : mapping of str to float
        Spearman's correlation by set of images that it was not fitted to.
    """

    name: str
    network: str
    layers: Sequence[str]
    output: str
    module: str
    install: str
    size: int
    terms: str
    trained_on: str
    citation: str
    measured: Mapping[str, float]
    head: DownloadedWeights | None = None
    scale: str = _SCALE

    def about(self) -> dict[str, Any]:
        """Return the facts that go with the model wherever it is saved."""
        return {name: getattr(self, name) for name in _ABOUT}

    def where(self) -> str:
        """Say where its files are, or how to get them."""
        if find_spec(self.module) is None:
            return f"pip install {self.install}"
        network: Any = BACKBONES.get(self.network)
        files = [self.head, network and network.load.weights]
        is_here = all(f.target.exists() for f in files if isinstance(f, DownloadedWeights)) and (
            network is not None or clip_is_here(self.network.removeprefix("clip:"))
        )
        return "here" if is_here else "downloaded at first use"

    def load(self, device: str | torch.device | None, files: Sequence[Path]) -> Pipeline:
        """Return the fitted Pipeline; ``files`` are those of weights that lie elsewhere."""
        heads = [f for f in files if self.head and hash_of_file(f) == self.head.sha256]
        networks = [file for file in files if file not in heads]
        if len(networks) > 1:
            more = f", and one with the hash of its head, {self.head.sha256}" if self.head else ""
            raise ValueError(
                f"weights={[*map(str, networks)]}: {self.name!r} takes one file of its network"
                f"{more}."
            )
        own = networks[0] if networks else None
        features = ImageFeatures(self.network, weights=own, device=device)
        # Nothing is learned from images; this loads the network.
        features.fit(np.zeros((1, 8, 8, 3), dtype=np.uint8))
        if self.head is None:
            state = own_weights(self.network, own)
        else:
            state = read_state_dict(heads[0] if heads else self.head.path(self.name))
        last = state.get(f"{self.layers[-1]}.weight")
        if last is None or len(last) != 1:
            raise ValueError(
                f"weights={str(own)!r} is not the file of {self.name!r}: its layer "
                f"{self.layers[-1]!r} is missing, or gives no single score."
            )
        weights, biases = (
            [state[f"{layer}.{kind}"].float().numpy().copy() for layer in self.layers]
            for kind in ("weight", "bias")
        )
        head = LayersRegressor(weights, biases, self.output, self.about())
        return Pipeline([("features", features), ("head", head)])


_ROWS = (
    ReadyModel(
        name="vitmem",
        network="vitmem",
        layers=["head"],
        output="sigmoid",
        module="timm",
        install="'sklearn-memorability[timm]'",
        size=343_000_000,
        terms="MIT",
        trained_on="LaMem and MemCat",
        citation="Hagen, Espeseth: Image memorability prediction with vision transformers, "
        "arXiv:2301.08647, 2023",
        measured={LAMEM: 0.71},
    ),
    ReadyModel(
        name="memcoach",
        network="clip:ViT-SO400M-14-SigLIP-384/webli",
        layers=["fc1", "fc2"],
        output="clip",
        module="open_clip",
        install="'sklearn-memorability[clip]'",
        head=DownloadedWeights(
            "https://raw.githubusercontent.com/laitifranz/MemCoach/"
            "487538fb06242c31c87d513ff096527db577b4a6/"
            "ckpt/target_predictor/memorability/ours/model_weights.pth",
            name="memcoach-2ac0b0eb.pth",
            sha256="2ac0b0eb89311b409f64b13648c7214b21efa45da14c38672480958e53317517",
        ),
        size=3_510_000_000,
        terms="Apache-2.0",
        trained_on="not said by its authors",
        citation="Laiti, Talon, Staiano, Ricci: How to take a memorable picture? Empowering users "
        "with actionable feedback, CVPR 2026",
        measured={},
    ),
    ReadyModel(
        name="resmem",
        network="resmem",
        layers=["fc12"],
        output="sigmoid",
        module="resmem",
        install="resmem",
        size=528_000_000,
        terms="non-commercial",
        trained_on="LaMem and MemCat",
        citation="Needell, Bainbridge: Embracing new techniques in deep learning for estimating "
        "image memorability, Computational Brain & Behavior 5, 2022",
        measured={LAMEM: 0.67, LANDSCAPES: 0.44, SCENES: 0.49, OBJECTS: 0.15},
    ),
)
READY = {model.name: model for model in _ROWS}
