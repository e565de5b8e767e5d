"""The page for people who don't program, as they use it in a browser."""

import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.inspection import quantiles

pytest.importorskip("fcntl", reason="the browser is driven over POSIX pipes")
HELPER = runpy.run_path(str(Path(__file__).parents[1] / "inspection" / "chromium.py"))
PROGRAM = HELPER["find_chromium"]()
BUTTON = "[...document.querySelectorAll('button')].find((b) => b.textContent.includes({!r}))"
TEXT = "document.body.innerText.includes({!r})"
CELLS = """[...document.querySelectorAll('.virtual-row')].map((row) =>
  [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.textContent.trim())
    .concat(row.querySelector('img')?.alt ?? null))"""


@pytest.fixture(scope="module")
def files(photographs, tmp_path_factory):
    """Two photographs, a tiny image, one that is broken, and a file that is none."""
    folder = tmp_path_factory.mktemp("files")
    tiny = np.random.default_rng(0).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    Image.fromarray(tiny).save(folder / "tiny & été.png")
    (folder / "broken.jpg").write_bytes(photographs[0].read_bytes()[:9000])
    (folder / "notes.txt").write_text("no image", encoding="utf-8")
    return [*photographs, *sorted(folder.iterdir())]


@pytest.fixture(scope="module")
def served(model_file, tmp_path_factory):
    """The command, running: its address, its process, the folder for its files."""
    if not (find_spec("gradio") and PROGRAM):
        pytest.skip("gradio or Chromium is missing")
    folder = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "-m", "sklearn_memorability.cli", "app", "--no-browser", "--model"]
    options = {"stderr": subprocess.PIPE, "text": True, "env": {**os.environ, "TMPDIR": folder}}
    with subprocess.Popen([*command, model_file], **options) as process:
        yield process.stderr.readline().split()[4], process, folder
        process.kill()


def wait(browser, script):
    end = time.monotonic() + 60
    while not (value := browser.run(script)):
        assert time.monotonic() < end, script
    return value


def choose(browser, label, place):
    browser.run(f"document.querySelector(`input[aria-label={label!r}]`).focus()")
    for key, code in [("ArrowDown", 40)] * place + [("Enter", 13)]:
        browser.press(key, code)


@pytest.fixture(scope="module")
def page(served, files):
    """The page with its images ranked, by keys alone but for the choice of files."""
    browser = HELPER["Chromium"](PROGRAM)
    browser.open(served[0])
    wait(browser, "!!document.querySelector('#pictures button')")
    while "Rank the" not in browser.run("document.activeElement.textContent").strip()[:9]:
        browser.press("Tab", 9)
    browser.press("Enter", 13, "\r")
    wait(browser, TEXT.format("Add 1 to 1000 pictures; there are 0."))
    find = "document.querySelector('#pictures input[type=file]')"
    field = browser.send("Runtime.evaluate", expression=find)["result"]["objectId"]
    browser.send("DOM.setFileInputFiles", objectId=field, files=[str(file) for file in files])
    wait(browser, f"document.querySelectorAll('#pictures tr').length === {len(files)}")
    browser.run(BUTTON.format("Rank the") + ".focus()")
    browser.press("Enter", 13, "\r")
    wait(browser, f"{CELLS}.length === 4")
    yield browser
    browser.close()


def test_pictures_are_ranked_sorted_and_downloaded(page, files, model, model_file, run, tmp_path):
    readable = sorted([*files[:2], files[-1]], key=lambda file: -model.predict([file])[0])
    scores, intervals = model.predict(readable), quantiles(model, readable, (0.05, 0.95))
    names = [file.name for file in readable]
    spans = ["{:.2f} to {:.2f}".format(*span) for span in intervals]
    shown = [f"{score:g}" for score in scores.round(3)]
    ranks, pictures, *columns = zip(*page.run(CELLS), strict=True)
    assert (ranks, pictures[3][:2]) == (("1", "2", "3", ""), "⚠ ")
    assert columns == [(*shown, ""), (*spans, ""), (*names, "broken.jpg"), (*names, None)]
    assert page.run(TEXT.format("3 pictures ranked, 1 can't be read, 1 other files"))
    choose(page, "Order", 2)
    by_name = "|".join([*sorted(names), "broken.jpg"])
    wait(page, f"{CELLS}.map((row) => row[4]).join('|') === {by_name!r}")
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.run(BUTTON.format("Download the table") + ".click()")
    while not (path := tmp_path / "memorability.csv").exists():
        page.drawn()
    table = path.read_text(encoding="utf-8-sig").splitlines()
    images = [*files[:3], files[-1], "--model", model_file, "--no-classes"]
    printed = run("predict", *images).out.splitlines()
    assert sorted(table) == sorted(line.rpartition("/")[2] for line in printed)


def test_a_picture_is_explained_and_two_crops_are_compared(page, files, model):
    row = [cells[4] for cells in page.run(CELLS)].index(files[-1].name)
    page.run(f"(cell = document.querySelector('[data-testid=cell-{row}-2]')).scrollIntoView(false)")
    x, y = page.run("((box) => [box.x + 9, box.y + 9])(cell.getBoundingClientRect())")
    for kind in ("mousePressed", "mouseReleased"):
        page.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    wait(page, "document.querySelector('input[aria-label^=Look]').value.includes('tiny')")
    page.run(BUTTON.format("Show what makes") + ".click()")
    alt = wait(page, "document.querySelector('img[src*=map]')?.alt")
    assert alt.startswith("Parts of the picture were covered, one after the other. Covering the ")
    assert page.run(TEXT.format(alt))
    page.run("[...document.querySelectorAll('[role=tab]')].at(-1).click()")
    choose(page, "Shape of crop A", 1)
    tiny = Image.open(files[-1])
    a, b = model.predict([tiny.crop((2, 0, 6, 4)), tiny.crop((2, 1, 6, 3))])
    alts = "[...document.querySelectorAll('img[alt^=Crop]')].map((image) => image.alt).join()"
    wait(page, f"{alts} === 'Crop A: {a:.3f},Crop B: {b:.3f}'")
    assert page.run(TEXT.format(f" scores {abs(a - b):.3f} higher."))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_cut_off_or_asked_for_elsewhere(page, served, width, scheme):
    preference = {"name": "prefers-color-scheme", "value": scheme}
    page.send("Emulation.setEmulatedMedia", features=[preference])
    page.resize(width, 900)
    assert page.run("document.documentElement.scrollWidth") <= width
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    used = ("button", "combobox", "slider", "spinbutton", "tab", "textbox")
    assert all(n["name"]["value"] for n in nodes if not n["ignored"] and n["role"]["value"] in used)
    assert [url for url in page.requests if not url.startswith((served[0], "blob:"))] == []


def test_it_is_for_this_machine_alone_and_leaves_nothing_behind(served):
    address, process, folder = served
    request = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.request.HTTPError, match="400"):
        urllib.request.urlopen(request)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", urllib.request.urlparse(address).port))
    assert len(list(folder.iterdir())) == 1
    process.send_signal(signal.SIGTERM)
    assert "what was uploaded is deleted" in process.communicate(timeout=120)[1]
    assert (process.returncode, list(folder.iterdir())) == (0, [])


def test_without_gradio_the_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "'sklearn-memorability[app]'" in run("app").err
