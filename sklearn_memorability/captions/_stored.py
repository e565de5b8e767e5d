"""What becomes of a fitted embedding outside the process: files, released weights."""

import os
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklearn_memorability.captions._file import read, write
from sklearn_memorability.captions._network import RECURRENT
from sklearn_memorability.captions._released import read_kiros, read_vsepp
from sklearn_memorability.captions._text import build_text_side, get_sentence_model, is_worded
from sklearn_memorability.captions._words import FIRST_WORD

# Parameters that files leave out: what only this process has.
_NOT_STORED = {"text_encoder", "word_vectors", "tokenizer", "network", "random_state", "device"}
_KIROS_NETWORK = {"backbone": "vgg19", "layer": "fc7", "preprocessing": "caffe"}


class StoredEmbedding(BaseEstimator):
    """Base of an embedding: saving, loading, and the weights that others released."""

    image_weights_: np.ndarray
    image_bias_: np.ndarray
    text_encoder: Any
    tokenizer: Any

    def save(self, path: str | os.PathLike[str], dtype: str = "float32") -> None:
        """Write the fitted embedding to a file, without pickle.

        Parameters
        ----------
        path : str or path-like
            The file, ending in ``.safetensors``. It is there as a whole or not at all.
        dtype : {"float32", "float16"}, default="float32"
            What numbers are kept in; ``"float16"`` halves the file, and changes cosines
            in the fourth digit.

        Raises
        ------
        ValueError
            If the ``tokenizer`` is a function, which no file can hold.
        """
        check_is_fitted(self)
        if dtype not in {"float32", "float16"}:
            raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float16'.")
        if self.text_side_ is not None and not isinstance(self.tokenizer, str):
            raise ValueError(
                "The embedding's tokenizer is a function, which a file can't hold; fit with one "
                "of the named tokenizers to save it."
            )
        tensors = {
            "image.weight": torch.from_numpy(self.image_weights_),
            "image.bias": torch.from_numpy(self.image_bias_),
        }
        kind = self.text_encoder if isinstance(self.text_encoder, str) else "sentences"
        settings: dict[str, Any] = {
            "parameters": {
                name: value.item() if isinstance(value, np.generic) else value
                for name, value in self.get_params(deep=False).items()
                if name not in _NOT_STORED
            },
            "network": self.network_,
            "text_encoder": None if self.text_side_ is None else kind,
        }
        if self.text_side_ is not None:
            for name, tensor in self.text_side_.state_dict().items():
                tensors[f"text.{name}"] = tensor
            settings |= {"tokenizer": self.tokenizer, "prefix": list(self._prefix)}
        if self.vocabulary_ is not None:
            settings["words"] = list(self.vocabulary_)
            settings["numbers"] = list(self.vocabulary_.values())
        kept = torch.float16 if dtype == "float16" else torch.float32
        write(path, {name: tensor.to(kept) for name, tensor in tensors.items()}, settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str], text_encoder: Any = None) -> Self:
        """Read an embedding from a file that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.
        text_encoder : sentence model, optional
            The sentence model that the embedding was fitted with, where it was an
            object or a function: files don't hold it. Without it, pictures can be
            transformed and captions can't.

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
        tensors, settings = read(path)
        try:
            return cls._from_file(tensors, settings, text_encoder)
        except (KeyError, TypeError, RuntimeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{os.fspath(path)!r} can't be read as an embedding: {error}"
            ) from error

    @classmethod
    def _from_file(
        cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any], text_encoder: Any
    ) -> Self:
        weights, bias = tensors["image.weight"].numpy(), tensors["image.bias"].numpy()
        if weights.ndim != 2 or bias.shape != weights.shape[1:]:
            raise ValueError(f"its projection has shapes {weights.shape} and {bias.shape}.")
        kind = settings["text_encoder"]
        embedding = cls(
            **settings["parameters"],
            **({} if kind is None or kind == "sentences" else {"text_encoder": kind}),
            **({} if kind is None else {"tokenizer": settings["tokenizer"]}),
            network=settings["network"],
        )
        if kind == "sentences" and text_encoder is not None:
            embedding.text_encoder = text_encoder
        embedding._validate_params()
        vocabulary, side = None, None
        prefix = tuple(settings.get("prefix", ()))
        state = {
            name.removeprefix("text."): tensor
            for name, tensor in tensors.items()
            if name.startswith("text.")
        }
        if kind is not None and is_worded(kind) and kind != "sentences":
            vocabulary = dict(zip(settings["words"], settings["numbers"], strict=True))
            if not all(isinstance(word, str) for word in [*vocabulary, *prefix]):
                raise ValueError("its words are no words.")
            side = _worded_side(kind, state, weights.shape[1], vocabulary)
        elif kind is not None and (kind != "sentences" or text_encoder is not None):
            n_inputs = state["project.weight"].shape[1]
            side = build_text_side(
                embedding.text_encoder,
                n_inputs=n_inputs,
                word_dim=1,
                n_components=weights.shape[1],
            )
            side.load_state_dict(state)
        embedding._set_state(
            image_weights=weights,
            image_bias=bias,
            text_side=side,
            vocabulary=vocabulary,
            network=settings["network"],
            prefix=prefix,
        )
        return embedding

    @classmethod
    def from_kiros(cls, path: str | os.PathLike[str]) -> Self:
        """Read the embedding that Kiros et al. released.

        Its pictures' side goes with the features of Caffe's VGG19,
        ``VGGFeatures(depth=19, preprocessing="caffe", weights=FILE)`` with FILE
        converted from Caffe; torchvision's own VGG19 was trained anew and does not fit.

        Parameters
        ----------
        path : str or path-like
            ``X.npz`` of ``vse.zip`` [1]_. The dictionary ``X.npz.dictionary.pkl``
            beside it is read too if it is there, by a reader that can build nothing but
            a dictionary of words and numbers.

        Returns
        -------
        VisualSemanticEmbedding
            Fitted; from 4096 features to 1024 components.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it is damaged or another kind of file.

        References
        ----------
        .. [1] https://www.cs.toronto.edu/~rkiros/models/vse.zip
        """
        return cls._from_released(read_kiros(path), _KIROS_NETWORK)

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
            The number of each word, with ``"<start>"``, ``"<end>"`` and ``"<unk>"``:
            ``word2idx`` of the vocabulary released beside it. Without it, pictures can
            be transformed and captions can't.
        network : str or mapping, optional
            The network whose features it takes, as for the constructor.

        Returns
        -------
        VisualSemanticEmbedding
            Fitted.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no such file, or it is damaged or another kind of file.
        """
        return cls._from_released(read_vsepp(path, vocabulary), network)

    @classmethod
    def _from_released(cls, found: Any, network: Any) -> Self:
        n_components = found.image_weight.shape[1]
        embedding = cls(
            n_components, text_encoder="gru", tokenizer="words_and_marks", network=network
        )
        vocabulary, side = None, None
        prefix: tuple[str, ...] = ()
        if found.text_state is not None:
            state, vocabulary = dict(found.text_state), dict(found.vocabulary)
            if found.start is not None:
                state["words.weight"], vocabulary, prefix = _renumbered(found)
            side = _worded_side("gru", state, n_components, vocabulary)
        embedding._set_state(
            image_weights=found.image_weight,
            image_bias=found.image_bias,
            text_side=side,
            vocabulary=vocabulary,
            network=network,
            prefix=prefix,
        )
        return embedding

    def _set_state(
        self,
        *,
        image_weights: np.ndarray,
        image_bias: np.ndarray,
        text_side: torch.nn.Module | None,
        vocabulary: dict[str, int] | None,
        network: Any,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.image_weights_ = np.ascontiguousarray(image_weights, dtype=np.float32)
        self.image_bias_ = np.asarray(image_bias, dtype=np.float32)
        self.n_features_in_, self.n_components_ = self.image_weights_.shape
        self.text_side_ = text_side
        self.vocabulary_ = vocabulary
        self._prefix = prefix
        self._sentence_model: Any = None
        self.network_ = {"backbone": network} if isinstance(network, str) else network
        if self.network_ is not None:
            self.network_ = dict(self.network_)

    def _get_sentence_model(self) -> Any:
        if self._sentence_model is None:
            self._sentence_model = get_sentence_model(self.text_encoder)
        return self._sentence_model

    def __getstate__(self) -> dict[str, Any]:
        # It comes back from text_encoder, at first use.
        state = super().__getstate__().copy()
        if "_sentence_model" in state:
            state["_sentence_model"] = None
        return state


def _worded_side(
    kind: str, state: dict[str, torch.Tensor], n_components: int, vocabulary: dict[str, int]
) -> torch.nn.Module:
    n_words, word_dim = state["words.weight"].shape
    if kind not in {*RECURRENT, "bow"}:
        raise ValueError(f"there is no text encoder {kind!r}.")
    numbers = list(vocabulary.values())
    if not all(isinstance(n, int) and FIRST_WORD <= n < n_words for n in numbers):
        raise ValueError(f"its words have numbers beyond its {n_words} vectors.")
    side = build_text_side(kind, n_inputs=n_words, word_dim=word_dim, n_components=n_components)
    side.load_state_dict(state)
    return side.eval().requires_grad_(False)


def _renumbered(found: Any) -> tuple[torch.Tensor, dict[str, int], tuple[str, ...]]:
    """Give VSE++'s words the numbers in use here: the end first, then the unknown."""
    start = "<start>"
    numbers = {start: found.start} | found.vocabulary
    table = found.text_state["words.weight"]
    order = torch.tensor([found.end, found.unknown, *numbers.values()])
    return table[order], {word: i for i, word in enumerate(numbers, FIRST_WORD)}, (start,)
