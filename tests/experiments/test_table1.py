"""Table 1: the paper's rows, on folds that are the data's own."""

import csv
from typing import ClassVar

import numpy as np
import pytest
from joblib import parallel_config
from scipy.stats import loguniform, spearmanr
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, RandomizedSearchCV
from sklearn.utils import Bunch

from sklearn_memorability.experiments import table1
from sklearn_memorability.metrics import spearman_scorer
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor

# Squalli-Houssaini et al. (2018), Table 1, read from the paper.
PAPER = [
    ("CNN", "SVR", 0.64),
    ("CNN", "MLP, 2 classes", 0.64),
    ("CNN", "MLP, 4 classes", 0.65),
    ("IC", "SVR", 0.65),
    ("IC", "MLP, 4 classes", 0.67),
    ("CNN + IC", "MLP, 4 classes", 0.72),
    ("Hybrid-CNN (MemNet)", "SVR", 0.64),
]


class Recorder(RegressorMixin, BaseEstimator):
    """Predicts the length of a name; the class remembers what it was fitted to."""

    fits: ClassVar[list] = []
    fails_at: ClassVar[int | None] = None

    def __init__(self, alpha=0.0):
        self.alpha = alpha

    def fit(self, X, y):
        if len(self.fits) == self.fails_at:
            raise KeyboardInterrupt
        self.fits.append(list(X))
        return self

    def predict(self, X):
        return np.array([len(name) + 0.01 * i for i, name in enumerate(X)])


class CountingFeatures(TransformerMixin, BaseEstimator):
    """Features drawn by an image's name; the class counts the images that it saw."""

    seen: ClassVar[list] = []

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        type(self).seen += list(X)
        return np.array([[float(name.split("-")[1]), len(name)] for name in X])


@pytest.fixture
def recorder():
    Recorder.fits, Recorder.fails_at = [], None
    return Recorder


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    cnn = rng.normal(size=(60, 5)).astype(np.float32)
    target = 1 / (1 + np.exp(-cnn[:, 0] - 0.5 * rng.normal(size=60)))
    folds = [(np.arange(0, 30), np.arange(35, 60)), (np.arange(30, 60), np.arange(0, 25))]
    return Bunch(
        images=[f"{'p' * (1 + i % 7)}-{i}" for i in range(60)],
        target=target,
        cv=folds,
        cnn=cnn,
        ic=cnn[:, :2] * [[2.0, -1.0]],
        groups=None,
        score_range=(0.0, 1.0),
    )


def _row(table, key):
    return next(row for row in table.rows if row["key"] == key)


def test_the_rows_are_the_papers_in_its_order_with_its_figures(data):
    table = table1(data, cnn=data.cnn, ic=data.ic, n_resamples=10)
    assert [(row["features"], row["model"], row["paper"]) for row in table.rows] == PAPER
    computed = [row for row in table.rows if "spearman" in row]
    assert [row["key"] for row in computed] == [row["key"] for row in table.rows[:6]]
    # MemNet is another system: a published constant, and marked as one.
    assert "published constant" in str(table)
    assert "optimistic" in str(table)


def test_figures_are_those_of_the_folds_by_hand(data):
    table = table1(data, cnn=data.cnn, ic=data.ic, rows=["cnn-svr"], n_resamples=200)
    model = svr_regressor()
    found, errors = [], []
    for train, test in data.cv:
        predicted = model.fit(data.cnn[train], data.target[train]).predict(data.cnn[test])
        found.append(spearmanr(data.target[test], predicted).statistic)
        errors.append(predicted - data.target[test])
    row = _row(table, "cnn-svr")
    assert [row["fold_1"], row["fold_2"]] == pytest.approx(found, abs=1e-6)
    assert row["spearman"] == pytest.approx(np.mean(found), abs=1e-6)
    assert row["standard_error"] == pytest.approx(abs(found[0] - found[1]) / 2, abs=1e-6)
    assert row["mse"] == pytest.approx(np.mean(np.concatenate(errors) ** 2), abs=1e-6)
    assert row["bias"] == pytest.approx(np.mean(np.concatenate(errors)), abs=1e-6)
    assert row["interval_low"] < row["spearman"] < row["interval_high"]
    assert row["n_images"] == 50


