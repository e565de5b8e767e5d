"""The estimator that learns a space in which pictures lie beside their captions."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import Bunch, Tags, check_random_state, gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_memorability._torch import draw_seeds, resolve_device
from sklearn_memorability._training import (
    OPTIMIZERS,
    hold_out,
    train,
)
from sklearn_memorability.captions._batches import CaptionRows
from sklearn_memorability.captions._language import Language, numbered
from sklearn_memorability.captions._net import CAPTIONS_AT_A_TIME, build_net, unit
from sklearn_memorability.captions._recall import caption_recall
from sklearn_memorability.captions._stored import StoredEmbedding
from sklearn_memorability.captions._text import (
    build_text_side,
    on_cpu,
    set_word_vectors,
)
from sklearn_memorability.captions._words import (
    TOKENIZERS,
    Tokenizer,
    as_captions,
)


class VisualSemanticEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, StoredEmbedding):
    """A joint space of pictures and captions, learned from pairs of them.

    A picture's feature x is projected to x W + b, with x of unit norm, and a caption is
    encoded from its words; both are scaled to unit norm, and training brings a picture
    nearer to its own captions than to others' (Kiros et al. 2014 [1]_). The projected
    feature is what section 2.1 of Squalli-Houssaini et al. (2018) calls the feature from
    image captioning.

    Parameters
    ----------
    n_components : int, default=1024
        Dimension of the space (the paper's).
    text_encoder : {"lstm", "gru", "bow"}, str, or sentence model, default="lstm"
        The language side: the last state of an LSTM (the paper's text) or of a GRU (the
        code that Kiros et al. released) over the words; the mean of the words' vectors,
        which trains many times faster; ``"sentence:NAME"``, a model of
        sentence-transformers (extra ``sentences``) with a linear map behind; or any
        object with ``encode``, or function, from a list of strings to one row each.
    word_vectors : mapping of str to array-like or gensim KeyedVectors, optional
        Where the vectors of known words start, such as word2vec's or GloVe's; they are
        trained on. Their length takes the place of ``word_dim``.
    word_dim : int, default=300
        Length of the vectors of words.
    tokenizer : {"words", "words_and_pairs", "words_and_marks"} or callable, default="words"
        What captions are cut into: lower-cased words; these and every two that stand
        side by side (for ``"bow"``, which else knows no order); words and marks; or what
        a function from a string to a list of strings says.
    max_words : int, optional
        How many words to know, the most frequent. None is all.
    min_count : int, default=1
        How often a word must be in the captions to be known.
    margin : float, default=0.2
        By how much the own caption's cosine must be above another's.
    negatives : {"sum", "hardest", "softmax"}, default="sum"
        Which others of a batch count: all, by a hinge each [1]_; the nearest alone
        [2]_; all, by a softmax of the cosines over ``temperature``. Captions of the same
        picture are never taken for wrong ones.
    temperature : float, default=0.05
        What ``negatives="softmax"`` divides cosines by.
    dropout : float in [0, 1), default=0.0
        Share of a picture's features left out in training.
    text_dropout : float in [0, 1), default=0.0
        Share of what the language side is given left out in training: entries of the
        words' vectors, of a sentence embedding, or, for ``"bow"``, words.
    optimizer : {"adam", "adamw", "rmsprop", "sgd"}, default="adam"
        The optimiser.
    lr : float, default=2e-4
        Learning rate.
    weight_decay : float, default=0.0
        The optimiser's weight decay.
    batch_size : int, default=128
        Captions a batch.
    max_epochs : int, default=15
        Passes over the captions at the most.
    max_grad_norm : float, optional, default=2.0
        Gradients longer than this are scaled down to it.
    early_stopping : bool, default=True
        Whether to hold out ``validation_fraction`` of the pictures, to stop when the sum
        of the recalls on them has not risen for ``patience`` epochs, and to restore the
        weights of the best epoch.
    validation_fraction : float in (0, 1), default=0.1
        Share of the pictures to hold out.
    patience : int, default=5
        Epochs without improvement until training stops.
    network : str or mapping, optional
        Which features ``fit`` is given: the parameters of
        :class:`~sklearn_memorability.features.ImageFeatures` that made them, such as
        ``{"backbone": "vgg16", "layer": "fc7"}``, or a backbone's name. It is kept with
        the embedding, so that :class:`~sklearn_memorability.features.CaptionEmbedding`
        runs the same network; it changes nothing in ``fit``.
    random_state : int, RandomState instance or None, default=None
        Seeds initialisation, shuffling, dropout and what is held out.
    device : str, torch.device or None, default=None
        Where to train. None takes the best there is: CUDA, MPS, then the CPU.
    verbose : int, default=0
        Above 0, a progress bar, and the loss and recall after each epoch.

    Attributes
    ----------
    image_weights_ : numpy.ndarray of shape (n_features_in_, n_components_)
        W of the picture side.
    image_bias_ : numpy.ndarray of shape (n_components_,)
        Its b.
    n_components_ : int
        Dimension of the space.
    vocabulary_ : dict of str to int
        The number of each known word; 0 is the end and 1 any unknown word. None with a
        sentence model, or if only the picture side is there.
    text_side_ : torch.nn.Module or None
        The language side, on the CPU.
    network_ : dict or None
        What ``network`` said, as parameters of ``ImageFeatures``.
    history_ : skorch.history.History
        Loss and duration of each epoch; ``"valid_recall"``, the sum of six recalls in
        percent, with ``early_stopping``.
    device_ : torch.device
        Where it was trained.
    n_features_in_ : int
        Width of the pictures' features.

    See Also
    --------
    sklearn_memorability.features.CaptionEmbedding : From pictures to this space.
    load_embedding : An embedding that comes with the package, or a file.

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
    >>> chance = np.random.default_rng(0)
    >>> kinds = chance.integers(2, size=200)
    >>> X = chance.normal(size=(200, 8)) + 3 * np.eye(2, 8)[kinds]
    >>> captions = [["a dog runs", "the dog"] if kind else ["a red car"] for kind in kinds]
    >>> space = VisualSemanticEmbedding(16, text_encoder="bow", lr=0.01, random_state=0)
    >>> space = space.fit(X, captions)
    >>> cosines = space.transform(X[:5]) @ space.transform_captions(["a car", "a dog"]).T
    >>> bool((cosines.argmax(axis=1) == kinds[:5]).all())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "text_encoder": [str, HasMethods(["encode"]), callable],
        "word_vectors": [HasMethods(["__contains__", "__getitem__"]), None],
        "word_dim": [Interval(Integral, 1, None, closed="left")],
        "tokenizer": [StrOptions(set(TOKENIZERS)), callable],
        "max_words": [Interval(Integral, 1, None, closed="left"), None],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "negatives": [StrOptions({"sum", "hardest", "softmax"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "text_dropout": [Interval(Real, 0, 1, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS))],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "network": [str, Mapping, None],
        "random_state": ["random_state"],
        "device": [str, torch.device, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 1024,
        *,
        text_encoder: Any = "lstm",
        word_vectors: Any = None,
        word_dim: int = 300,
        tokenizer: str | Tokenizer = "words",
        max_words: int | None = None,
        min_count: int = 1,
        margin: float = 0.2,
        negatives: str = "sum",
        temperature: float = 0.05,
        dropout: float = 0.0,
        text_dropout: float = 0.0,
        optimizer: str = "adam",
        lr: float = 2e-4,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        max_epochs: int = 15,
        max_grad_norm: float | None = 2.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        patience: int = 5,
        network: str | Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.text_encoder = text_encoder
        self.word_vectors = word_vectors
        self.word_dim = word_dim
        self.tokenizer = tokenizer
        self.max_words = max_words
        self.min_count = min_count
        self.margin = margin
        self.negatives = negatives
        self.temperature = temperature
        self.dropout = dropout
        self.text_dropout = text_dropout
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.max_grad_norm = max_grad_norm
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.network = network
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Learn the space from pictures and their captions.

        Parameters
        ----------
        X : array-like of shape (n_pictures, n_features)
            The pictures' features.
        y : sequence of n_pictures str or sequences of str
            The caption of each picture, or its captions.

        Returns
        -------
        VisualSemanticEmbedding
            Itself, fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, ``X`` is not finite, a picture has no
            caption, no word has a vector in ``word_vectors``, or training diverges.
        ImportError
            If ``"sentence:NAME"`` is asked for and sentence-transformers is missing.
        """
        X = validate_data(self, X, dtype=np.float32, ensure_min_samples=2)
        texts, owner = as_captions(y, len(X))
        device = resolve_device(self.device)
        *seeds, split_seed = draw_seeds(check_random_state(self.random_state), 6)
        held = np.array([], dtype=np.int64)
        if self.early_stopping:
            _, held = hold_out(len(X), None, self.validation_fraction, split_seed)
        is_held = np.isin(owner, held)

        language = Language(self, [t for t, out in zip(texts, is_held, strict=True) if not out])
        text, lengths = language.encode(texts)
        side = build_text_side(
            self.text_encoder,
            n_inputs=language.n_inputs(text),
            word_dim=language.word_dim,
            n_components=self.n_components,
            dropout=self.text_dropout,
            seeds=(seeds[0], seeds[1]),
        )
        if language.vectors is not None:
            set_word_vectors(side, *language.vectors)
        rows = CaptionRows(X, text, owner, lengths)
        # Until the new network is trained there is none: whoever interrupts a refit
        # finds an unfitted estimator.
        self.__dict__.pop("image_weights_", None)
        net = build_net(self, side, rows, np.flatnonzero(is_held), seeds[2:], device)
        places = np.flatnonzero(~is_held)
        train(net, places, owner[places])

        fitted: Any = on_cpu(net.module_)
        self._set_state(
            image_weights=fitted.image.weight.numpy().T.copy(),
            image_bias=fitted.image.bias.numpy().copy(),
            text_side=fitted.text,
            vocabulary=language.vocabulary,
            network=self.network,
        )
        self._sentence_model = language.sentence_model
        self.history_ = net.history
        self.device_ = device
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Project pictures into the space.

        Parameters
        ----------
        X : array-like of shape (n_pictures, n_features)
            The pictures' features.

        Returns
        -------
        numpy.ndarray of shape (n_pictures, n_components_), float32
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
            If the embedding has no language side, or something is not a caption.
        """
        check_is_fitted(self)
        if self.text_side_ is None:
            raise ValueError(
                "This embedding has no language side: only its projection of pictures was "
                "loaded. from_kiros reads the words from the .dictionary.pkl beside the arrays, "
                "from_vsepp takes vocabulary=, and load takes text_encoder=."
            )
        texts, _ = as_captions(captions, len(captions))
        if not texts:
            return np.empty((0, self.n_components_), dtype=np.float32)
        if self.vocabulary_ is None:
            text = self._get_sentence_model()(texts)
        else:
            text = self._numbers(texts)
        parts = []
        for part in gen_batches(len(texts), CAPTIONS_AT_A_TIME):
            with torch.inference_mode():
                parts.append(self.text_side_(torch.from_numpy(text[part])).numpy())
        return unit(np.concatenate(parts))

    def rank(self, X: Any, captions: Sequence[str], k: int | None = None) -> np.ndarray:
        """Order captions for each picture.

        Parameters
        ----------
        X : array-like of shape (n_pictures, n_features)
            The pictures' features.
        captions : sequence of n_captions str
            The candidates.
        k : int, optional
            How many to return for each picture. None is all.

        Returns
        -------
        numpy.ndarray of shape (n_pictures, k), int64
            Indices into ``captions``, the nearest first.
        """
        nearness = self.transform(X) @ self.transform_captions(captions).T
        return np.argsort(-nearness, axis=1, kind="stable")[:, :k]

    def recall(self, X: Any, captions: Any, k: Sequence[int] = (1, 5, 10)) -> Bunch:
        """Recall at k of pictures finding their captions and captions their pictures.

        Parameters
        ----------
        X : array-like of shape (n_pictures, n_features)
            The pictures' features.
        captions : sequence of n_pictures str or sequences of str
            The captions of each picture.
        k : sequence of int, default=(1, 5, 10)
            How many of the nearest are looked at.

        Returns
        -------
        sklearn.utils.Bunch
            See :func:`~sklearn_memorability.captions.caption_recall`.
        """
        pictures = self.transform(X)
        texts, owner = as_captions(captions, len(pictures))
        return caption_recall(pictures, self.transform_captions(texts), owner, k)

    def score(self, X: Any, y: Any) -> float:
        """Return the mean of the recalls at 1, 5 and 10 in both directions.

        Parameters
        ----------
        X : array-like of shape (n_pictures, n_features)
            The pictures' features.
        y : sequence of n_pictures str or sequences of str
            The captions of each picture.

        Returns
        -------
        float
            In [0, 1]; larger is better.
        """
        return self.recall(X, y).sum / 600

    def _numbers(self, texts: Sequence[str]) -> np.ndarray:
        vocabulary: Any = self.vocabulary_
        return numbered(texts, self.tokenizer, vocabulary, self._prefix)[0]

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "image_weights_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags
