"""The report in a browser, as its readers use it; skipped where no Chromium is found."""

import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.dummy import DummyRegressor
from sklearn.preprocessing import FunctionTransformer

from sklearn_memorability.images import read_image
from sklearn_memorability.inspection import class_proba, quantiles, write_report
from sklearn_memorability.pipelines import mlp_regressor

pytest.importorskip("fcntl", reason="the browser is driven over POSIX pipes")
HELPER = runpy.run_path(str(Path(__file__).with_name("chromium.py")))
PROGRAM = HELPER["find_chromium"]()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium was found; install it, or name it in CHROMIUM"
)

EVIL = "<img src=x onerror=alert(1)>.png"
ENTER, ESCAPE, TAB = ("Enter", 13, "\r"), ("Escape", 27), ("Tab", 9)

NAMES = "Array.from(document.querySelectorAll('#list .name'), (name) => name.textContent)"
STATUS = "document.getElementById('status').textContent"
FOCUS = "document.activeElement.id || document.activeElement.querySelector('img')?.alt"
VIEWER = "document.getElementById('viewer')"


def colours(images):
    """The mean of each channel."""
    return np.array([np.asarray(read_image(image)).mean((0, 1)) / 255 for image in images])


@pytest.fixture(scope="module")
def browser():
    browser = HELPER["Chromium"](PROGRAM)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Twelve pictures, the names of which tempt a browser, or are not of one script."""
    folder = tmp_path_factory.mktemp("pictures")
    names = [EVIL, "\"onload='alert(2)'.png", "&lt;b&gt;.png", "été.png", "תמונה ‮gnp.png"]
    names += [f"shade {i}.png" for i in (2, 10, 1, 33, 4, 5, 60)]
    chance = np.random.default_rng(0)
    for name in names:
        colour = tuple(chance.integers(0, 256, 3).tolist())
        Image.new("RGB", (40, 30), colour).save(folder / name)
    return [folder / name for name in names]


@pytest.fixture(scope="module")
def y():
    return np.random.default_rng(1).permutation(np.linspace(0.4, 0.95, 12))


@pytest.fixture(scope="module")
def model(paths, y):
    model = mlp_regressor(
        FunctionTransformer(colours),
        branch_sizes=(8,),
        hidden_layer_sizes=(8,),
        max_epochs=3,
        random_state=0,
    )
    return model.fit(paths * 4, np.tile(y, 4))


@pytest.fixture(scope="module")
def path(model, paths, y, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    data = "</script><script>document.title = 'hacked'</script>"
    lost = [*paths, paths[0].parent / "<script>lost.png"]
    write_report(model, lost, np.append(y, 0.5), path, data=data, on_error="skip")
    return path


@pytest.fixture
def page(browser, path):
    browser.open(path)
    yield browser
    assert browser.complaints == []
    assert browser.requests == [path.as_uri()]


def choose(browser, name, value, event="change"):
    """Fill in a field as a user does."""
    browser.run(
        f"(() => {{ const field = document.getElementById({name!r}); field.value = {value!r}; "
        f"field.dispatchEvent(new Event({event!r}, {{bubbles: true}})); }})()"
    )


def until(browser, condition):
    """Wait for what happens a moment after a key."""
    deadline = time.monotonic() + 10
    while not browser.run(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)


def test_pictures_can_be_sorted_by_everything_that_is_told_of_them(page, model, paths, y):
    predicted = model.predict(paths)
    low, high = quantiles(model, paths, (0.05, 0.95)).T
    keys = {
        "predicted": predicted,
        "true": y,
        "error": predicted - y,
        "size": np.abs(predicted - y),
        "width": high - low,
    }
    for key, values in keys.items():
        choose(page, "sort", key)
        expected = [paths[i].name for i in np.argsort(-values, kind="stable")]
        assert page.run(NAMES) == expected
        page.run("document.getElementById('direction').click()")
        expected = [paths[i].name for i in np.argsort(values, kind="stable")]
        assert page.run(NAMES) == expected


def test_names_are_sorted_as_people_do_and_the_order_is_announced(page, paths):
    choose(page, "sort", "name")
    shades = [name for name in page.run(NAMES) if name.startswith("shade")]
    assert shades == [f"shade {i}.png" for i in (1, 2, 4, 5, 10, 33, 60)]
    assert page.run(STATUS) == "12 pictures, sorted by name, A to Z."
    page.run("document.getElementById('direction').click()")
    assert page.run(STATUS) == "12 pictures, sorted by name, Z to A."
    choose(page, "sort", "row")
    assert page.run(NAMES) == [path.name for path in paths]
    assert page.run("document.getElementById('status').getAttribute('role')") == "status"


def test_pictures_can_be_found_by_name_folder_and_score(page, paths, y):
    choose(page, "words", "SHADE 1", "input")
    until(page, f"{STATUS}.startsWith('2 of 12')")
    assert sorted(page.run(NAMES)) == ["shade 1.png", "shade 10.png"]
    choose(page, "words", paths[0].parent.name, "input")
    until(page, f"{STATUS}.startsWith('12 ')")
    # The limits are as rounded as the scores shown: all that read 0.450 to 0.650 are in.
    choose(page, "true-from", "0.45", "input")
    choose(page, "true-to", "0.65", "input")
    expected = {p.name for p, true in zip(paths, y, strict=True) if 0.4495 <= true <= 0.6505}
    assert len(expected) == 5
    until(page, f"{STATUS}.startsWith('5 of 12')")
    assert set(page.run(NAMES)) == expected
    choose(page, "words", "no such name", "input")
    until(page, f"{STATUS}.startsWith('0 of 12')")
    page.run("document.getElementById('clear').click()")
    assert len(page.run(NAMES)) == 12


def test_a_picture_is_looked_at_with_the_keyboard_alone(page, model, paths):
    predicted = model.predict(paths)
    order = [paths[i] for i in np.argsort(-predicted, kind="stable")]
    page.run("document.getElementById('clear').focus()")
    page.press(*TAB)
    assert page.run(FOCUS) == order[0].name
    page.press(*ENTER)
    assert page.run(f"{VIEWER}.open") is True
    assert page.run(FOCUS) == "close"
    assert page.run("document.getElementById('viewer-name').textContent") == order[0].name
    assert page.run("document.getElementById('viewer-path').textContent") == str(order[0])
    shares = page.run(
        "Array.from(document.querySelectorAll('#viewer-classes td'), (c) => +c.textContent)"
    )
    proba = class_proba(model, order[:1])[0]
    assert shares == pytest.approx(100 * proba, abs=0.051)
    page.press("ArrowRight", 39)
    page.press("ArrowRight", 39)
    page.press("ArrowLeft", 37)
    assert page.run("document.getElementById('viewer-picture').alt") == order[1].name
    assert page.run("document.getElementById('viewer-picture').naturalWidth") == 40
    page.press(*ESCAPE)
    assert page.run(f"{VIEWER}.open") is False
    assert page.run(FOCUS) == order[1].name


def test_the_keyboard_starts_at_a_link_to_the_pictures(page):
    page.press(*TAB)
    assert page.run("document.activeElement.className") == "skip"
    shown = page.run("document.activeElement.getBoundingClientRect().left")
    assert shown >= 0
    page.press(*ENTER)
    assert page.run(FOCUS) == "pictures"
    page.press(*TAB)
    assert page.run(FOCUS) == "sort"
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_all_that_can_be_used_has_a_name(page):
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    used = ("button", "combobox", "searchbox", "spinbutton", "image", "link", "textbox", "dialog")
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in used
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    names = {n["name"]["value"] for n in nodes if n.get("name", {}).get("value")}
    assert {"Sort by", "Clear filters", EVIL} <= names


def test_names_and_facts_are_never_run(page, paths):
    assert page.run("document.title") == "Predicted memorability"
    assert set(page.run(NAMES)) == {path.name for path in paths}
    assert page.run("document.querySelectorAll('script').length") == 2
    assert page.run("document.querySelectorAll('[onerror], [onload]').length") == 0
    assert "<script>lost.png" in page.run("document.body.innerText")


def test_even_markup_that_got_in_would_not_run_or_load(browser, path):
    browser.open(path)
    browser.run(
        "document.getElementById('status').innerHTML = "
        '\'<img src=x onerror="document.title = 1"><img src="http://127.0.0.1:9/a.png">\''
    )
    until(browser, "document.images.length > 12")
    browser.drawn()
    assert browser.run("document.title") == "Predicted memorability"
    assert any("Content Security Policy" in text for text in browser.complaints)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_is_cut_off_and_texts_have_contrast(browser, path, width, dark):
    browser.open(path, width=width, dark=dark)
    assert browser.run("document.documentElement.scrollWidth") <= width
    # WCAG 2.2, success criterion 1.4.3: 4.5 to 1, with its formula of relative luminance.
    ratios = browser.run("""(() => {
      const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3)
        .map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
      const behind = (node) => {
        const colour = getComputedStyle(node).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? behind(node.parentElement) : colour;
      };
      const nodes = document.querySelectorAll("h1, h2, p, dt, dd, label, button, a, th, li");
      return Array.from(nodes, (node) => {
        const both = [light(getComputedStyle(node).color), light(behind(node))].sort();
        return (Math.max(...both) + .05) / (Math.min(...both) + .05);
      });
    })()""")
    assert len(ratios) > 100
    assert min(ratios) > 4.5


def test_it_is_a_plain_list_without_scripts(browser, path, paths):
    browser.open(path, script=False)
    nodes = browser.send("DOM.getDocument", depth=-1)["root"]["nodeId"]
    found = browser.send("DOM.querySelectorAll", nodeId=nodes, selector="noscript li img")
    assert len(found["nodeIds"]) == len(paths)
    form = browser.send("DOM.querySelector", nodeId=nodes, selector="#controls[hidden]")
    assert form["nodeId"] != 0


def test_thousands_of_pictures_open_and_sort_at_once(browser, tmp_path):
    chance = np.random.default_rng(0)
    images = list(chance.integers(0, 256, (5000, 8, 8, 3), dtype=np.uint8))
    y = chance.permutation(5000) / 5000
    model = DummyRegressor().fit(images[:2], [0.4, 0.6])
    path = write_report(model, images, y, tmp_path / "report.html")
    # benchmarks/report_speed.py has the figures; the limits here are for busy machines.
    assert browser.open(path) < 10
    started = time.monotonic()
    choose(browser, "sort", "true")
    browser.drawn()
    assert time.monotonic() - started < 3
    best = [f"picture {i}" for i in np.argsort(-y, kind="stable")]
    shown = browser.run(NAMES)
    assert 100 < len(shown) < 1000
    assert shown == best[: len(shown)]
    # More is drawn on request, and by scrolling.
    browser.run("document.getElementById('more').click()")
    assert browser.run(FOCUS) == best[len(shown)]
    before = len(browser.run(NAMES))
    browser.run("window.scrollTo(0, document.body.scrollHeight)")
    until(browser, f"{NAMES}.length > {before}")
    assert browser.run("document.querySelector('#list li').getAttribute('aria-setsize')") == "5000"
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(NAMES) == best
    assert browser.complaints == []
