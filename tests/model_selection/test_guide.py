"""The guide to choosing and comparing models runs as written."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_the_guide_to_model_selection_runs_as_written(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "model_selection.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 5
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, "model_selection.md", "exec"), names)
    space, best, n_candidates, nested, *comparison = capsys.readouterr().out.splitlines()
    # What the comments in the guide promise.
    assert space == "['model__C', 'model__epsilon', 'model__gamma']"
    assert 0.4 < float(best.split()[-1]) < 0.7
    assert n_candidates == "14"
    assert (tmp_path / "search.jsonl").is_file()
    assert 0.4 < float(nested) < 0.7
    ranked = [line.split()[0] for line in comparison[1:4]]
    assert set(ranked[:2]) == {"SVR", "neighbours"}
    assert ranked[2] == "tree"
    adjusted = {line.split()[0]: line.split()[-1] for line in comparison[1:4]}
    assert adjusted["tree"] == "<.001" or float(adjusted["tree"]) < 0.05
    assert float(adjusted[ranked[1]]) > 0.05