def test_the_branches_are_the_two_kinds_of_features(data):
    # The same features in both branches or in one are different models.
    both = table1(data, cnn=data.cnn, ic=data.ic, rows=["cnn+ic-mlp4"], n_resamples=0)
    predicted = both.predictions["cnn+ic-mlp4"][0][1]
    train, test = data.cv[0]
    X = np.hstack([data.cnn, data.ic])
    model = mlp_regressor(branches=(5, 2), random_state=0, score_range=(0.0, 1.0))
    by_hand = model.fit(X[train], data.target[train]).predict(X[test])
    np.testing.assert_allclose(predicted, by_hand, atol=1e-6)


def test_models_are_fitted_to_the_training_part_alone(data, recorder):
    table = table1(data, rows=[], extra={"mine": recorder()}, n_resamples=0)
    assert recorder.fits == [[data.images[i] for i in train] for train, _ in data.cv]
    # Rows of one's own stand below the paper's.
    assert [row["model"] for row in table.rows] == [model for _, model, _ in PAPER] + ["mine"]
    assert table.rows[-1]["paper"] is None
    test = data.cv[0][1]
    predicted = Recorder().predict([data.images[i] for i in test])
    by_hand = spearmanr(data.target[test], predicted).statistic
    assert table.rows[-1]["fold_1"] == pytest.approx(by_hand)
    assert "not asked for" in str(table)


def test_an_image_with_several_rows_goes_through_the_network_once(data):
    CountingFeatures.seen = []
    twice = Bunch(
        images=data.images + data.images,
        target=np.concatenate([data.target, data.target[::-1]]),
        cv=[data.cv[0], (data.cv[1][0] + 60, data.cv[1][1] + 60)],
    )
    with parallel_config("threading"):  # fits side by side give the same
        table = table1(twice, cnn=CountingFeatures(), rows=["cnn-svr"], n_resamples=0, n_jobs=2)
    assert sorted(CountingFeatures.seen) == sorted(data.images)
    X = CountingFeatures().transform(data.images)
    train, test = data.cv[1]
    model = svr_regressor()
    by_hand = model.fit(X[train], data.target[::-1][train]).predict(X[test])
    np.testing.assert_allclose(table.predictions["cnn-svr"][1][1], by_hand, atol=1e-6)


@pytest.mark.parametrize("change", ["nothing", "target", "fold", "estimator", "image", "file"])
def test_an_interrupted_run_goes_on_and_what_was_kept_serves_the_same_run_only(
    data, tmp_path, recorder, change
):
    paths = [tmp_path / name for name in data.images]
    for path in paths:
        path.write_text("an image")
    data.images = [str(path) for path in paths]

    def run(model):
        table1(data, rows=[], extra={"mine": model}, folder=tmp_path / "kept", n_resamples=0)
        return len(recorder.fits)

    recorder.fails_at = 1
    with pytest.raises(KeyboardInterrupt):
        run(recorder())
    recorder.fails_at = None
    assert run(recorder()) == 2  # the fold that was done is not fitted again
    if change == "target":
        data.target = data.target[::-1].copy()
    elif change == "fold":
        data.cv[0] = (np.arange(0, 34), data.cv[0][1])
    elif change == "image":
        data.images[0] = str(tmp_path / "q-1000")
    elif change == "file":
        paths[0].write_text("another image")
    n_fits = {"nothing": 2, "fold": 3}.get(change, 4)
    assert run(recorder(alpha=1.0) if change == "estimator" else recorder()) == n_fits


