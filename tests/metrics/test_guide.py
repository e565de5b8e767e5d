"""The guide to scores runs as written."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_the_guide_to_scores_runs_as_written(capsys):
    text = (DOCS / "scores.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == text.count("```python") == 4
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, "scores.md", "exec"), names)
    found = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"000.jpg \d+ of 40", found[0])
    # What the comments in the guide promise.
    assert float(found[1].split()[-1]) == pytest.approx(-0.05, abs=0.015)
    raw, adjusted = (float(line.split()[-1]) for line in found[2:4])
    assert adjusted > raw + 0.1
    by_table, by_counts = (float(figure) for figure in re.findall(r"0\.\d\d", found[4]))
    assert abs(by_table - by_counts) <= 0.02
    ceiling, corrected = (float(line.split()[-1]) for line in found[5:7])
    assert corrected < by_table < ceiling
    score, low, high = (float(figure) for figure in re.findall(r"0\.\d\d", found[7]))
    assert low < score < high
