"""Readers of models, weights, embeddings, caches, archives and kept results."""

import io
import json
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as safetensors
from sklearn.ensemble import RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from fuzzing.reader import BrokenPromiseError, Reader
from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.experiments._runs import Runs, _file
from sklearn_memorability.features import FeatureCache, _cache_file
from sklearn_memorability.features._backbones import StateDictLoader
from sklearn_memorability.features._cache_rows import CachedRows
from sklearn_memorability.features._weights import DownloadedWeights, read_state_dict
from sklearn_memorability.model_selection._trials import Trials
from sklearn_memorability.persistence import load, read_facts, save
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

WORDS = {"<pad>": 0, "<start>": 1, "<end>": 2, "<unk>": 3, "dog": 4}
CAPTION = "a dog, on <b>é</b>"


def _rows() -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    return chance.normal(size=(24, 4)).astype(np.float32), chance.random(24)


def _saved(model: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.skops")
        save(model, path)
        return path.read_bytes()


def models() -> Mapping[str, bytes]:
    """Return files of small models with many kinds of nodes."""
    X, y = _rows()
    regressor = BalancedQuantileClassifierRegressor(
        2, max_epochs=1, branch_sizes=(2,), hidden_layer_sizes=(2,), linear_weight=0.5,
        branches={"a": [0, 2], "b": slice(1, 4)}, random_state=np.random.RandomState(0),
        target="soft", device="cpu",
    )  # fmt: skip
    fitted = {
        "regressor": make_pipeline(StandardScaler(), FunctionTransformer(np.tanh), regressor),
        "trees": RandomForestRegressor(2, max_depth=2, random_state=0),
        "neighbours": KNeighborsRegressor(2, algorithm="kd_tree"),
    }
    return {name: _saved(model.fit(X, y)) for name, model in fitted.items()}


def read_model(variant: str, data: bytes, folder: Path) -> None:
    """Load a model, and let it predict if it can."""
    path = folder / "model.skops"
    path.write_bytes(data)
    with suppress(ValueError):
        read_facts(path)
    model = load(path, device="cpu")
    if type(model).__name__ in ("RandomForestRegressor", "KNeighborsRegressor"):
        # What was built must not lead out of memory; an odd model may refuse the rows.
        try:
            model.predict(_rows()[0][:2])
        except Exception:
            return


def _tiny(layer: str) -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def weights() -> Mapping[str, bytes]:
    """Return files of weights in all formats."""
    state = {**_tiny("").state_dict(), "head.w": torch.ones(2, dtype=torch.float16)}
    new, old, more = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(state, new)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    torch.save(
        {**state, "0.weight": state["0.weight"].T.contiguous().T, "n": torch.tensor(3)}, more
    )
    found = {"pth": new.getvalue(), "old.pth": old.getvalue(), "views.pth": more.getvalue()}
    # The last one has a tensor that the network lacks, and reading alone is tried with it.
    return {**found, "safetensors": safetensors(state)}


def read_weights(variant: str, data: bytes, folder: Path) -> None:
    """Fill a network from a file, as ImageFeatures(weights=) does, and compute with it."""
    path = folder / f"weights.{variant}"
    path.write_bytes(data)
    if variant == "views.pth":
        read_state_dict(path)
        return
    loader = StateDictLoader("tiny", _tiny, DownloadedWeights("https://x/y.pth"), head="head.")
    network = loader("pool", path)
    network(torch.ones(2, 2))


def _vse(encoder: str) -> bytes:
    X, _ = _rows()
    space = VisualSemanticEmbedding(
        2, text_encoder=encoder, word_dim=2, max_epochs=1, device="cpu", network="vgg16"
    )
    space.fit(X, [f"{CAPTION} {i % 3}" for i in range(len(X))])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        space.save(path)
        return path.read_bytes()


def embeddings() -> Mapping[str, bytes]:
    """Return files of joint embeddings that were learned here."""
    return {encoder: _vse(encoder) for encoder in ("gru", "lstm", "bow")}


def read_embedding(variant: str, data: bytes, folder: Path) -> None:
    """Load an embedding and put a picture and a caption into its space."""
    path = folder / "space.safetensors"
    path.write_bytes(data)
    space = VisualSemanticEmbedding.load(path)
    space.transform(np.ones((1, space.n_features_in_), np.float32))
    if space.text_side_ is not None:
        space.transform_captions([CAPTION, "dog"])


def _kiros(n_words: int = 6) -> dict[str, np.ndarray]:
    chance = np.random.default_rng(0)
    f, n, d = 3, 2, 2
    shapes = {
        "ff_image_W": (f, n), "ff_image_b": (n,), "Wemb": (n_words, d), "encoder_W": (d, 2 * n),
        "encoder_b": (2 * n,), "encoder_U": (n, 2 * n), "encoder_Wx": (d, n),
        "encoder_Ux": (n, n), "encoder_bx": (n,),
    }  # fmt: skip
    return {name: chance.normal(size=shape).astype("<f4") for name, shape in shapes.items()}


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **_kiros())
    return buffer.getvalue()


