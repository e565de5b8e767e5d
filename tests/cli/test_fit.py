"""Fitting from the command line."""

import csv
import functools
import json

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability.cli import _fit
from sklearn_memorability.cli._choices import Kind
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures
from sklearn_memorability.persistence import load
from sklearn_memorability.pipelines import recommended_regressor


@pytest.fixture
def arguments(own_set, tmp_path, monkeypatch):
    """The set's options, in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    options = ["fit", "--images", own_set / "pictures", "--scores", own_set / "scores.csv"]
    return [*options, "--cache", own_set / "features.sqlite"]


@pytest.fixture(scope="module")
def known(own_set):
    """The set's features, scores and objects, read without the command."""
    with (own_set / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = [own_set / "pictures" / row["image"] for row in rows]
    X = ImageFeatures(cache=own_set / "features.sqlite").fit_transform(pictures)
    return X, np.array([float(row["score"]) for row in rows]), [row["object"] for row in rows]


def test_the_figure_is_the_mean_over_folds_by_group(run, arguments, known):
    done = run(*arguments, "-m", "svr", "--group-column", "object", "--cv", "3", "--json")
    assert done.code == 0
    assert done.err == "Wrote model.skops, fitted to 24 pictures.\n"
    X, y, groups = known
    folds = []
    for train, test in GroupKFold(3, shuffle=True, random_state=0).split(X, y, groups):
        svr = make_pipeline(StandardScaler(), SVR(C=0.1, epsilon=0.05)).fit(X[train], y[train])
        folds.append(spearmanr(y[test], svr.predict(X[test])).statistic)
    document = json.loads(done.out)
    assert document["folds"] == pytest.approx(folds)
    assert document["spearman"] == pytest.approx(np.mean(folds))
    assert document["standard_error"] == pytest.approx(np.std(folds, ddof=1) / np.sqrt(3))
    assert document["n_pictures"] == 24


def test_the_model_is_fitted_to_all_pictures_and_knows_no_cache(run, arguments, known, own_set):
    assert run(*arguments, "-m", "svr", "--cv", "0", "-o", "svr.skops").out == ""
    model = load("svr.skops")
    assert model[0].cache is None
    X, y, _ = known
    expected = make_pipeline(StandardScaler(), SVR(C=0.1, epsilon=0.05)).fit(X, y).predict(X)
    found = run("predict", own_set / "pictures", "-m", "svr.skops").out.splitlines()[1:]
    scores = {line.split(",")[0]: float(line.split(",")[1]) for line in found}
    with (own_set / "scores.csv").open(encoding="utf-8", newline="") as file:
        names = [str(own_set / "pictures" / row["image"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose([scores[name] for name in names], expected, rtol=1e-4)


def test_the_figure_is_printed_with_what_it_rests_on(run, arguments):
    done = run(*arguments, "-m", "svr", "--cv", "2", "--group-column", "object")
    assert done.out.startswith("Spearman ")
    assert done.out.endswith("(2 folds of 24 pictures, grouped by 'object')\n")


# 24 scores, with ties, don't make sixteen classes.
@pytest.mark.filterwarnings("ignore:The .* distinct scores")
def test_the_recommended_model_is_the_default(run, arguments, monkeypatch):
    quick = functools.partial(recommended_regressor, min_steps=10, n_members=1)
    monkeypatch.setattr(_fit, "recommended_regressor", quick)
    assert run(*arguments, "--cv", "0", "--score-range", "-1", "1", "--seed", "7").code == 0
    regressor = load("model.skops")[-1]
    assert regressor.aggregation == "mean"
    assert regressor.score_range_ == (-1, 1)
    assert regressor.random_state == 7


def test_the_papers_models_are_fitted(run, arguments):
    assert run(*arguments, "-m", "paper", "--cv", "0", "-o", "paper.skops").code == 0
    assert load("paper.skops")[-1].n_classes_ == 4
    done = run(*arguments, "-m", "two-branch", "--cv", "0", "-o", "both.skops")
    assert done.code == 0, done.err
    both = load("both.skops")
    assert isinstance(both[0], CaptionEmbedding)
    assert both[-1].n_features_in_ == 1280 + 1024


def test_a_network_and_a_joint_space_stand_side_by_side():
    settings = {"score_range": (0.0, 1.0), "seed": 0, "settings": {"batch_size": 2}}
    model = _fit.make_model(Kind.TWO_BRANCH, "vgg16", "flickr8k", **settings)
    assert isinstance(model[0], FeatureUnion)
    assert [type(step) for _, step in model[0].transformer_list] == [
        ImageFeatures,
        CaptionEmbedding,
    ]
    assert model[0].transformer_list[0][1].backbone == "vgg16"
    assert model[-1].branches == (-1, 1024)
    assert _fit.make_model(Kind.PAPER, None, "flickr8k", **settings)[0].with_cnn


# Seven pictures are too few for a model that orders.
@pytest.mark.filterwarnings("ignore:The prediction is constant")
def test_a_picture_that_can_not_be_read_is_left_out(run, arguments, own_set, tmp_path):
    lines = (own_set / "scores.csv").read_text(encoding="utf-8").splitlines()
    for line in lines[1:9]:
        name = line.split(",")[0]
        (tmp_path / name).write_bytes((own_set / "pictures" / name).read_bytes())
    bad = lines[1].split(",")[0]
    (tmp_path / bad).write_bytes(b"no picture")
    (tmp_path / "scores.csv").write_text("\n".join(lines[:9]), encoding="utf-8")
    done = run("fit", "--images", ".", "--scores", "scores.csv", "-m", "svr", "--cv", "2")
    assert done.code == 1
    assert f"warning: {bad}: can't be read as an image" in done.err
    assert "2 folds of 7 pictures" in done.out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--score-column", "rating"], "--score-column rating: "),
        (["--group-column", "thing"], "it has 'image', 'object', 'score'"),
        (["--cv", "13"], "--cv 13: there are 24 pictures, so it can be from 2 to 12, or 0"),
        (["--cv", "1"], "--cv 1: "),
        (["--group-column", "object", "--cv", "13"], "--cv 13: there are 12 groups"),
        (["--score-range", "0", "0.1"], "--score-range"),
        (["--score-range", "1", "0"], "--score-range 1 0: LOW must be below HIGH"),
        (["-o", "model.pkl"], "--output model.pkl: its name must end in .skops"),
        (["-o", "nowhere/model.skops"], "there is no folder 'nowhere'"),
        (["--backbone", "resnet51"], "'resnet51' is not known"),
        (["--embedding", "flickr9k"], "embedding='flickr9k'"),
        (["--scores", "gone.csv"], "gone.csv"),
        (["--images", "gone"], "gone"),
        (["-m", "svm"], "'two-branch'"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_errors_are_one_line_that_names_the_option(run, arguments, more, message):
    done = run(*arguments, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_a_model_that_exists_is_kept(run, arguments, tmp_path):
    (tmp_path / "model.skops").write_text("mine")
    done = run(*arguments, "-m", "svr")
    assert done.code == 2
    assert "--force" in done.err
    assert (tmp_path / "model.skops").read_text() == "mine"


def test_an_interrupted_fit_saves_nothing(run, arguments, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fit, "clone", interrupt)
    done = run(*arguments, "-m", "svr")
    assert (done.code, done.out, done.err) == (130, "", "Interrupted.\n")
    assert not (tmp_path / "model.skops").exists()
