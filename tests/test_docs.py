"""The guides' code runs as written, and their links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from sklearn_memorability.features import StoredFeatures

DOCS = Path(__file__).parents[1] / "docs"
LINKS = [
    (page.name, link)
    for page in sorted(DOCS.glob("*.md"))
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
]


@pytest.mark.slow
def test_the_guide_to_the_regressor_runs_as_written():
    text = (DOCS / "regression.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    names, printed = {"__name__": "guide"}, []
    for block in blocks:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(block, "regression.md", "exec"), names)
        printed.append(said.getvalue())
    assert printed[0].startswith("16 [")
    assert 0.3 < float(printed[1].split()[-1]) < 0.9
    # What the comments in the guide promise: nine of ten, and no bias.
    for coverage in printed[2:4]:
        assert float(coverage) == pytest.approx(0.9, abs=0.05)
    assert float(printed[4]) == pytest.approx(0, abs=0.01)


@pytest.mark.filterwarnings("ignore:1 image:UserWarning")
def test_the_guide_to_features_runs_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "features.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, "features.md", "exec"), names)
    shape, readable, cached = capsys.readouterr().out.splitlines()
    # What the comments in the guide promise.
    assert shape == "(2, 1280)"
    assert readable == "[ True  True False]"
    assert cached == "2 ['efficientnet_lite0']"


def test_the_guide_to_scaling_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "scaling.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, "scaling.md", "exec"), {"__name__": "guide"})
    stored = StoredFeatures("features.zarr")
    assert (stored.shape, stored.chunk_rows) == ((2, 1280), 128)


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_to_files_lead_somewhere(page, link):
    assert (DOCS / link).is_file()


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_within_a_page_lead_to_a_heading(page):
    text = page.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_the_guide_to_captions_runs_as_written(capsys):
    text = (DOCS / "captions.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, "captions.md", "exec"), names)
    shape, *described, model = capsys.readouterr().out.splitlines()
    assert shape == "(2, 1024)"
    # What the guide says it tells, and what it misses.
    china, flower = described
    assert china.startswith("china.jpg ('A red flower on a plant.'")
    assert flower.startswith("flower.jpg ('A red flower on a plant.'")
    assert model == "CaptionEmbedding(with_cnn=True) (-1, 1024)"


@pytest.mark.slow
def test_the_guide_to_the_tables_runs_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "experiments.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", text, re.DOTALL)
    (block,) = blocks
    exec(compile(block, "experiments.md", "exec"), {"__name__": "guide"})
    printed = capsys.readouterr().out
    assert printed.startswith("Table 1: images of your own")
    # The same figures as in the README, which come from another program.
    assert "| CNN                 | SVR            | 0.64          | 0.078 ± 0.032" in printed
    found = re.search(r"\| CNN +\| MLP, 4 classes \| 0\.65 +\| (\S+) ± (\S+)", printed)
    # Another version of PyTorch sums in another order.
    assert [float(number) for number in found.groups()] == pytest.approx([-0.011, 0.039], abs=2e-3)
