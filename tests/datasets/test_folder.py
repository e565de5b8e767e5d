import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from sklearn_memorability.datasets import load_image_folder


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    for name in ("b.png", "a.png", "sub/c.png"):
        Image.new("RGB", (2, 2)).save(root / name)
    return root


def _table(folder, text, name="scores.csv", encoding="utf-8"):
    path = folder.parent / name
    path.write_text(text, encoding=encoding)
    return path


def test_a_table_gives_images_scores_and_groups_in_its_order(folder):
    table = _table(folder, "image,score,place\nsub/c.png,0.9,x\na.png,0.5,y\nb.png,0.7,x\n")
    mine = load_image_folder(folder, table, group_column="place")
    assert mine.images == [folder / "sub/c.png", folder / "a.png", folder / "b.png"]
    assert mine.target.tolist() == [0.9, 0.5, 0.7]
    assert mine.groups.tolist() == ["x", "y", "x"]
    assert mine.target_names == ["score"]
    images, target = load_image_folder(folder, table, return_X_y=True)
    assert images == mine.images
    assert np.array_equal(target, mine.target)


def test_other_columns_separators_and_byte_order_marks(folder):
    table = _table(
        folder, "file\tmemorability\na.png\t-0.25\n", name="scores.tsv", encoding="utf-8-sig"
    )
    mine = load_image_folder(
        folder,
        table,
        image_column="file",
        score_column="memorability",
        score_range=(-1, 1),
    )
    assert mine.target.tolist() == [-0.25]


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame])
def test_tables_in_memory(folder, kind):
    mine = load_image_folder(folder, kind({"image": ["b.png", "a.png"], "score": [0.2, 1]}))
    assert [path.name for path in mine.images] == ["b.png", "a.png"]
    assert mine.target.tolist() == [0.2, 1.0]


def test_without_a_table_all_images_are_listed(folder):
    mine = load_image_folder(folder)
    assert mine.images == [folder / "a.png", folder / "b.png", folder / "sub/c.png"]
    assert mine.target is None
    with pytest.raises(ValueError, match="needs a table"):
        load_image_folder(folder, return_X_y=True)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("image,score\na.png,.5\nz.png,.5\n", FileNotFoundError, "missing.*'z.png' in row 2"),
        ("image,grade\na.png,.5\n", ValueError, r"no column 'score'.*\['image', 'grade'\]"),
        ("picture,grade\na.png,.5\n", ValueError, "no column 'image', 'score'"),
        (
            "image,score\na.png,.5\nb.png,.6\n./a.png,.7\n",
            ValueError,
            "more than once: './a.png' in rows 1 and 3",
        ),
        ("image,score\na.png,.5\nb.png,1.5\n", ValueError, r"outside.*\(0, 1\): 1.5 in row 2"),
        ("image,score\na.png,\nb.png,x\n", ValueError, "no numbers: '' in row 1, 'x' in row 2"),
        ("image,score\na.png,0.5,7\n", ValueError, "without exactly 2 columns: row 1"),
        ("image,score,score\na.png,0.5,7\n", ValueError, "same name: 'score'"),
        ("image,score\n", ValueError, "no rows"),
        ('image,score\n"a.png,0.5\n', ValueError, "can't be read as a table"),
        ("image,score\n../scores.csv,0.5\n", ValueError, "outside the folder"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(folder, text, error, message):
    with pytest.raises(error, match=message):
        load_image_folder(folder, _table(folder, text))


def test_missing_folder_table_and_images(folder, tmp_path):
    with pytest.raises(NotADirectoryError):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no table.*none\.csv"):
        load_image_folder(folder, tmp_path / "none.csv")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ValueError, match="no images"):
        load_image_folder(tmp_path / "bare")
    with pytest.raises(ValueError, match="no rows"):
        load_image_folder(folder, {"image": [], "score": []})
    (tmp_path / "scores.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match="can't be read as a table"):
        load_image_folder(folder, tmp_path / "scores.csv")
    # A long list of errors is cut.
    table = {"image": [f"no{i}.png" for i in range(100)], "score": [0.5] * 100}
    with pytest.raises(FileNotFoundError, match="'no4.png' in row 5 and 95 more"):
        load_image_folder(folder, table)
