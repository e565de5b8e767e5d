import io
import re
import sys
import zipfile

import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    StandardScaler,
)
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

from sklearn_memorability import CaptionEmbedding, ImageFeatures, VisualSemanticEmbedding
from sklearn_memorability.inspection import class_proba, quantiles
from sklearn_memorability.persistence import load, read_facts, save
from sklearn_memorability.pipelines import knn_regressor, svr_regressor, tree_regressor

IMAGES = load_sample_images().images


class Centred(Ridge):
    """A class of a user's own."""


def saved_and_loaded(model, folder, **settings):
    save(model, folder / "model.skops")
    return load(folder / "model.skops", **settings)


def test_every_prediction_is_the_same_to_the_last_bit_and_the_facts_tell_of_it(
    recommended, rows, tmp_path
):
    X, y = rows
    before = vars(recommended["model"]).copy()
    loaded = saved_and_loaded(recommended, tmp_path)
    assert vars(recommended["model"]) == before
    np.testing.assert_array_equal(loaded.predict(X), recommended.predict(X))
    np.testing.assert_array_equal(class_proba(loaded, X), class_proba(recommended, X))
    np.testing.assert_array_equal(quantiles(loaded, X), quantiles(recommended, X))
    for a, b in zip(
        loaded.predict(X, return_std=True), recommended.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert loaded["model"].get_params() == recommended["model"].get_params()
    np.testing.assert_array_equal(clone(loaded).fit(X, y).predict(X), recommended.predict(X))
    facts = read_facts(tmp_path / "model.skops")
    assert (facts["model"], facts["n_samples"], facts["n_features"]) == ("Pipeline", 120, 6)
    assert facts["weights_files"] == {}
    assert facts["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_the_fitted_model_is_saved_whatever_its_parameters_are_now(tiny, rows, tmp_path):
    X, y = rows
    model = tiny(kernel_weight=0.5).fit(X, y).recalibrate(X, 0.5 * y)
    model.set_params(n_classes=4, hidden_layer_sizes=(9, 9), n_members=3, kernel_weight=0)
    # A device that is not here becomes the best there is.
    loaded = saved_and_loaded(model.set_params(device="cuda:99"), tmp_path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict_quantiles(X), model.predict_quantiles(X))
    assert (loaded.hidden_layer_sizes, loaded.device) == ((9, 9), "cuda:99")
    with pytest.warns(UserWarning, match="distinct"):
        model = tiny().fit(X, np.full(len(X), 0.5))
    np.testing.assert_array_equal(saved_and_loaded(model, tmp_path).predict(X), model.predict(X))


@pytest.mark.parametrize(
    "make",
    [
        lambda tiny: make_pipeline(StandardScaler(), SVR()),
        lambda tiny: svr_regressor(),
        lambda tiny: knn_regressor(),
        lambda tiny: tree_regressor(random_state=0),
        lambda tiny: Ridge(),
        lambda tiny: KNeighborsRegressor(3, algorithm="ball_tree", metric="minkowski", p=3),
        lambda tiny: RandomForestRegressor(3, max_depth=3, random_state=0),
        lambda tiny: BaggingRegressor(DecisionTreeRegressor(), 3, max_features=0.5, random_state=0),
        lambda tiny: GradientBoostingRegressor(n_estimators=3, random_state=0),
        lambda tiny: make_pipeline(KBinsDiscretizer(3, encode="ordinal"), Ridge()),
        lambda tiny: TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
        lambda tiny: TransformedTargetRegressor(
            tiny(score_range=(-1, 1)), transformer=MinMaxScaler()
        ),
        lambda tiny: make_pipeline(
            ColumnTransformer([("a", StandardScaler(), slice(0, 3)), ("b", PCA(1), [3, 4])]),
            FeatureUnion([("c", FunctionTransformer(np.tanh)), ("d", "passthrough")]),
            tiny(branches=(4, -1), random_state=np.random.RandomState(3)),
        ),
        lambda tiny: make_pipeline("passthrough", tiny(branches={"a": [0, 2], "b": slice(3, 6)})),
        lambda tiny: FrozenEstimator(Ridge()),
    ],
)
def test_scikit_learns_estimators_come_back(make, tiny, rows, tmp_path):
    X, y = rows
    model = make(tiny)
    (model.estimator if isinstance(model, FrozenEstimator) else model).fit(X, y)
    loaded = saved_and_loaded(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    clone(loaded).fit(X, y)
    if type(model) is Ridge:  # skops can read the file too
        loaded = skops.io.load(tmp_path / "model.skops")
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_pandas_output_and_feature_names_are_kept(tiny, rows, tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(rows[0], columns=[f"{b}__{i}" for b in "ab" for i in range(3)])
    union = FeatureUnion([("cnn", StandardScaler()), ("ic", PCA(2))])
    model = make_pipeline(union.set_output(transform="pandas"), tiny(branches="auto"))
    model.fit(X, rows[1])
    loaded = saved_and_loaded(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    pandas.testing.assert_frame_equal(loaded[0].transform(X), model[0].transform(X))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(X.rename(columns={"a__0": "other"}))


def test_a_search_is_saved_as_its_best_estimator(search, rows, tmp_path):
    loaded = saved_and_loaded(search, tmp_path)
    assert type(loaded) is type(search.best_estimator_)
    np.testing.assert_array_equal(loaded.predict(rows[0]), search.predict(rows[0]))
    with pytest.raises(ValueError, match="refit=True"):
        save(clone(search).set_params(refit=False).fit(*rows), tmp_path / "model.skops")
    around = TransformedTargetRegressor(search).fit(*rows)
    loaded = saved_and_loaded(around, tmp_path)
    np.testing.assert_array_equal(loaded.predict(rows[0]), around.predict(rows[0]))


def test_images_go_in_and_the_same_scores_come_out(tiny, tmp_path, squeezenet_weights):
    features = FeatureUnion(
        [
            ("cnn", ImageFeatures("squeezenet1_1", weights=squeezenet_weights, device="cpu")),
            ("ic", CaptionEmbedding(cache=tmp_path / "cache.sqlite", device="cpu")),
        ]
    )
    model = make_pipeline(features, StandardScaler(), tiny(), memory=str(tmp_path / "memory"))
    model.fit(IMAGES * 2, [0.6, 0.8] * 2)
    file = tmp_path / "shared" / "model.skops"
    file.parent.mkdir()
    save(model, file)
    loaded = load(file, weights=squeezenet_weights)
    np.testing.assert_array_equal(loaded.predict(IMAGES), model.predict(IMAGES))
    # Folders and files of this machine are not in it.
    assert loaded.memory is None
    assert loaded.steps[0][1].transformer_list[1][1].cache is None
    assert str(tmp_path).encode() not in file.read_bytes()
    clone(loaded).fit(IMAGES, [0.6, 0.8])

    with pytest.raises(ValueError, match=r"squeezenet-seeded\.pth.*pass weights="):
        load(file)
    beside = file.with_name(squeezenet_weights.name)
    beside.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"squeezenet-seeded\.pth.*pass weights="):
        load(file)
    beside.write_bytes(squeezenet_weights.read_bytes())
    np.testing.assert_array_equal(load(file).predict(IMAGES), model.predict(IMAGES))
    facts = read_facts(file)
    assert [network["backbone"] for network in facts["image_networks"]] == [
        "squeezenet1_1",
        "efficientnet_lite0",
    ]
    assert facts["n_features"] is None


def test_an_embedding_is_in_the_file_alone_and_with_its_transformer(tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 1280)).astype(np.float32)
    embedding = VisualSemanticEmbedding(
        4, text_encoder="bow", max_epochs=1, network="efficientnet_lite0", device="cpu"
    )
    embedding.set_params(random_state=0).fit(X, ["a dog runs", "a red flower"] * 6)
    loaded, captions = saved_and_loaded(embedding, tmp_path), ["a dog", "a flower"]
    np.testing.assert_array_equal(
        loaded.transform_captions(captions), embedding.transform_captions(captions)
    )
    for given in (embedding, tmp_path / "mine.safetensors"):
        embedding.save(tmp_path / "mine.safetensors")
        features = CaptionEmbedding(given, with_cnn=True, device="cpu").fit(IMAGES)
        expected = features.transform(IMAGES)
        loaded = saved_and_loaded(features, tmp_path)
        (tmp_path / "mine.safetensors").unlink()
        np.testing.assert_array_equal(loaded.transform(IMAGES), expected)
        np.testing.assert_array_equal(clone(loaded).fit_transform(IMAGES), expected)


def test_the_device_can_be_chosen(small, rows, tmp_path):
    save(small, tmp_path / "model.skops")
    loaded = load(tmp_path / "model.skops", device="cpu")
    assert loaded["model"].device == "cpu"
    assert loaded["model"].device_ == torch.device("cpu")
    with pytest.raises(ValueError, match="device"):
        load(tmp_path / "model.skops", device="cuda:99")


def test_what_a_file_cannot_hold_is_refused_with_the_way_out(tiny, search, rows, tmp_path):
    path = tmp_path / "model.skops"
    for model in (tiny(), clone(search)):
        with pytest.raises(NotFittedError):
            save(model, path)
    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())

    def as_tensor(image):
        return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255

    own = ImageFeatures(network, preprocessing=as_tensor, device="cpu").fit(IMAGES)
    with pytest.raises(ValueError, match=r"backbone is a network of your own.*pipeline\[1:\]"):
        save(own, path)
    named = ImageFeatures(preprocessing=as_tensor, device="cpu").fit(IMAGES)
    with pytest.raises(ValueError, match=r"preprocessing is a function.*pipeline\[1:\]"):
        save(named, path)
    with pytest.raises(ValueError, match="net_callbacks"):
        save(tiny().fit(*rows).set_params(net_callbacks=[object()]), path)
    with pytest.raises(ValueError, match=r"<lambda>.*trusted="):
        save(make_pipeline(FunctionTransformer(lambda X: X), Ridge()).fit(*rows), path)
    with pytest.raises(ValueError, match=r"must end in \.skops"):
        save(Ridge().fit(*rows), tmp_path / "model.pkl")
    assert not list(tmp_path.iterdir())


def test_a_class_of_ones_own_needs_to_be_trusted(rows, tmp_path):
    model = Centred().fit(*rows)
    path = tmp_path / "model.skops"
    with pytest.raises(ValueError, match="Centred"):
        save(model, path)
    save(model, path, trusted=[Centred])
    with pytest.raises(ValueError, match=r"model\.skops.*Centred.*trusted="):
        load(path)
    for trusted in ([Centred], [f"{Centred.__module__}.Centred"]):
        loaded = load(path, trusted=trusted)
        np.testing.assert_array_equal(loaded.predict(rows[0]), model.predict(rows[0]))
    for trusted in (True, "builtins.dict"):
        with pytest.raises(TypeError, match="trusted"):
            load(path, trusted=trusted)


def test_other_versions_are_told(small, rows, tmp_path):
    save(small, tmp_path / "new.skops")
    path = tmp_path / "old.skops"
    new = (tmp_path / "new.skops").read_bytes()
    with zipfile.ZipFile(io.BytesIO(new)) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "facts.json":
                content = re.sub(rb'("torch": )"[^"]*"', rb'\1"1.0.0"', content)
            target.writestr(name, content)
    with pytest.warns(UserWarning, match=r"torch 1\.0\.0 \(here 2"):
        loaded = load(path)
    np.testing.assert_array_equal(loaded.predict(rows[0]), small.predict(rows[0]))


def test_a_failed_write_names_the_file_and_leaves_no_other(small, tmp_path):
    with pytest.raises(OSError, match=r"nowhere/model\.skops"):
        save(small, tmp_path / "nowhere" / "model.skops")
    for path in (tmp_path / "nowhere.skops", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"\.skops"):
            load(path)
    assert not list(tmp_path.iterdir())


def test_missing_skops_is_said_with_its_extra(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"sklearn-memorability\[share\]"):
        save(small, tmp_path / "model.skops")
    with pytest.raises(ImportError, match=r"sklearn-memorability\[share\]"):
        load(tmp_path / "model.skops")
