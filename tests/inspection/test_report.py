import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from scipy.stats import spearmanr
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

from sklearn_memorability.features import UnreadableImagesWarning
from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.inspection import class_proba, quantiles, write_report
from sklearn_memorability.pipelines import mlp_regressor, svr_regressor

EVIL = [
    "<img src=x onerror=alert(1)>.png",
    "</script></noscript><b>'\"&amp;{{ 7 * 7 }}.png",
    "\u2028 né \u202e gnp.eman.png",
]


def shades(images):
    """The mean and the spread of each channel."""
    pixels = [np.asarray(read_image(image), dtype=float) / 255 for image in images]
    return np.array([np.r_[p.mean((0, 1)), p.std((0, 1))] for p in pixels])


class Page(HTMLParser):
    """What a browser without scripts makes of a report: elements, attributes and texts."""

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

    @property
    def cards(self):
        """Each image's attributes and figures, in the order of the page."""
        pairs = re.compile("<dt>(.*?)</dt><dd>(.*?)</dd>")
        parts = self.source.split("<li data-row=")[1:]
        attributes = [found for found, _ in self.find("li") if "data-row" in found]
        return [
            {**a, **dict(pairs.findall(p.partition("</li>")[0]))}
            for a, p in zip(attributes, parts, strict=True)
        ]

    @property
    def facts(self):
        """The overview's figures by their names."""
        overview = self.source.partition('class="facts"')[2].partition("</dl>")[0]
        return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", overview))


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [
        np.clip(rng.normal(40 + 4 * i, 20, (24, 32, 3)), 0, 255).astype(np.uint8) for i in range(40)
    ]


@pytest.fixture(scope="module")
def y():
    return np.random.default_rng(1).permutation(np.linspace(0.4, 0.95, 40)).round(4)


@pytest.fixture(scope="module")
def mlp(images, y):
    sizes = {"branch_sizes": (8,), "hidden_layer_sizes": (8,)}
    model = mlp_regressor(FunctionTransformer(shades), **sizes, max_epochs=3, random_state=0)
    return model.fit(images, y)


@pytest.fixture(scope="module")
def svr(images, y):
    return svr_regressor(FunctionTransformer(shades)).fit(images, y)


