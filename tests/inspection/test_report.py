import base64
import hashlib
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.inspection import class_proba, quantiles, write_report
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor

EVIL = [
    "<img src=x onerror=alert(1)>.png",
    "</script><b>'\"&amp;.png",
    "\u2028 né \u202e gnp.eman.png",
]


def shades(images):
    """The mean and the spread of each channel."""
    pixels = [np.asarray(read_image(image), dtype=float) / 255 for image in images]
    return np.array([np.r_[p.mean((0, 1)), p.std((0, 1))] for p in pixels])


class Page(HTMLParser):
    """What a browser makes of a report: elements with their attributes and texts."""

    def __init__(self, path):
        super().__init__()
        self.elements, self._open = [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, _, texts in self._open:
            texts.append(data)

    def find(self, tag, **wanted):
        return [
            (attributes, "".join(texts))
            for name, attributes, texts in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    def texts(self, tag, **wanted):
        return [text for _, text in self.find(tag, **wanted)]

    @property
    def facts(self):
        return json.loads(self.find("script", id="facts")[0][1])

    @property
    def tiles(self):
        """The overview's figures by their names."""
        names = [
            text for tag, _, texts in self.elements if tag == "dt" for text in ["".join(texts)]
        ]
        values = [
            text for tag, _, texts in self.elements if tag == "dd" for text in ["".join(texts)]
        ]
        found = {}
        for name, value in zip(names, values, strict=True):
            found.setdefault(name, value)
        return found

    @property
    def cards(self):
        """Each picture's own figures, in the order of the page."""
        start, end = self.source.index("<noscript"), self.source.index("</noscript>")
        lines = [line for line in self.source[start:end].split("\n") if line.startswith("<li")]
        pairs = re.compile("<dt>(.*?)</dt><dd>(.*?)</dd>")
        return [dict(pairs.findall(line)) for line in lines]


@pytest.fixture(scope="module")
def pictures():
    chance = np.random.default_rng(0)
    return [
        np.clip(chance.normal(40 + 4 * i, 20, (24, 32, 3)), 0, 255).astype(np.uint8)
        for i in range(40)
    ]


@pytest.fixture(scope="module")
def y():
    return np.random.default_rng(1).permutation(np.linspace(0.4, 0.95, 40)).round(4)


@pytest.fixture(scope="module")
def mlp(pictures, y):
    model = mlp_regressor(
        FunctionTransformer(shades),
        branch_sizes=(8,),
        hidden_layer_sizes=(8,),
        max_epochs=3,
        random_state=0,
    )
    return model.fit(pictures, y)


@pytest.fixture(scope="module")
def svr(pictures, y):
    return svr_regressor(FunctionTransformer(shades)).fit(pictures, y)


@pytest.fixture(scope="module")
def report(mlp, pictures, y, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert (
        write_report(mlp, pictures, y, path, title="Shades & <more>", data="Made\n<here>") == path
    )
    return Page(path)


def _number(text):
    return float(text.replace("−", "-"))


def test_every_picture_has_its_scores_highest_prediction_first(report, mlp, pictures, y):
    predicted = mlp.predict(pictures)
    order = np.argsort(-predicted, kind="stable")
    low, high = quantiles(mlp, pictures, (0.05, 0.95)).T
    assert len(report.cards) == 40
    for card, i in zip(report.cards, order, strict=True):
        assert _number(card["Predicted"]) == pytest.approx(predicted[i], abs=6e-4)
        assert _number(card["True"]) == pytest.approx(y[i], abs=6e-4)
        assert _number(card["Error"]) == pytest.approx(predicted[i] - y[i], abs=6e-4)
        ends = [_number(end) for end in card["90% interval"].split(" to ")]
        assert ends == pytest.approx([low[i], high[i]], abs=6e-4)


def test_what_is_sorted_by_agrees_with_the_cards(report, mlp, pictures, y):
    order = np.argsort(-mlp.predict(pictures), kind="stable")
    low, high = quantiles(mlp, pictures, (0.05, 0.95)).T
    facts = report.facts
    assert facts["row"] == order.tolist()
    assert facts["name"] == [f"picture {i}" for i in order]
    assert facts["predicted"] == pytest.approx(mlp.predict(pictures)[order], rel=1e-6)
    assert facts["true"] == pytest.approx(y[order])
    assert facts["width"] == pytest.approx((high - low)[order], rel=1e-6)
    proba = np.array(facts["proba"], dtype=float)
    assert proba == pytest.approx(100 * class_proba(mlp, pictures)[order], abs=0.051)
    assert len(facts["classes"]) == 4


def test_class_probabilities_are_told_in_words_too(report, mlp, pictures):
    labels = [a["aria-label"] for a, _ in report.find("svg", **{"class": "classes"})]
    best = class_proba(mlp, pictures)[np.argmax(mlp.predict(pictures))]
    told = [float(share) for share in labels[0].split(": ")[1].split(", ")]
    assert told == pytest.approx(100 * best, abs=0.051)
    assert len(labels) == 40


def test_agreement_is_that_of_scipy_and_numpy(report, mlp, pictures, y):
    predicted = mlp.predict(pictures)
    low, high = quantiles(mlp, pictures, (0.05, 0.95)).T
    tiles = report.tiles
    assert tiles["Pictures"] == "40"
    correlation, *interval = re.findall(r"[−\d.]+(?= |\))", tiles["Spearman correlation"])
    assert _number(correlation) == pytest.approx(spearmanr(y, predicted).statistic, abs=6e-3)
    assert _number(interval[0]) <= _number(correlation) <= _number(interval[1])
    assert _number(tiles["Mean error"]) == pytest.approx((predicted - y).mean(), abs=6e-4)
    assert _number(tiles["Mean absolute error"]) == pytest.approx(
        np.abs(predicted - y).mean(), abs=6e-4
    )
    inside = 100 * np.mean((low <= y) & (y <= high))
    assert float(tiles["True scores in the 90% interval"][:-1]) == pytest.approx(inside, abs=0.06)


def test_the_histogram_counts_each_picture_once(report, mlp, pictures, y):
    rows = re.findall(
        r'<th scope="row">[\d.]+ to [\d.]+</th><td>(\d+)</td><td>(\d+)</td>', report.source
    )
    predicted = mlp.predict(pictures)
    both = np.r_[predicted, y]
    edges = np.linspace(both.min(), both.max(), 31)
    assert [int(p) for p, _ in rows] == np.histogram(predicted, edges)[0].tolist()
    assert sum(int(t) for _, t in rows) == 40


def test_every_picture_is_a_dot_at_its_scores(report, mlp, pictures, y):
    (dots,) = [a["d"] for a, _ in report.find("path") if a.get("class", "").startswith("dots")]
    places = np.array(
        [[float(v) for v in dot.split("h")[0].split()] for dot in dots.split("M")[1:]]
    )
    assert len(places) == 40
    assert np.corrcoef(places[:, 0], mlp.predict(pictures))[0, 1] == pytest.approx(1, abs=1e-4)
    assert np.corrcoef(places[:, 1], y)[0, 1] == pytest.approx(-1, abs=1e-4)  # down is positive
    (label,) = [
        a["aria-label"] for a, _ in report.find("svg") if "against" in a.get("aria-label", "")
    ]
    assert report.tiles["Spearman correlation"] in label


def test_nothing_outside_the_file_is_named_and_only_its_own_script_may_run(report):
    ((policy, _),) = report.find("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.strip().split(" ", 1) for rule in policy["content"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        (text,) = [text for attributes, text in report.find(tag) if "type" not in attributes]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    for tag, attributes, _ in report.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes
    assert "//" not in re.sub(r"data:image/webp;base64,[\w+/=]+", "", report.source).replace(
        "  //", ""
    )


def test_pictures_are_small_and_keep_their_shape(report):
    images = [a for a, _ in report.find("img") if a.get("src")]
    assert len(images) == 40
    picture = Image.open(io.BytesIO(base64.b64decode(images[0]["src"].split(",")[1])))
    assert picture.format == "WEBP"
    assert picture.size == (32, 24) == (int(images[0]["width"]), int(images[0]["height"]))
    assert {a["alt"] for a in images} == {f"picture {i}" for i in range(40)}


def test_large_pictures_take_few_bytes_and_lose_their_metadata(svr, photographs, tmp_path):
    big = Image.open(photographs[0])
    exif = big.getexif()
    exif[0x010E] = "taken at home"
    big.save(tmp_path / "big.jpg", exif=exif, icc_profile=b"secret profile")
    path = write_report(svr, [tmp_path / "big.jpg"], path=tmp_path / "report.html")
    (image,) = [a for a, _ in Page(path).find("img") if a.get("src")]
    content = base64.b64decode(image["src"].split(",")[1])
    assert max(Image.open(io.BytesIO(content)).size) == 200
    assert len(content) < 12_000
    assert b"home" not in content
    assert b"secret" not in content
    larger = write_report(svr, photographs, path=path, thumbnail_size=300)
    assert max(int(a["width"]) for a, _ in Page(larger).find("img") if a.get("src")) == 300


def test_titles_and_facts_are_shown_as_text(report):
    assert report.texts("h1") == report.texts("title") == ["Shades & <more>"]
    assert "Made\n<here>" in report.texts("p")
    (description,) = report.texts("pre")
    assert "BalancedQuantileClassifierRegressor" in description
    assert "shades" in description
    params = "".join(report.texts("table"))
    assert "model__max_epochs3" in params
    assert {"Python", "scikit-learn", "torch", "Written"} <= set(report.tiles)


def test_hostile_names_are_text_everywhere(svr, tmp_path):
    paths = [tmp_path / name.replace("/", "⁄") for name in [*EVIL, "a\nb.png"]]
    for path in paths:
        Image.new("RGB", (20, 20), "teal").save(path, "PNG")
    undecodable = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(undecodable)).write_bytes(paths[0].read_bytes())
    opened = Image.new("RGB", (20, 20))
    opened.filename = EVIL[1]
    images = [*paths, os.fsdecode(undecodable), opened, f"{EVIL[1]}/missing.png"]
    page = Page(
        write_report(svr, images, path=tmp_path / "report.html", on_error="skip", data=EVIL[1])
    )
    shown = {a["alt"] for a, _ in page.find("img") if a.get("src")}
    assert shown == {*(path.name for path in paths), "\ufffd.png", "script><b>'\"&amp;.png"}
    assert set(page.texts("bdi")) >= shown
    assert set(page.facts["name"]) == shown
    assert str(paths[0]) in page.facts["path"]
    assert len(page.cards) == 6
    assert page.source.count("<script") == page.source.count("</script>") == 2
    assert "<b>" not in page.source
    assert not any(ord(c) == 0x2028 for c in page.find("script", id="facts")[0][1])
    assert any("missing.png" in text for text in page.texts("li"))


def test_a_model_without_classes_has_scores_alone(svr, pictures, tmp_path):
    page = Page(write_report(svr, pictures, path=tmp_path / "report.html"))
    assert [set(card) for card in page.cards] == [{"Predicted"}] * 40
    assert {"true", "width", "proba", "classes"}.isdisjoint(page.facts)
    assert page.find("svg", **{"class": "classes"}) == []
    assert len(page.find("figure")) == 1
    assert "Spearman correlation" not in page.tiles
    options = [a["value"] for a, _ in page.find("option")]
    assert options == ["predicted", "name", "row"]


def test_models_in_searches_and_wrappers_are_told_alike(mlp, pictures, y, tmp_path):
    search = GridSearchCV(mlp, {"model__n_classes": [3]}, cv=2, scoring="r2").fit(pictures, y)
    path = tmp_path / "report.html"
    for model in (search, FrozenEstimator(search)):
        page = Page(write_report(model, pictures, path=path, quantiles=(0.25, 0.75)))
        assert page.facts["predicted"] == pytest.approx(sorted(search.predict(pictures))[::-1])
        assert len(page.facts["classes"]) == 3
        assert "50% interval" in page.cards[0]
    inner = svr_regressor(FunctionTransformer(shades))
    wrapped = TransformedTargetRegressor(inner, func=np.log, inverse_func=np.exp).fit(pictures, y)
    page = Page(write_report(wrapped, pictures, path=path))
    assert page.facts["predicted"] == pytest.approx(sorted(wrapped.predict(pictures))[::-1])


def test_a_transformer_that_learns_nothing_is_as_good_as_any(pictures, y, tmp_path):
    class Shades(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return shades(X)

    model = svr_regressor(Shades()).fit(pictures, y)
    page = Page(write_report(model, pictures, y, tmp_path / "report.html"))
    assert page.facts["predicted"] == pytest.approx(sorted(model.predict(pictures))[::-1])


@pytest.mark.filterwarnings("ignore:The 1 distinct scores")
def test_a_model_of_one_class_has_a_report(mlp, pictures, tmp_path):
    model = clone(mlp).fit(pictures, np.full(40, 0.5))
    facts = Page(write_report(model, pictures, path=tmp_path / "report.html")).facts
    assert facts["classes"] == ["all scores"]
    assert facts["proba"] == [["100"]] * 40


def test_class_names_are_the_thresholds_between_them(report, mlp):
    first, second, third, _ = (f"{threshold:.3f}" for threshold in mlp[-1].thresholds_)
    assert report.facts["classes"] == [
        f"up to {first}",
        f"{first} to {second}",
        f"{second} to {third}",
        f"over {third}",
    ]


def test_features_are_computed_once(mlp, pictures, y, tmp_path):
    seen = []
    model = clone(mlp)
    model.set_params(features=FunctionTransformer(lambda X: seen.append(len(X)) or shades(X)))
    model.fit(pictures, y)
    seen.clear()
    write_report(model, pictures, y, tmp_path / "report.html")
    assert seen == [40]


def test_unreadable_pictures_are_listed_and_left_out(svr, pictures, y, tmp_path):
    images = [*pictures[:3], tmp_path / "lost.png", b"no picture"]
    with pytest.raises(ImageReadError, match=r"row 3, .*lost\.png.*does not exist"):
        write_report(svr, images, path=tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
    page = Page(
        write_report(svr, images, y[:5], tmp_path / "report.html", on_error="skip", verbose=0)
    )
    assert page.facts["row"] == np.argsort(-svr.predict(pictures[:3]), kind="stable").tolist()
    assert page.facts["true"] == pytest.approx(y[page.facts["row"]])
    assert page.tiles["Pictures"] == "3"
    assert page.tiles["Unreadable"] == "2"
    listed = [text for text in page.texts("li") if "Image in row" in text]
    assert [text.partition(":")[0] for text in listed] == ["lost.png", "picture 4"]
    with pytest.raises(ValueError, match="None of the 2 images can be read; the first: .*lost"):
        write_report(svr, images[3:], path=tmp_path / "none.html", on_error="skip")


def test_scores_of_any_size_are_readable(pictures, tmp_path):
    y = np.arange(40) * 250 - 3000
    svr = svr_regressor(FunctionTransformer(shades), C=1e4).fit(pictures, y)
    page = Page(write_report(svr, pictures, y, tmp_path / "report.html"))
    assert {card["True"] for card in page.cards} == {str(v).replace("-", "−") for v in y}


def test_predictions_that_lie_close_together_are_told_apart(pictures, tmp_path):
    model = DummyRegressor().fit(pictures, np.zeros(40))
    y = np.linspace(0, 1, 3)
    for constant, shown in (([0.83, 0.831, 0.834], "0.8340"), ([0.83, 0.83, 0.83], "0.830")):
        model.predict = lambda X, constant=constant: np.array(constant)
        page = Page(write_report(model, pictures[:3], y, tmp_path / "report.html"))
        assert page.cards[0]["Predicted"] == shown


def test_constant_scores_have_a_report(pictures, tmp_path):
    model = DummyRegressor().fit(pictures, np.full(40, 0.5))
    page = Page(write_report(model, pictures[:2], [0.5, 0.5], tmp_path / "report.html"))
    assert "two different true scores" in page.tiles["Spearman correlation"]
    assert page.cards[0]["Error"] == "+0.000"
    page = Page(write_report(model, pictures[:1], path=tmp_path / "report.html"))
    assert page.tiles["Predicted scores"] == "0.500 to 0.500"


def test_a_report_is_replaced_when_the_new_one_is_finished(svr, pictures, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def stopped(*paths):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            write_report(svr, pictures, path=path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_report(svr, pictures, path=str(path))
    assert path.read_text().startswith("<!DOCTYPE html>")


def test_progress_is_shown_on_request(svr, pictures, tmp_path, capsys):
    write_report(svr, pictures[:3], path=tmp_path / "report.html")
    assert capsys.readouterr() == ("", "")
    write_report(svr, pictures[:3], path=tmp_path / "report.html", verbose=1)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "changed", "message"),
    [
        (ValueError, {"y": [0.5]}, "y has 1 scores for 40 images"),
        (ValueError, {"y": [np.nan] * 40}, "y must be finite; found nan in row 0"),
        (FileNotFoundError, {"path": "missing/report.html"}, "there is no folder 'missing'"),
        (IsADirectoryError, {"path": "."}, "is a folder"),
        (ValueError, {"quantiles": (0.9, 0.1)}, r"quantiles=\(0.9, 0.1\) must be two rising"),
        (ValueError, {"quantiles": (0.05, 0.5, 0.95)}, "two rising levels"),
        (ValueError, {"n_bins": 0}, "n_bins == 0"),
        (ValueError, {"thumbnail_size": 5000}, "thumbnail_size == 5000"),
        (
            ValueError,
            {"on_error": "nan"},
            r"on_error must be one of \['raise', 'skip'\], got 'nan'",
        ),
        (TypeError, {"data": 3}, "data must be a text, got a int"),
        (TypeError, {"model": FunctionTransformer()}, "FunctionTransformer has not"),
        (NotFittedError, {"model": svr_regressor(FunctionTransformer(shades))}, "not fitted"),
        (TypeError, {"images": "a.jpg"}, "a single one"),
        (ValueError, {"images": []}, "Found no images"),
    ],
)
def test_what_is_wrong_is_named(error, changed, message, svr, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {"model": svr, "images": pictures, **changed}
    with pytest.raises(error, match=message):
        write_report(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_features_is_told_from_one_of_pictures(pictures, y, tmp_path):
    model = svr_regressor().fit(shades(pictures), y)
    with pytest.raises(ValueError, match="needs a transformer in front"):
        write_report(model, pictures, path=tmp_path / "report.html")


def test_predictions_that_are_no_scores_are_refused(pictures, tmp_path):
    class Odd(DummyRegressor):
        def predict(self, X):
            return np.full(len(X), np.inf)

    model = Odd().fit(pictures, np.ones(40))
    with pytest.raises(ValueError, match="prediction of Odd must be finite; found inf in row 0"):
        write_report(model, pictures, path=tmp_path / "report.html")
