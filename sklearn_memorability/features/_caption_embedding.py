"""Images in the joint space of images and captions: the paper's IC features."""

import copy
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_memorability._torch import resolve_device
from sklearn_memorability.features._cache import FeatureCache
from sklearn_memorability.features._extractor import ImageExtractor
from sklearn_memorability.features._joint_space import is_name, open_embedding
from sklearn_memorability.images._collect import as_image_list

_IMAGES_AT_A_TIME = 256


class CaptionEmbedding(ImageExtractor):
    """Images in a joint space of images and captions: the paper's IC features.

    Section 2.1 of Squalli-Houssaini et al. (2018) [1]_: a network's feature of an image is
    projected into a space in which images lie near the captions that describe them [2]_.
    The paper projects VGG19's 4096 features to 1024. This transformer runs the network
    that the embedding was learned on.

    Parameters
    ----------
    embedding : str, path-like or fitted embedding, default="flickr8k"
        The joint space.

        - ``"flickr8k"`` comes with the package; see
          :func:`~sklearn_memorability.captions.VisualSemanticEmbedding.load`.
        - A ``.safetensors`` file that ``VisualSemanticEmbedding.save`` wrote.
        - A fitted :class:`~sklearn_memorability.captions.VisualSemanticEmbedding`, or
          another object with its ``transform``, ``transform_captions``,
          ``n_features_in_``, ``n_components_`` and ``network_``. It is used as it is:
          ``sklearn.base.clone`` of this transformer keeps it fitted. In the grid of a
          search, wrap it in ``sklearn.frozen.FrozenEstimator``.
        - ``"clip:MODEL/PRETRAINED"``, a CLIP model of open_clip (extra ``clip``).
    backbone : str, optional
        The network's name, as in :class:`ImageFeatures`. Only an embedding that does not
        tell its network (``network_`` is None) needs it. For a network of your own, give
        the embedding ``network={"backbone": module, "preprocessing": function}``.
    with_cnn : bool, default=False
        Whether to put the network's own features in front of the projected ones, for a
        model of two branches. Each image is decoded once, and passes the network once.
    weights : str or path-like, optional
        A file of weights for the network, as in :class:`ImageFeatures`.
    batch_size : int or "auto", default="auto"
        How many images go through the network at a time.
    device : str or torch.device, optional
        Where to compute. None takes the best there is.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        What the network computes in.
    cache : str, path-like or FeatureCache, optional
        Where the network's features are kept, shared with an :class:`ImageFeatures` of
        the same network.
    on_error : {"raise", "nan"}, default="raise"
        Whether an image that can't be read is an error, or a row of NaN and a warning.
    n_jobs : int, optional
        How many processes share the images. None is 1.
    verbose : int, default=0
        Above 0, a progress bar.

    Attributes
    ----------
    embedding_ : VisualSemanticEmbedding or object with its methods
        The joint space, fitted.
    n_components_ : int
        Its width.
    device_ : torch.device
        Where the network is.
    precision_ : {"float32", "bfloat16"}
        What the network computes in.

    See Also
    --------
    ImageFeatures : The network's features alone.
    sklearn_memorability.pipelines.two_branch_regressor : Both kinds, a branch for each.

    Notes
    -----
    An image whose features project to zero gives a row of zeros. A pickle holds the
    embedding, except ``"flickr8k"`` and CLIP models, which are opened again by name.

    References
    ----------
    .. [1] H. Squalli-Houssaini, N. Q. K. Duong, M. Gwenaëlle, C.-H. Demarty, "Deep
       learning for predicting image memorability", ICASSP 2018, section 2.1.
    .. [2] R. Kiros, R. Salakhutdinov, R. S. Zemel, "Unifying visual-semantic embeddings
       with multimodal neural language models", arXiv:1411.2539, 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from sklearn_memorability.features import CaptionEmbedding
    >>> images = load_sample_images().images
    >>> embedding = CaptionEmbedding().fit(images)
    >>> embedding.transform(images).shape
    (2, 1024)
    >>> captions = ["A red flower on a green plant.", "A man rides a bike."]
    >>> [[(caption, cosine)], _] = embedding.describe(images, captions, k=1)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ImageExtractor._parameter_constraints,
        "embedding": [str, os.PathLike, HasMethods(["transform", "transform_captions"])],
        "backbone": [str, None],
        "with_cnn": ["boolean"],
    }

    def __init__(
        self,
        embedding: Any = "flickr8k",
        *,
        backbone: str | None = None,
        with_cnn: bool = False,
        weights: str | os.PathLike[str] | None = None,
        batch_size: int | str = "auto",
        device: str | torch.device | None = None,
        precision: str = "float32",
        cache: str | os.PathLike[str] | FeatureCache | None = None,
        on_error: str = "raise",
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.embedding = embedding
        self.backbone = backbone
        self.with_cnn = with_cnn
        self.weights = weights
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.cache = cache
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the embedding and its network; the images are counted, not read.

        Parameters
        ----------
        X : list, tuple, array, Series or one-column DataFrame of n_images images
            Paths, bytes, open files, PIL images, arrays or tensors; see
            :func:`~sklearn_memorability.images.read_image`.
        y : None
            Ignored; there for scikit-learn's pipelines.

        Returns
        -------
        CaptionEmbedding
            Itself, fitted.

        Raises
        ------
        FileNotFoundError
            If the embedding, or ``weights``, is a file that does not exist.
        WeightsUnavailableError
            If the network's weights must be downloaded and can't be.
        ImportError
            If the network needs an extra that is not installed; names it.
        ValueError
            If a parameter is out of range, ``X`` holds no image, a file is damaged, or
            the embedding is not fitted, does not tell its network, or was learned on
            another one.
        """
        self._validate_params()
        as_image_list(X)
        weights = None if self.weights is None else os.fspath(self.weights)
        space = open_embedding(self.embedding, weights, resolve_device(self.device))
        recipe, network = self._prepare(*self._network_of(space))
        if network.width != space.n_features_in_:
            raise ValueError(
                f"The network {network.name!r} gives {network.width} features, but the embedding "
                f"takes {space.n_features_in_}: pass backbone=<the network that it was learned on>."
            )
        self._keep(recipe, network)
        self._space = space
        # An embedding that is opened by its name needs no room in a pickle.
        self._name = self.embedding if is_name(self.embedding) else None
        self._with_cnn = bool(self.with_cnn)
        self.n_components_ = int(space.n_components_)
        self._n_features_out = self.n_components_ + self._with_cnn * self._width
        return self

    def _network_of(self, space: Any) -> tuple[str | nn.Module, str | None, Any]:
        """Return the network, its layer and its preprocessing."""
        network = space.network_
        if not network or "backbone" not in network:
            if self.backbone is None:
                raise ValueError(
                    "The embedding does not tell which network it was learned on: pass "
                    'backbone="...", a network that gives its '
                    f"{space.n_features_in_} features."
                )
            return self.backbone, None, None
        backbone, preprocessing = network["backbone"], network.get("preprocessing")
        if self.backbone is not None and self.backbone != backbone:
            raise ValueError(
                f"backbone={self.backbone!r} is not the network that the embedding was learned on, "
                f"{backbone!r}: leave backbone out."
            )
        if self.weights is None and (preprocessing == "caffe" or network.get("weights")):
            # torchvision's weights, which would be downloaded, give other features.
            raise ValueError(
                f"The embedding was learned on weights of {backbone!r} that can't be downloaded "
                f"({network.get('weights') or preprocessing}): pass weights=<their file>."
            )
        return backbone, network.get("layer"), preprocessing

    @property
    def embedding_(self) -> Any:
        """The joint space, opened again after unpickling."""
        check_is_fitted(self)
        if self._space is None:
            self._space = open_embedding(self._name, self._recipe.weights, self.device_)
        return self._space

    def _finish(self, rows: np.ndarray) -> np.ndarray:
        projected = self._project(rows)
        return np.hstack([rows, projected]) if self._with_cnn else projected

    def _project(self, rows: np.ndarray) -> np.ndarray:
        was_read = ~np.isnan(rows).all(axis=1)
        projected = np.full((len(rows), self.n_components_), np.nan, dtype=np.float32)
        if was_read.any():
            projected[was_read] = np.asarray(self.embedding_.transform(rows[was_read]))
        return projected

    def describe(
        self, images: Any, candidate_captions: Sequence[str], k: int = 5
    ) -> list[list[tuple[str, float]]]:
        """Return the captions that lie nearest to each image.

        Parameters
        ----------
        images : list, tuple, array, Series or one-column DataFrame of n_images images
            As for ``transform``.
        candidate_captions : sequence of str
            The captions to choose from; duplicates count once.
        k : int, default=5
            How many to return for each image.

        Returns
        -------
        list of n_images lists of (str, float)
            The captions with their cosines, from -1 to 1, the nearest first. The list of
            an image that can't be read is empty (with ``on_error="nan"``).

        Raises
        ------
        ImageReadError
            With ``on_error="raise"``, at the first image that can't be read.
        TypeError
            If ``candidate_captions`` is a single string.
        ValueError
            If there is no candidate, ``k`` is not above zero, or the embedding has no
            text side.
        """
        check_is_fitted(self)
        if isinstance(candidate_captions, str):
            raise TypeError("candidate_captions is a single string. Put it in a list.")
        captions = list(dict.fromkeys(candidate_captions))
        if not captions:
            raise ValueError("candidate_captions is empty; give captions to choose among.")
        if not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"k={k!r} must be a whole number above zero.")
        texts = np.asarray(self.embedding_.transform_captions(captions))
        rows = self._project(self._rows(images))
        described: list[list[tuple[str, float]]] = []
        for part in gen_batches(len(rows), _IMAGES_AT_A_TIME):
            cosines = rows[part] @ texts.T
            nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
            described += [
                [(captions[i], float(row[i])) for i in order if not np.isnan(row[i])]
                for row, order in zip(cosines, nearest, strict=True)
            ]
        return described

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the columns' names.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        numpy.ndarray of str
            ``captionembedding0`` and so on; with ``with_cnn``, ``cnn__0`` and so on, then
            ``ic__0`` and so on, by which ``branches="auto"`` finds the two.
        """
        names = super().get_feature_names_out(input_features)
        if not self._with_cnn:
            return names
        cnn = [f"cnn__{i}" for i in range(self._width)]
        return np.asarray([*cnn, *(f"ic__{i}" for i in range(self.n_components_))], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if state.get("_name") is not None:
            state["_space"] = None
        if isinstance(self.embedding, os.PathLike):
            state["embedding"] = os.fspath(self.embedding)
        return state

    def __sklearn_clone__(self) -> Self:
        # scikit-learn would clone the embedding too, and leave it unfitted.
        without = copy.copy(self)
        without.embedding = ""
        cloned = super(CaptionEmbedding, without).__sklearn_clone__()
        cloned.embedding = self.embedding
        return cloned