def test_nested_rows_are_kept_and_a_damaged_file_is_computed_again(data, tmp_path):
    settings = {"cnn": data.cnn, "rows": ["cnn-svr"], "nested": 2, "n_resamples": 0}
    first = table1(data, folder=tmp_path, **settings)
    kept = sorted((tmp_path / "predictions").iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(kept[0].read_bytes()[:100])
    assert table1(data, folder=tmp_path, **settings).rows == first.rows
    assert sorted((tmp_path / "predictions").iterdir()) == kept


def test_nested_folds_choose_within_each_training_part(data):
    data.groups = np.arange(60) // 3
    table = table1(data, cnn=data.cnn, rows=["cnn-svr"], nested=3, n_resamples=0)
    space = {  # of five features; RandomizedSearchCV draws in the order of the names
        "model__C": loguniform(0.1, 100),
        "model__epsilon": loguniform(0.05, 1),
        "model__gamma": loguniform(0.02, 2),
    }
    for fold, (train, test) in enumerate(data.cv):
        search = RandomizedSearchCV(
            svr_regressor(),
            space,
            n_iter=8,
            scoring=spearman_scorer,
            cv=GroupKFold(3, shuffle=True, random_state=0),
            random_state=0,
        )
        search.fit(data.cnn[train], data.target[train], groups=data.groups[train])
        by_hand = search.predict(data.cnn[test])
        np.testing.assert_allclose(table.predictions["cnn-svr"][fold][1], by_hand, atol=1e-6)
    assert "chosen by 3 inner folds" in str(table)


def test_without_folds_of_its_own_groups_stay_together(data):
    pair = (data.images, data.target)
    table = table1(pair, cnn=data.cnn, rows=["cnn-svr"], n_resamples=0)
    by_hand = KFold(5, shuffle=True, random_state=0).split(data.images)
    for (test, _), (_, expected) in zip(table.predictions["cnn-svr"], by_hand, strict=True):
        np.testing.assert_array_equal(test, expected)
    data.cv, data.groups = None, np.arange(60) // 4
    table = table1(data, cnn=data.cnn, rows=["cnn-svr"], n_resamples=0)
    tests = [set(data.groups[test]) for test, _ in table.predictions["cnn-svr"]]
    assert len(tests) == 5
    assert sum(map(len, tests)) == 15 == len(set.union(*tests))


def test_the_ceiling_is_computed_where_responses_are_known(data):
    rng = np.random.default_rng(1)
    hits = rng.binomial(80, data.target)
    data.counts = {"hits": hits, "misses": 80 - hits}
    data.consistency, data.ceiling = 0.68, 0.9
    table = table1(data, cnn=data.cnn, rows=["cnn-svr"], n_resamples=0)
    row = _row(table, "cnn-svr")
    assert 0.95 < row["spearman"] / row["of_ceiling"] < 1
    assert "computed from" in str(table)
    data.counts, data.halves = None, data.target + rng.normal(0, 0.001, size=(2, 7, len(hits)))
    table = table1(data, cnn=data.cnn, rows=["cnn-svr"], n_resamples=0)
    row = _row(table, "cnn-svr")
    assert row["of_ceiling"] == pytest.approx(row["spearman"], rel=0.01)
    assert "computed from the set's halves, 7 random splits" in str(table)
    data.halves = None
    table = table1(data, cnn=data.cnn, rows=["cnn-svr"], n_resamples=0)
    row = _row(table, "cnn-svr")
    assert row["of_ceiling"] == pytest.approx(row["spearman"] / 0.9)
    assert "Human consistency is 0.68 (given with the set" in str(table)


def test_results_are_written_with_what_they_were_made_with(data, tmp_path):
    table = table1(data, cnn=data.cnn, rows=["cnn-svr"], folder=tmp_path, random_state=3)
    with (tmp_path / "table1.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [row["key"] for row in table.rows]
    assert float(rows[0]["spearman"]) == table.rows[0]["spearman"]
    assert rows[1]["spearman"] == ""
    assert {row["random_state"] for row in rows} == {"3"}
    assert rows[0]["data_hash"] == table.facts["data_hash"]
    assert rows[0]["scikit-learn"].count(".") >= 1
    text = (tmp_path / "table1.md").read_text(encoding="utf-8")
    assert text.startswith("# Table 1: images of your own")
    assert "| CNN " in text
    assert rows[0]["cnn_features_hash"] in text


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rows": ["cnn-tree"]}, ValueError, "cnn-tree"),
        ({"nested": 1}, ValueError, "2 or more inner folds"),
        ({"extra": {"memnet": Ridge()}}, ValueError, "choose other names"),
        ({"cnn": np.zeros((59, 4))}, ValueError, r"\(59, 4\).*60 images"),
        ({"cv": [([0, 1, 2], [2, 3])]}, ValueError, "Fold 1 has images in both"),
        ({"cv": [([0, 1, 2], [3])]}, ValueError, "Fold 1 has 3 training and 1 test"),
        ({"data": "folder"}, TypeError, "expected a set of images"),
        ({"data": {"images": ["a", "b"], "target": None}}, ValueError, "no scores"),
        ({"data": (["a", "b"], [0.1, np.nan])}, ValueError, "finite"),
        ({"data": ([], [])}, ValueError, "no images"),
    ],
)
def test_what_can_not_be_used_is_said(data, changes, error, message):
    settings = {"cnn": data.cnn, "ic": data.ic, "n_resamples": 0, **changes}
    with pytest.raises(error, match=message):
        table1(settings.pop("data", data), **settings)
