"""A table that tells what it was made with."""

import csv
import io

import pytest
import sklearn

from sklearn_memorability.experiments._results import ResultTable


@pytest.fixture
def table():
    rows = [
        {"model": "A | B", "paper": 0.6, "spearman": 0.64321, "standard_error": 0.0123},
        {"model": "C", "paper": None, "spearman": None, "interval_low": None},
        {"model": "D", "mse": 0.00123, "interval_low": -0.1, "interval_high": 0.25, "note": "n"},
    ]
    shown = {
        "model": "model",
        "paper": "paper",
        "spearman": "here",
        "interval": "interval",
        "mse": "MSE",
    }
    return ResultTable("Title", rows, shown, ["First note."], {"seed": 0})


def test_it_is_printed_as_a_table(table):
    lines = str(table).splitlines()
    assert lines[0] == "Title"
    assert [[cell.strip() for cell in line.split(" | ")] for line in lines[2:7]] == [
        ["| model", "paper", "here", "interval", "MSE    |"],
        [lines[3]],
        [r"| A \| B", "0.60", "0.643 ± 0.012", "", "|"],
        ["| C", "", "", "", "|"],
        ["| D", "", "", "-0.100 to 0.250", "0.0012 |"],
    ]
    assert len({len(line) for line in lines[2:7]}) == 1
    assert "First note." in lines


def test_csv_has_every_column_and_what_it_was_made_with(table, tmp_path):
    text = table.to_csv(tmp_path / "new" / "table.csv")
    assert (tmp_path / "new" / "table.csv").read_text(encoding="utf-8") == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["model"] for row in rows] == ["A | B", "C", "D"]
    assert float(rows[0]["spearman"]) == 0.64321
    assert rows[1]["spearman"] == ""
    assert rows[2]["note"] == "n"
    assert rows[0]["scikit-learn"] == sklearn.__version__
    assert rows[0]["seed"] == "0"
    frame = table.to_frame()
    assert frame.loc[0, "spearman"] == 0.64321
    assert list(frame["model"]) == ["A | B", "C", "D"]


def test_markdown_has_the_notes_and_what_it_was_made_with(table, tmp_path):
    text = table.to_markdown(tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text == table._repr_markdown_()
    assert text.startswith("# Title\n\n| model ")
    assert "- First note." in text
    assert f"- scikit-learn: `{sklearn.__version__}`" in text
