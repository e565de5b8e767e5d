"""What features on disk are known by: all that decides a row, and nothing else."""

import functools
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomTreesEmbedding
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_memorability.captions import load_embedding
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures
from sklearn_memorability.features._write_identity import known_pictures, known_transformer


def _known(transformer):
    return json.dumps(known_transformer(transformer), sort_keys=True)


@pytest.fixture(scope="module")
def fit(photographs):
    return lambda transformer: transformer.fit(photographs)


def test_what_changes_speed_place_or_talk_alone_changes_nothing(fit, tmp_path):
    plain = _known(fit(ImageFeatures()))
    for settings in (
        {"n_jobs": 2},
        {"batch_size": 7},
        {"verbose": 1},
        {"cache": tmp_path / "cache.sqlite"},
        {"on_error": "nan"},
        {"device": "cpu"},
        {"channels_last": False},
    ):
        assert _known(fit(ImageFeatures(**settings))) == plain
    union = _known(FeatureUnion([("a", fit(ImageFeatures()))]))
    for settings in ({"n_jobs": 2}, {"verbose": True}):
        assert _known(FeatureUnion([("a", fit(ImageFeatures()))], **settings)) == union


def test_what_changes_rows_changes_it(fit):
    scaled = np.random.default_rng(0).normal(size=(20, 1280))
    known = [
        _known(transformer)
        for transformer in (
            fit(ImageFeatures()),
            fit(ImageFeatures(crops=5)),
            fit(ImageFeatures(precision="bfloat16")),
            fit(CaptionEmbedding()),
            fit(CaptionEmbedding(with_cnn=True)),
            FeatureUnion([("a", fit(ImageFeatures()))]),
            FeatureUnion([("a", fit(ImageFeatures()))], transformer_weights={"a": 2.0}),
            Pipeline([("a", fit(ImageFeatures())), ("b", StandardScaler().fit(scaled))]),
            Pipeline([("a", fit(ImageFeatures())), ("b", StandardScaler().fit(scaled + 1))]),
        )
    ]
    assert len(set(known)) == len(known)


def test_an_embedding_is_known_by_its_projection(fit, tmp_path):
    flickr8k = load_embedding("flickr8k")
    flickr8k.save(tmp_path / "same.safetensors")
    other = load_embedding("flickr8k")
    other.image_weights_ = other.image_weights_.copy()
    other.image_weights_[3, 4] += 0.01
    other.save(tmp_path / "other.safetensors")
    named = _known(fit(CaptionEmbedding()))
    assert _known(fit(CaptionEmbedding(tmp_path / "same.safetensors"))) == named
    assert _known(fit(CaptionEmbedding(flickr8k))) == named
    assert _known(fit(CaptionEmbedding(tmp_path / "other.safetensors"))) != named


def _scaled_by(factor):
    return lambda X: X * factor


def test_functions_are_known_by_their_code_and_what_is_around_them():
    def known(function):
        return _known(FunctionTransformer(function))

    assert known(_scaled_by(2)) == known(_scaled_by(2))
    assert known(_scaled_by(2)) != known(_scaled_by(3))
    assert known(lambda X: X + 1) != known(lambda X: X + 2)
    assert known(functools.partial(np.add, 1)) != known(functools.partial(np.add, 2))
    assert known(np.log1p) != known(np.sqrt)


class Own(TransformerMixin, BaseEstimator):
    size = 2

    def __init__(self, network=None):
        self.network = network

    def transform(self, X):
        return np.zeros((len(X), self.size))


def test_estimators_of_ones_own_are_known_by_code_and_content():
    class Changed(Own):
        size = 3

    first, second = (torch.nn.Sequential(torch.nn.Linear(2, 2)) for _ in range(2))
    known = [_known(thing) for thing in (Own(), Changed(), Own(first), Own(second))]
    assert len(set(known)) == 4
    assert _known(Own(first)) == known[2]
    with torch.no_grad():
        first[0].bias += 1
    assert _known(Own(first)) != known[2]


@pytest.mark.parametrize(
    "make", [lambda s: PCA(2, random_state=s), lambda s: RandomTreesEmbedding(3, random_state=s)]
)
def test_other_peoples_estimators_are_known_by_what_they_learned(make):
    X = np.random.default_rng(0).normal(size=(30, 4))
    known = [_known(make_pipeline(make(0)).fit(X[rows])) for rows in ([*range(30)], [*range(20)])]
    assert known[0] != known[1]
    assert _known(make_pipeline(make(0)).fit(X)) == known[0]


def test_what_cannot_be_known_is_an_error_that_says_where_it_is():
    with pytest.raises(ValueError, match=r"What transformer\.network holds can't be known"):
        known_transformer(Own(threading.Lock()))
    with pytest.raises(NotFittedError):
        known_transformer(ImageFeatures())


CODE = """
import json
from sklearn.preprocessing import FunctionTransformer
from sklearn_memorability.features._write_identity import known_transformer

def chosen(X):
    return [x for x in X if x in {"a", "b", "c", "d"}]

class Holder:
    names = ("a",)
    def __init__(self):
        self.kinds = {"x", "y", "z"}

print(json.dumps([known_transformer(FunctionTransformer(chosen)), known_transformer(Holder())]))
"""


def test_another_process_knows_it_too(capsys):
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},  # gives sets an order of their own
    )
    exec(CODE, {"__name__": "__main__"})
    assert done.stdout == capsys.readouterr().out


def test_pictures_are_known_in_their_order_by_path_or_content(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(b"1")
        os.utime(path, ns=(5, 5))
    names, files = known_pictures(paths)
    assert known_pictures([str(path) for path in paths]) == (names, files)
    assert known_pictures(paths[::-1])[0] != names
    paths[0].write_bytes(b"22")
    changed = known_pictures(paths)
    assert changed[0] == names
    assert changed[1] != files
    paths[0].unlink()
    assert known_pictures(paths)[1] not in {files, changed[1]}
    array = np.zeros((2, 3, 3), dtype=np.uint8)
    for some, others in (
        ([b"ab", b"c"], [b"a", b"bc"]),
        ([array], [array.transpose(1, 2, 0)]),
        ([Image.new("RGB", (2, 2))], [Image.new("RGB", (2, 2), "red")]),
        ([Image.new("RGB", (1, 4))], [Image.new("RGB", (4, 1))]),
        ([torch.zeros(3, 2, 2)], [torch.ones(3, 2, 2)]),
        (["a", "b"], ["a\0b", ""]),
    ):
        assert known_pictures(some) == known_pictures(some)
        assert known_pictures(some)[0] != known_pictures(others)[0]
