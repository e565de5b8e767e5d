"""The estimator that learns a space in which images lie beside their captions."""

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import Bunch, Tags, check_random_state, gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping, ProgressBar

from sklearn_memorability._torch import draw_seeds, resolve_device
from sklearn_memorability._training import hold_out, optimizer_settings, silence, stop_early, train
from sklearn_memorability.captions._files import (
    read_embedding,
    read_kiros,
    read_vsepp,
    reading,
    write_embedding,
)
from sklearn_memorability.captions._network import (
    WORD_ENCODERS,
    CaptionBatches,
    CaptionRows,
    Dropout,
    JointNetwork,
    RankingLoss,
    build_encoder,
    draw_weights,
    encoder_of,
)
from sklearn_memorability.captions._recall import caption_recall
from sklearn_memorability.captions._words import (
    FIRST_WORD,
    SENTENCES,
    TOKENIZERS,
    as_captions,
    count_words,
    embed_sentences,
    find_vectors,
    number_words,
)

BUNDLED = ("flickr8k",)

# Kiros et al.: gradients longer than this are scaled down to it.
_MAX_GRAD_NORM = 2.0
_PATIENCE = 5
_WORD_DIM = 300
_CAPTIONS_AT_A_TIME = 512
_LEAST_NORM = 1e-12
# Parameters that a file leaves out: it can't hold them, or they are of this machine.
_NOT_IN_FILES = {"word_vectors", "random_state", "device"}
_KIROS_NETWORK = {"backbone": "vgg19", "layer": "fc7", "preprocessing": "caffe"}


class VisualSemanticEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A joint space of images and captions, learned from pairs of them.

    An image's feature x, scaled to unit norm, is projected to x W + b. A caption is
    encoded from its words. Both are scaled to unit norm, and training moves an image
    nearer to its own captions than to those of other images (Kiros et al. 2014 [1]_).
    The projected feature is the "IC feature" of section 2.1 of Squalli-Houssaini et al.
    (2018).

    Parameters
    ----------
    n_components : int, default=1024
        Dimension of the space (the paper's).
    text_encoder : {"lstm", "gru", "bow"} or str, default="lstm"
        What encodes captions.

        - ``"lstm"`` (the paper's text) and ``"gru"`` (the code of Kiros et al.): the last
          state of a recurrent network over the words.
        - ``"bow"``: the mean of the words' vectors. It trains many times faster.
        - ``"sentence:NAME"``: a model of sentence-transformers (extra ``sentences``) or
          the folder of one, followed by a linear map that is trained.
    word_vectors : mapping of str to array-like or gensim KeyedVectors, optional
        First vectors of known words, such as word2vec's or GloVe's; training changes
        them. Without them, vectors have 300 numbers (``n_components`` for ``"bow"``).
    tokenizer : {"words", "words_and_marks"}, default="words"
        How captions are split: into lower-cased words, or into these and punctuation
        marks.
    min_count : int, default=1
        How often a word must be in the captions to be in the vocabulary.
    margin : float, default=0.2
        By how much the cosine with the own caption must exceed that with another one.
    negatives : {"sum", "hardest", "softmax"}, default="sum"
        The loss over the other captions, and the other images, of a batch: a hinge for
        each [1]_; a hinge for the nearest one [2]_; or a softmax of all cosines divided
        by ``temperature``. Captions of the same image never count as wrong.
    temperature : float, default=0.05
        Divides the cosines with ``negatives="softmax"``.
    dropout : float in [0, 1), default=0.0
        Share of an image's features left out in training.
    text_dropout : float in [0, 1), default=0.0
        Share of the text encoder's input left out in training: of the entries of word
        vectors or sentence embeddings; with ``"bow"``, of the words.
    lr : float, default=2e-4
        Learning rate of Adam.
    batch_size : int, default=128
        Captions a batch.
    max_epochs : int, default=15
        Most passes over the captions.
    early_stopping : bool or float in (0, 1), default=True
        Share of the images to hold out; True is 0.1. Training stops when the sum of the
        recalls on them has not risen for 5 epochs, and the best epoch's weights are
        kept. False trains on all images for ``max_epochs``.
    network : str or mapping, optional
        The parameters of :class:`~sklearn_memorability.features.ImageFeatures` that made
        the features, such as ``{"backbone": "vgg16", "layer": "fc7"}``, or the
        backbone's name. ``fit`` does not use it; it tells
        :class:`~sklearn_memorability.features.CaptionEmbedding` which network to run.
    random_state : int, RandomState instance or None, default=None
        Seeds the first weights, shuffling, dropout and the choice of held-out images.
    device : str, torch.device or None, default=None
        Where to train. None takes the best there is: CUDA, MPS, then the CPU.
    verbose : int, default=0
        Above 0, a progress bar, and the loss and recall after each epoch.

    Attributes
    ----------
    image_weights_ : numpy.ndarray of shape (n_features_in_, n_components_)
        The projection W of images.
    image_bias_ : numpy.ndarray of shape (n_components_,)
        Its b.
    text_weights_ : dict of str to numpy.ndarray, or None
        The text encoder's weights; None if only the images' projection was loaded.
    vocabulary_ : dict of str to int, or None
        The number of each known word, from 2 on; 0 is the end of a caption and 1 any
        other word. None with a sentence model.
    n_components_ : int
        Dimension of the space.
    network_ : dict or None
        ``network``, as parameters of ``ImageFeatures``.
    history_ : list of dict
        For each epoch: ``"train_loss"``, ``"dur"`` in seconds and, with
        ``early_stopping``, ``"valid_recall"``, the sum of six recalls in percent.
    n_features_in_ : int
        Width of the images' features.

    See Also
    --------
    sklearn_memorability.features.CaptionEmbedding : From images to this space.

    References
    ----------
    .. [1] R. Kiros, R. Salakhutdinov, R. Zemel, "Unifying visual-semantic embeddings with
       multimodal neural language models", arXiv:1411.2539, 2014.
    .. [2] F. Faghri, D. Fleet, J. Kiros, S. Fidler, "VSE++: improving visual-semantic
       embeddings with hard negatives", BMVC 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_memorability.captions import VisualSemanticEmbedding
    >>> rng = np.random.default_rng(0)
    >>> is_dog = rng.integers(2, size=200)
    >>> X = rng.normal(size=(200, 8)) + 3 * np.eye(2, 8)[is_dog]
    >>> captions = [["a dog runs", "the dog"] if dog else ["a red car"] for dog in is_dog]
    >>> space = VisualSemanticEmbedding(16, text_encoder="bow", lr=0.01, random_state=0)
    >>> space = space.fit(X, captions)
    >>> cosines = space.transform(X[:5]) @ space.transform_captions(["a car", "a dog"]).T
    >>> bool((cosines.argmax(axis=1) == is_dog[:5]).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "text_encoder": [str],
        "word_vectors": [HasMethods(["__contains__", "__getitem__"]), None],
        "tokenizer": [StrOptions(set(TOKENIZERS))],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "negatives": [StrOptions({"sum", "hardest", "softmax"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "text_dropout": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", Interval(Real, 0, 1, closed="neither")],
        "network": [str, Mapping, None],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 1024,
        *,
        text_encoder: str = "lstm",
        word_vectors: Any = None,
        tokenizer: str = "words",
        min_count: int = 1,
        margin: float = 0.2,
        negatives: str = "sum",
        temperature: float = 0.05,
        dropout: float = 0.0,
        text_dropout: float = 0.0,
        lr: float = 2e-4,
        batch_size: int = 128,
        max_epochs: int = 15,
        early_stopping: bool | float = True,
        network: str | Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.text_encoder = text_encoder
        self.word_vectors = word_vectors
        self.tokenizer = tokenizer
        self.min_count = min_count
        self.margin = margin
        self.negatives = negatives
        self.temperature = temperature
        self.dropout = dropout
        self.text_dropout = text_dropout
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.network = network
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Learn the space from images and their captions.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
            The images' features.
        y : sequence of n_images str or sequences of str
            The caption of each image, or its captions.

        Returns
        -------
        VisualSemanticEmbedding
            Itself, fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, ``X`` is not finite, an image has no caption,
            no word has a vector in ``word_vectors``, or training diverges.
        ImportError
            If ``text_encoder="sentence:NAME"`` and sentence-transformers is missing.
        """
        kind = self.text_encoder
        if kind not in WORD_ENCODERS and not kind.startswith(SENTENCES):
            raise ValueError(
                f"text_encoder={kind!r} must be 'lstm', 'gru', 'bow' or 'sentence:NAME'."
            )
        X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        texts, owner = as_captions(y, len(X))
        # Seeds of the text encoder's weights and dropout, the images', shuffling, the split.
        seeds = draw_seeds(check_random_state(self.random_state), 6)
        is_held = np.zeros(len(texts), dtype=bool)
        if self.early_stopping:
            is_held = np.isin(owner, hold_out(len(X), None, self.early_stopping, seeds[5])[1])

        vocabulary: dict[str, int] | None = None
        vectors: dict[int, np.ndarray] = {}
        word_dim = self.n_components if kind == "bow" else _WORD_DIM
        if kind in WORD_ENCODERS:
            learned = [text for text, held in zip(texts, is_held, strict=True) if not held]
            vocabulary = count_words(learned, self.tokenizer, self.min_count)
            n_inputs = len(vocabulary) + FIRST_WORD
            text = number_words(texts, self.tokenizer, vocabulary)
            if self.word_vectors is not None:
                vectors = find_vectors(self.word_vectors, vocabulary)
                word_dim = len(next(iter(vectors.values())))
        else:
            text = embed_sentences(kind, texts)
            n_inputs = text.shape[1]
        encoder = build_encoder(
            kind, n_inputs, word_dim, self.n_components, Dropout(self.text_dropout, seeds[1])
        )
        draw_weights(encoder, self.n_components, seeds[0])
        if vectors:
            _set_words(encoder, vectors)
        # Whoever interrupts a refit finds an unfitted estimator, not one of two halves.
        self.__dict__.pop("image_weights_", None)
        net = self._train(encoder, CaptionRows(X, text, owner), is_held, seeds[2:5])

        weights = {k: v.numpy(force=True).copy() for k, v in net.module_.state_dict().items()}
        self._set_space(
            image_weights=np.ascontiguousarray(weights.pop("image.weight").T),
            image_bias=weights.pop("image.bias"),
            text_weights={k.removeprefix("text."): v for k, v in weights.items()},
            vocabulary=vocabulary,
        )
        self.history_ = [
            {k: float(epoch[k]) for k in ("train_loss", "valid_recall", "dur") if k in epoch}
            for epoch in net.history
        ]
        return self

    def _train(
        self,
        encoder: torch.nn.Module,
        rows: CaptionRows,
        is_held: np.ndarray,
        seeds: Sequence[int],
    ) -> NeuralNet:
        """Return the trained skorch net; the captions held out judge its epochs."""
        device = resolve_device(self.device)
        weights_seed, dropout_seed, shuffle_seed = seeds
        held, learned = np.flatnonzero(is_held), np.flatnonzero(~is_held)

        def valid_recall(net: NeuralNet) -> float:
            images, owner = np.unique(rows.owner[held], return_inverse=True)
            module = net.module_.eval()
            with torch.inference_mode():
                X = torch.from_numpy(rows.features[images]).to(net.device)
                image = module.image(torch.nn.functional.normalize(X)).cpu().numpy()
                text = [
                    module.text(rows.texts(held[part]).to(net.device)).cpu().numpy()
                    for part in gen_batches(len(held), _CAPTIONS_AT_A_TIME)
                ]
            return caption_recall(unit(image), unit(np.concatenate(text)), owner).sum

        callbacks: list[Any] = [("clip", GradientNormClipping(_MAX_GRAD_NORM))]
        if len(held):
            callbacks += stop_early("valid_recall", valid_recall, _PATIENCE)
        if self.verbose:
            callbacks.append(("progress", ProgressBar()))
        net = NeuralNet(
            JointNetwork,
            module__n_features=rows.features.shape[1],
            module__n_components=self.n_components,
            module__text=encoder,
            module__seed=weights_seed,
            module__drop=Dropout(self.dropout, dropout_seed),
            criterion=RankingLoss,
            criterion__negatives=self.negatives,
            criterion__margin=self.margin,
            criterion__temperature=self.temperature,
            lr=self.lr,
            **optimizer_settings("adam", device),
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=CaptionBatches,
            iterator_train__rows=rows,
            iterator_train__seed=shuffle_seed,
            train_split=None,
            callbacks=callbacks,
            verbose=self.verbose,
            **silence(self.verbose),
            device=str(device),
        )
        train(net, learned, rows.owner[learned])
        return net

    def transform(self, X: Any) -> np.ndarray:
        """Project images into the space.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
            The images' features.

        Returns
        -------
        numpy.ndarray of shape (n_images, n_components_), float32
            Unit rows.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return unit(unit(X) @ self.image_weights_ + self.image_bias_)

    def transform_captions(self, captions: Sequence[str]) -> np.ndarray:
        """Encode captions into the space.

        Parameters
        ----------
        captions : sequence of n_captions str
            The captions.

        Returns
        -------
        numpy.ndarray of shape (n_captions, n_components_), float32
            Unit rows.

        Raises
        ------
        ValueError
            If the embedding has no text encoder, or something is not a caption.
        """
        check_is_fitted(self)
        if self.text_weights_ is None:
            raise ValueError(
                "This embedding has no text encoder: only its projection of images was loaded. "
                "from_kiros reads the words from the .dictionary.pkl beside the arrays, and "
                "from_vsepp takes vocabulary=."
            )
        texts, _ = as_captions(captions, len(captions))
        if not texts:
            return np.empty((0, self.n_components_), dtype=np.float32)
        if self.vocabulary_ is None:
            text = embed_sentences(self.text_encoder, texts)
        else:
            text = number_words(texts, self.tokenizer, self.vocabulary_, self._prefix)
        encoder = encoder_of(self.text_encoder, self.text_weights_, self.n_components_)
        with torch.inference_mode():
            parts = [
                encoder(torch.from_numpy(text[part])).numpy()
                for part in gen_batches(len(texts), _CAPTIONS_AT_A_TIME)
            ]
        return unit(np.concatenate(parts))

    def recall(self, X: Any, captions: Any, k: Sequence[int] = (1, 5, 10)) -> Bunch:
        """Recall at k of captions by images and of images by captions.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
            The images' features.
        captions : sequence of n_images str or sequences of str
            The captions of each image.
        k : sequence of int, default=(1, 5, 10)
            How many of the nearest count.

        Returns
        -------
        sklearn.utils.Bunch
            See :func:`~sklearn_memorability.captions.caption_recall`.
        """
        images = self.transform(X)
        texts, owner = as_captions(captions, len(images))
        return caption_recall(images, self.transform_captions(texts), owner, k)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean of the recalls at 1, 5 and 10 in both directions.

        Parameters
        ----------
        X : array-like of shape (n_images, n_features)
            The images' features.
        y : sequence of n_images str or sequences of str
            The captions of each image.

        Returns
        -------
        float
            In [0, 1]; larger is better.
        """
        return self.recall(X, y).sum / 600

    def save(self, path: str | os.PathLike[str], dtype: str = "float32") -> None:
        """Write the fitted embedding to a file, without pickle.

        Parameters
        ----------
        path : str or path-like
            The file, ending in ``.safetensors``. It is written as a whole or not at all.
        dtype : {"float32", "float16"}, default="float32"
            Precision of the weights; ``"float16"`` halves the file and changes cosines
            in the fourth digit.
        """
        check_is_fitted(self)
        if dtype not in {"float32", "float16"}:
            raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float16'.")
        parameters = {k: v for k, v in self.get_params().items() if k not in _NOT_IN_FILES}
        space = {
            "image_weights": self.image_weights_,
            "image_bias": self.image_bias_,
            "text_weights": self.text_weights_,
            "vocabulary": self.vocabulary_,
            "prefix": self._prefix,
        }
        write_embedding(path, {**parameters, "network": self.network_}, space, dtype)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load an embedding that comes with the package, or a file that :meth:`save` wrote.

        Parameters
        ----------
        path : "flickr8k", str or path-like
            The bundled embedding (its data, licence and recall are in
            ``docs/captions.md``), or a file.

        Returns
        -------
        VisualSemanticEmbedding
            Fitted.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, or another kind of file.

        Examples
        --------
        >>> from sklearn_memorability.captions import VisualSemanticEmbedding
        >>> embedding = VisualSemanticEmbedding.load("flickr8k")
        >>> embedding.transform_captions(["A dog runs on the grass."]).shape
        (1, 1024)
        """
        if path in BUNDLED:
            folder = resources.files("sklearn_memorability.captions") / "data"
            with resources.as_file(folder / f"{path}.safetensors") as bundled:
                return cls.load(bundled)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"There is no file of an embedding at {os.fspath(path)!r}, and the embeddings that "
                f"come with the package are {', '.join(BUNDLED)}."
            )
        with reading(path):
            parameters, space = read_embedding(path)
            embedding = cls(**parameters)
            embedding._validate_params()
            embedding._set_space(**space)
        return embedding

    @classmethod
    def from_kiros(cls, path: str | os.PathLike[str]) -> Self:
        """Read the embedding that Kiros et al. released.

        Its images' features are fc7 of Caffe's VGG19: ``VGGFeatures(depth=19,
        preprocessing="caffe", weights=FILE)`` with FILE converted from Caffe.
        torchvision's own VGG19 was trained anew and does not fit.

        Parameters
        ----------
        path : str or path-like
            ``X.npz`` of ``vse.zip`` [1]_. Its words are read from
            ``X.npz.dictionary.pkl`` beside it, if that is there; the pickle is parsed,
            never run.

        Returns
        -------
        VisualSemanticEmbedding
            Fitted; from 4096 features to 1024 components.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, or another kind of file.

        References
        ----------
        .. [1] https://www.cs.toronto.edu/~rkiros/models/vse.zip
        """
        return cls._released(read_kiros(path), _KIROS_NETWORK)

    @classmethod
    def from_vsepp(
        cls,
        path: str | os.PathLike[str],
        vocabulary: Mapping[str, int] | None = None,
        network: str | Mapping[str, Any] | None = None,
    ) -> Self:
        """Read a checkpoint of VSE++ (Faghri et al. 2018).

        Parameters
        ----------
        path : str or path-like
            The checkpoint, ``model_best.pth.tar``.
        vocabulary : mapping of str to int, optional
            ``word2idx`` of the vocabulary released beside it, with ``"<start>"``,
            ``"<end>"`` and ``"<unk>"``. Without it the embedding transforms images only.
        network : str or mapping, optional
            The network whose features it takes, as for the constructor.

        Returns
        -------
        VisualSemanticEmbedding
            Fitted.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, or another kind of file.
        """
        return cls._released(read_vsepp(path, vocabulary), network)

    @classmethod
    def _released(cls, space: dict[str, Any], network: Any) -> Self:
        embedding = cls(
            space["image_weights"].shape[1],
            text_encoder="gru",
            tokenizer="words_and_marks",
            network=network,
        )
        embedding._set_space(**space)
        return embedding

    def _set_space(
        self,
        *,
        image_weights: np.ndarray,
        image_bias: np.ndarray,
        text_weights: dict[str, np.ndarray] | None = None,
        vocabulary: dict[str, int] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """Set the fitted attributes; an error if they don't go together."""
        if image_weights.ndim != 2 or image_bias.shape != image_weights.shape[1:]:
            raise ValueError(f"its projection has shapes {image_weights.shape}, {image_bias.shape}")
        if text_weights is not None:
            encoder_of(self.text_encoder, text_weights, len(image_bias))
            if (self.text_encoder in WORD_ENCODERS) != (vocabulary is not None):
                raise ValueError("its vocabulary and its text encoder don't go together")
            n_words = len(text_weights.get("words.weight", ()))
            if not all(
                isinstance(n, int) and FIRST_WORD <= n < n_words
                for n in (vocabulary or {}).values()
            ):
                raise ValueError(f"its words have numbers beyond its {n_words} vectors")
        self.image_weights_ = image_weights
        self.image_bias_ = image_bias
        self.n_features_in_, self.n_components_ = image_weights.shape
        self.text_weights_ = text_weights
        self.vocabulary_ = vocabulary
        # Words in front of every caption.
        self._prefix = list(prefix)
        network = {"backbone": self.network} if isinstance(self.network, str) else self.network
        self.network_ = None if network is None else dict(network)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if isinstance(state["device"], torch.device):
            state["device"] = str(state["device"])
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "image_weights_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _set_words(encoder: Any, vectors: dict[int, np.ndarray]) -> None:
    """Give known words their vectors, scaled as the drawn ones are."""
    table = np.stack(list(vectors.values()))
    scaled = torch.from_numpy(table * (0.1 / max(float(table.std()), _LEAST_NORM)))
    with torch.no_grad():
        encoder.words.weight[torch.tensor(list(vectors))] = scaled


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; a row of zeros stays one."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST_NORM)
