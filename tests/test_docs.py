"""The documents' code runs as written, and their links lead somewhere.

A page's code runs in a folder with ``images/`` (twelve JPEG files) and ``scores.csv``. Lines with
``>>>`` are doctests; blocks behind ``<!-- run by the tests -->`` are run whole. Other blocks are
sketches.
"""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MARKED = re.compile(r"<!-- run by the tests -->\n```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder_of_images(tmp_path, monkeypatch):
    """Twelve crops of public-domain photographs, and their scores, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    rows = ["image,score"]
    sources = (skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee())
    for i in range(12):
        crop = sources[i % 3][20 * i : 20 * i + 250, 10 * i : 10 * i + 300]
        Image.fromarray(np.ascontiguousarray(crop)).save(f"images/{i:02}.jpg")
        rows.append(f"{i:02}.jpg,{0.5 + 0.15 * (i % 3) + 0.01 * i:.2f}")
    (tmp_path / "scores.csv").write_text("\n".join(rows), encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.usefixtures("folder_of_images")
def test_code_runs_as_written(page):
    text = page.read_text(encoding="utf-8")
    names = {"__name__": page.stem}
    for block in MARKED.findall(text):
        exec(compile(block, page.name, "exec"), names)
    # A line of its own with the fence would be taken for output.
    prompts = re.sub(r"^```.*$", "", text, flags=re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(prompts, names, page.name, str(page), 0)
    assert doctest.DocTestRunner(optionflags=OPTIONS).run(examples).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    headings = {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_the_readme_has_the_two_commands_that_ci_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    run, test = re.findall(r"<!-- run by .ci/run -->\n```bash\n(.*?)```", text, re.DOTALL)
    assert "examples/plot_quickstart.py" in run
    assert "pytest" in test
    assert len(text.splitlines()) <= 120