@pytest.fixture(scope="module")
def report(mlp, images, y, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(mlp, images, y, path, title="Shades & <more>", data="Made\n<here>") == path
    return Page(path)


def test_scores_and_agreement_are_those_of_numpy_and_scipy(report, mlp, images, y):
    predicted = mlp.predict(images)
    order = np.argsort(-predicted, kind="stable")
    low, high = quantiles(mlp, images, (0.05, 0.95)).T
    assert [int(card["data-row"]) for card in report.cards] == order.tolist()
    for card, i in zip(report.cards, order, strict=True):
        assert float(card["data-predicted"]) == pytest.approx(predicted[i])
        assert float(card["data-true"]) == y[i]
        assert float(card["data-width"]) == pytest.approx(high[i] - low[i])
        assert float(card["Predicted"]) == pytest.approx(predicted[i], abs=6e-4)
        assert float(card["True"]) == pytest.approx(y[i], abs=6e-4)
        assert float(card["Error"]) == pytest.approx(predicted[i] - y[i], abs=6e-4)
        ends = [float(end) for end in card["90% interval"].split("–")]
        assert ends == pytest.approx([low[i], high[i]], abs=6e-4)
    labels = [a["aria-label"] for a, _ in report.find("svg", **{"class": "classes"})]
    shares = [[float(p) for p in label.split(": ")[1].split(", ")] for label in labels]
    np.testing.assert_allclose(shares, 100 * class_proba(mlp, images)[order], atol=0.051)

    facts = report.facts
    assert facts["Images"] == "40"
    correlation, *interval = map(float, re.findall(r"-?\d\.\d+", facts["Spearman correlation"]))
    assert correlation == pytest.approx(spearmanr(y, predicted).statistic, abs=6e-3)
    assert interval[0] <= correlation <= interval[1]
    errors = predicted - y
    assert float(facts["Mean error"]) == pytest.approx(errors.mean(), abs=6e-4)
    assert float(facts["Mean absolute error"]) == pytest.approx(np.abs(errors).mean(), abs=6e-4)
    inside = 100 * np.mean((low <= y) & (y <= high))
    assert float(facts["True scores in the 90% interval"][:-1]) == pytest.approx(inside, abs=0.06)
    headings = [attributes["id"] for attributes, _ in report.find("h2")]
    assert headings == ["images", "overview", "data", "model"]
    ((_, description),) = report.find("pre")
    assert "BalancedQuantileClassifierRegressor" in description
    assert "<dt>scikit-learn</dt>" in report.source.partition('class="versions"')[2]


def test_nothing_outside_the_file_is_named_and_only_its_own_script_may_run(report):
    ((policy, _),) = report.find("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = dict(rule.strip().split(" ", 1) for rule in policy["content"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        ((_, text),) = report.find(tag)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    for tag, attributes, _ in report.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes), tag
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes


def test_names_and_facts_are_text_whatever_they_hold(svr, images, tmp_path):
    for name, image in zip(EVIL, images, strict=False):
        (tmp_path / name.replace("/", ":")).write_bytes(b"")
        Image.fromarray(image).save(tmp_path / name.replace("/", ":"))
    paths = sorted(tmp_path.iterdir())
    path = write_report(svr, paths, path=tmp_path / "r.html", title=EVIL[1], data=EVIL[1])
    page = Page(path)
    assert {a["alt"] for a, _ in page.find("img")} == {p.name for p in paths}
    assert {card["data-path"] for card in page.cards} == {str(p) for p in paths}
    assert page.find("h1")[0][1] == page.find("title")[0][1] == EVIL[1]
    assert len(page.find("script")) == 1
    assert page.find("b") == []
    odd = write_report(svr, images[:1], path=path, title="a\x00b\ud800c", data="two\nlines")
    assert Page(odd).find("h1")[0][1] == "a\ufffdb\ufffdc"
    assert Page(odd).find("p", **{"class": "data"})[0][1] == "two\nlines"


def test_images_are_small_and_lose_their_metadata(svr, photographs, tmp_path):
    big = Image.open(photographs[0])
    exif = big.getexif()
    exif[0x010E] = "taken at home"
    big.save(tmp_path / "big.jpg", exif=exif, icc_profile=b"secret profile")
    path = tmp_path / "report.html"

    def content(images, **options):
        (image,) = [a for a, _ in Page(write_report(svr, images, path=path, **options)).find("img")]
        return base64.b64decode(image["src"].split(",")[1])

    small = content([tmp_path / "big.jpg"])
    assert max(Image.open(io.BytesIO(small)).size) == 200
    assert len(small) < 12_000
    assert b"home" not in small
    assert b"secret" not in small
    larger = content([tmp_path / "big.jpg"], thumbnail_size=300)
    assert max(Image.open(io.BytesIO(larger)).size) == 300
    assert Image.open(io.BytesIO(content([np.zeros((24, 32), np.uint8)]))).size == (32, 24)


def test_models_without_classes_and_without_true_scores_have_a_report(svr, images, tmp_path):
    with plt.style.context("dark_background"):  # charts have the page's colours all the same
        page = Page(write_report(svr, images, path=tmp_path / "report.html"))
    charts = page.source.partition('class="chart"')[2]
    assert "#ffffff" not in charts.lower()
    assert charts.count("currentColor") > 10
    assert set(page.facts) == {"Images", "Predicted scores"}
    assert {key for card in page.cards for key in card if key[0] != "d"} == {"Predicted"}
    values = {a["value"] for a, _ in page.find("option")}
    assert values == {"predicted", "name", "row"}


def test_each_image_goes_through_a_search_once(images, y, tmp_path):
    seen = []

    def count(given):
        seen.append(len(given))
        return shades(given)

    sizes = {"branch_sizes": (8,), "hidden_layer_sizes": (8,)}
    model = mlp_regressor(FunctionTransformer(count), **sizes, max_epochs=1, random_state=0)
    search = GridSearchCV(model, {"model__n_classes": [3]}, cv=2, scoring="r2").fit(images, y)
    seen.clear()
    path = tmp_path / "report.html"
    page = Page(write_report(FrozenEstimator(search), images, y, path, quantiles=(0.1, 0.9)))
    assert seen == [40]
    ends = [float(end) for end in page.cards[0]["80% interval"].split("–")]
    best = [images[int(page.cards[0]["data-row"])]]
    assert ends == pytest.approx(quantiles(search, best, (0.1, 0.9))[0], abs=6e-4)


def test_unreadable_images_are_left_out_and_listed_with_the_reason(svr, images, y, tmp_path):
    given = [*images[:3], "<lost>.png", images[3], b"no image"]
    with pytest.raises(ImageReadError, match=r"row 3, '<lost>\.png'"):
        write_report(svr, given, path=tmp_path / "report.html")
    with pytest.warns(UnreadableImagesWarning) as record:
        path = write_report(svr, given, y[:6], tmp_path / "report.html", on_error="skip")
    assert [error.row for error in record[0].message.errors] == [3, 5]
    page = Page(path)
    assert sorted(int(card["data-row"]) for card in page.cards) == [0, 1, 2, 4]
    assert {int(c["data-row"]): float(c["data-true"]) for c in page.cards}[4] == y[4]
    assert (page.facts["Images"], page.facts["Unreadable"]) == ("4", "2")
    listed = [text for _, text in page.find("li") if "Image in row" in text]
    assert [text.partition(":")[0] for text in listed] == ["<lost>.png", "image 5"]
    with pytest.raises(ValueError, match="None of the 1 images can be read; the first: .*lost"):
        write_report(svr, given[3:4], path=path, on_error="skip")


def test_scores_of_any_size_and_spread_are_readable(images, tmp_path):
    path = tmp_path / "report.html"
    y = np.arange(40) * 250 - 3000
    large = svr_regressor(FunctionTransformer(shades), C=1e4).fit(images, y)
    assert {card["True"] for card in Page(write_report(large, images, y, path)).cards} == {
        str(v) for v in y
    }
    model = DummyRegressor().fit(images, np.zeros(40))
    # Predictions that lie close together are told apart.
    for scores, shown in (([0.83, 0.831, 0.834], "0.83400"), ([0.83, 0.83, 0.83], "0.830")):
        model.predict = lambda X, scores=scores: np.array(scores)
        page = Page(write_report(model, images[:3], np.linspace(0, 1, 3), path))
        assert page.cards[0]["Predicted"] == shown
    constant = DummyRegressor().fit(images, np.full(40, 0.5))
    page = Page(write_report(constant, images[:2], [0.5, 0.5], path))
    assert "two different true scores" in page.facts["Spearman correlation"]
    assert page.cards[0]["Error"] == "+0.000"


def test_a_report_is_replaced_and_its_progress_shown_on_request(svr, images, tmp_path, capsys):
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="y has 1 scores"):
        write_report(svr, images, [0.5], path)
    assert path.read_text() == "old"
    write_report(svr, images[:3], path=str(path))
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr() == ("", "")
    write_report(svr, images[:3], path=path, verbose=1)
    assert "3/3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "changed", "message"),
    [
        (ValueError, {"y": [np.nan] * 40}, "y has values that are not finite: nan in row 0"),
        (FileNotFoundError, {"path": "missing/report.html"}, "there is no folder 'missing'"),
        (IsADirectoryError, {"path": "."}, "is a folder"),
        (ValueError, {"quantiles": (0.9, 0.1)}, r"quantiles=\(0.9, 0.1\) must be two rising"),
        (ValueError, {"thumbnail_size": 5000}, "thumbnail_size == 5000"),
        (ValueError, {"on_error": "nan"}, "on_error='nan' must be 'raise' or 'skip'"),
        (NotFittedError, {"model": svr_regressor(FunctionTransformer(shades))}, "not fitted"),
        (ValueError, {"images": []}, "Found no images"),
    ],
)
def test_what_is_wrong_is_named(error, changed, message, svr, images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        write_report(**{"model": svr, "images": images, **changed})
    assert list(Path().iterdir()) == []


def test_models_that_do_not_score_images_are_refused(images, y, tmp_path):
    odd = DummyRegressor().fit(images, y)
    odd.predict = lambda X: np.full(len(X), np.inf)
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match="prediction of .* are not finite: inf in row 0"):
        write_report(odd, images, path=path)
    with pytest.raises(ValueError, match="2D array|dim") as caught:
        write_report(svr_regressor().fit(shades(images), y), images, path=path)
    assert "needs a transformer in front" in caught.value.__notes__[0]
