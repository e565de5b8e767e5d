import re
from pathlib import Path

import sklearn.datasets

from sklearn_memorability import datasets

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_guide_to_data_sets_runs_as_written(capsys):
    blocks = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", TEXT, re.DOTALL)
    names = {"__name__": "guide"}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    # What the comments in the guide promise.
    assert capsys.readouterr().out.splitlines() == [
        "3 of at most 0.79",
        "['flower.jpg', 'china.jpg'] [0.71 0.64] ['garden' 'temple']",
        "(2,)",
    ]


def test_the_table_names_every_function_and_no_other():
    table = TEXT.partition("## What there is")[2].partition("## What every set returns")[0]
    assert set(re.findall(r"`((?:fetch|load)_\w+)", table)) == set(datasets.__all__)


def test_the_fields_are_those_that_every_set_returns():
    table = TEXT.partition("## What every set returns")[2].partition("## Groups")[0]
    fields = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    images = Path(sklearn.datasets.__file__).parent / "images"
    assert fields == set(datasets.load_image_folder(images))