def released() -> Mapping[str, bytes]:
    """Return embeddings as others released them."""
    n, f, d, words = 2, 3, 2, len(WORDS)
    images = {"fc.weight": torch.ones(n, f), "fc.bias": torch.zeros(n)}
    captions = {
        "embed.weight": torch.ones(words, d),
        "rnn.weight_ih_l0": torch.ones(3 * n, d),
        "rnn.weight_hh_l0": torch.ones(3 * n, n),
        "rnn.bias_ih_l0": torch.zeros(3 * n),
        "rnn.bias_hh_l0": torch.zeros(3 * n),
    }
    buffer = io.BytesIO()
    torch.save({"epoch": 1, "model": [images, captions]}, buffer)
    # As Python 2's pickle wrote an OrderedDict, in protocols 0 and 2.
    old = (
        b"ccollections\nOrderedDict\np0\n((lp1\n(lp2\nS'dog'\np3\naI2\na"
        b"a(lp4\nS'a'\np5\naI3\naatp6\nRp7\n."
    )
    new = (
        b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(]q\x02(U\x03dogq\x03K\x02e"
        b"]q\x04(X\x01\0\0\0aq\x05K\x03ee\x85q\x06Rq\x07."
    )
    return {"npz": _npz(), "pkl": old, "pkl2": new, "vsepp": buffer.getvalue()}


def read_released(variant: str, data: bytes, folder: Path) -> None:
    """Read an embedding that others released, and put a caption into its space."""
    path = folder / "X.npz"
    if variant == "vsepp":
        path = folder / "model_best.pth.tar"
        path.write_bytes(data)
        space = VisualSemanticEmbedding.from_vsepp(path, WORDS)
    else:
        path.write_bytes(data if variant == "npz" else _npz_once())
        dictionary = released_once()["pkl"] if variant == "npz" else data
        (folder / "X.npz.dictionary.pkl").write_bytes(dictionary)
        space = VisualSemanticEmbedding.from_kiros(path)
    space.transform(np.ones((1, space.n_features_in_), np.float32))
    space.transform_captions([CAPTION])


_npz_once, released_once = lru_cache(_npz), lru_cache(released)
_IDENTITY = json.dumps(
    {"network": "n", "layer": "l", "weights": "w", "crops": 1, "precision": "float32"}
)
_WIDTH = 3
_DIGESTS = [bytes([i]) * 32 for i in range(4)]
_VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def caches() -> Mapping[str, bytes]:
    """Return a cache with four rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "features.sqlite")
        rows = CachedRows(FeatureCache(path), _IDENTITY, _WIDTH)
        rows.put(_DIGESTS, _VALUES)
        rows.close()
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        return {"cache": path.read_bytes()}


def read_cache(variant: str, data: bytes, folder: Path) -> None:
    """Look rows up, keep some, list and prune; a row that is returned is the right one."""
    path = folder / "features.sqlite"
    path.write_bytes(data)
    cache = FeatureCache(path)
    _cache_file._MOST_FAILURES = 200  # each takes time, which is no finding
    rows = CachedRows(cache, _IDENTITY, _WIDTH)
    try:
        for _ in range(2):
            for digest, row in rows.get(_DIGESTS).items():
                if not np.array_equal(row, _VALUES[_DIGESTS.index(digest)]):
                    raise BrokenPromiseError("a cached row is another picture's")
            rows.put(_DIGESTS, _VALUES)
    finally:
        rows.close()
    len(cache)
    cache.contents()
    cache.prune(network="n", max_bytes=10)


def trials() -> Mapping[str, bytes]:
    """Return the file of a search."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "search.jsonl")
        kept = Trials(path, "s", 2)
        fold = {"fit_error": None, "fit_time": 0.1, "score_time": 0.1, "n_test_samples": 3}
        for i in range(3):
            kept.put((0.5, i), [{**fold, "test_scores": {"score": 0.1}}] * 2)
        return {"trials": path.read_bytes()}


def read_trials(variant: str, data: bytes, folder: Path) -> None:
    """Take up a search again, and go on with it."""
    path = folder / "search.jsonl"
    path.write_bytes(data)
    kept = Trials(path, "s", 2)
    found = kept.get((0.5, 1))
    if found is not None and len(found) != 2:
        raise BrokenPromiseError("a candidate has not all folds")
    kept.put((0.5, 9), [{"fit_time": 0.1}] * 2)
    if Trials(path, "s", 2).get((0.5, 9)) is None:
        raise BrokenPromiseError("what was kept is not found again")


def predictions() -> Mapping[str, bytes]:
    """Return the kept predictions of a fold."""
    buffer = io.BytesIO()
    np.save(buffer, np.linspace(0, 1, 5))
    return {"fold": buffer.getvalue()}


def read_predictions(variant: str, data: bytes, folder: Path) -> None:
    """Take kept predictions; they are finite numbers, or not taken."""
    (folder / _file("row", "f")).write_bytes(data)
    found = Runs(folder).get("row", "f")
    if found is not None and not np.isfinite(found).all():
        raise BrokenPromiseError("kept predictions are not finite")


FILES = [
    Reader("model", models, read_model),
    Reader("weights", weights, read_weights),
    Reader("embedding", embeddings, read_embedding),
    Reader("released", released, read_released),
    Reader("cache", caches, read_cache),
    Reader("trials", trials, read_trials),
    Reader("predictions", predictions, read_predictions, allowed=()),
]
