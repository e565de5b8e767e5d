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
    for i, name in enumerate(("b.png", "a.png", "sub/c.png")):
        Image.new("RGB", (2, 2), (i, 0, 0)).save(root / name)
    return root


def _table(folder, text, name="scores.csv", encoding="utf-8"):
    path = folder.parent / name
    path.write_text(text, encoding=encoding)
    return path


def _as_rows(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


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
        folder, table, image_column="file", score_column="memorability", score_range=(-1, 1)
    )
    assert mine.target.tolist() == [-0.25]


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pl.DataFrame, _as_rows])
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
        (
            "image,score\na.png,.5\nb.png,.6\n./a.png,.7\n",
            ValueError,
            "more than once: './a.png' in rows 1 and 3",
        ),
        ("image,score\na.png,.5\nb.png,1.5\n", ValueError, r"outside.*\(0, 1\): 1.5 in row 2"),
        ("image,score\na.png,\nb.png,x\n", ValueError, "no numbers: '' in row 1, 'x' in row 2"),
        ("image,score\na.png,0.5,7\n", ValueError, "without exactly 2 columns: row 1"),
        ("image,score,score\na.png,0.5,7\n", ValueError, "same name: 'score'"),
        ("image|score\na.png|0.5\n", ValueError, r"separated by '\|'"),
        ("image;score\na.png;1.000,5\n", ValueError, "no numbers: '1.000,5' in row 1"),
        ("image,Hits,misses\na.png,5,7\n", ValueError, "metrics.memorability_score"),
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
    # A long list of errors is cut.
    table = {"image": [f"no{i}.png" for i in range(100)], "score": [0.5] * 100}
    with pytest.raises(FileNotFoundError, match="'no4.png' in row 5 and 95 more"):
        load_image_folder(folder, table)


WANTED = ["a.png", "b.png"], [0.5, 0.75]


@pytest.mark.parametrize(
    "content",
    [
        "image;score\na.png;0,5\nb.png;,75\n",
        "image\tscore\r\na.png\t0,5\r\nb.png\t0,75\r\n".encode("utf-16"),
        "image,score\na.png,0.5\nb.png,0.75\n".encode("utf-8-sig"),
        b"\xfe\xff" + "image;score\na.png;0,5\nb.png;0,75\n".encode("utf-16-be"),
        "# by 'R', 2024; x\n\n#\nimage,score\na.png,.5\n# later\nb.png,.75\n",
        "sep=;\nimage;score\na.png;0.5\nb.png;0.75\n",
        "image,score\ra.png,.5\rb.png,.75\r",
        'image, score,,\n a.png , 0.5,,\n,,,\nb.png,"0.75",,\n',
        'note;image;score\n"a;b";a.png;5e-1\n1,5;b.png;0.75\n',
        '"note; long",image,score\n1,a.png,0.5\n2,b.png,0.75\n',
    ],
)
def test_separators_encodings_and_comments_are_told_by_the_file(folder, content):
    path = folder.parent / "scores.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    mine = load_image_folder(folder, path)
    assert ([path.name for path in mine.images], mine.target.tolist()) == WANTED


def test_latin_1_is_read_with_a_warning_and_names_with_hashes_are_no_comments(folder):
    for name in ("é’.png", "#1.png"):
        Image.new("RGB", (3, 2)).save(folder / name)
    table = _table(folder, "image,score\né’.png,.5\n#1.png,.75\n", encoding="cp1252")
    with pytest.warns(UserWarning, match=r"scores\.csv' is not in UTF-8.*CSV UTF-8"):
        mine = load_image_folder(folder, table, duplicates="ignore")
    assert [path.name for path in mine.images] == ["é’.png", "#1.png"]


def test_a_spreadsheet_is_read(folder, write_xlsx):
    for name in ("scores.xlsx", "scores.csv"):  # by its content, not its name
        write_xlsx(
            folder.parent / name, [["image", " score "], ["a.png", 0.5], ["", ""], ["b.png", 0.75]]
        )
        mine = load_image_folder(folder, folder.parent / name)
        assert ([path.name for path in mine.images], mine.target.tolist()) == WANTED


def _repeated():
    return pd.DataFrame([["a.png", 0.5, 0.6]], columns=["image", "score", "score"])


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (_repeated(), ValueError, "columns of the same name: 'score'"),
        ({"image": ["a.png", "b.png"], "score": [0.5]}, ValueError, "'image' has 2, 'score' has 1"),
        ({"image": "a.png", "score": 0.5}, TypeError, "'image' of the table is no list"),
        (pd.Series({"a.png": 0.5}), TypeError, "A Series is no table.*data frame"),
        ([{"image": "a.png", "score": 0.5}, {"image": "b.png"}], ValueError, "None in row 2"),
    ],
)
def test_what_is_wrong_with_a_table_in_memory_is_named(folder, table, error, message):
    with pytest.raises(error, match=message):
        load_image_folder(folder, table)


@pytest.mark.parametrize("blank", ["", " ", "NaN", "NA", None, np.nan, pd.NA])
def test_images_of_no_group_are_not_one_group(folder, blank):
    table = {"image": ["a.png", "b.png"], "score": [0.5, 0.75], "place": ["x", blank]}
    with pytest.raises(ValueError, match="'place' has no group in: row 2. Give"):
        load_image_folder(folder, table, group_column="place")


def test_weights_are_not_called_scores(folder):
    table = {"image": ["a.png", "b.png"], "score": [0.5, 0.75], "n": [3, -1]}
    for n, message in ((-1, "weights outside 0 to inf: -1 in row 2"), ("x", "weights that are no")):
        with pytest.raises(ValueError, match=f"Column 'n' has {message}"):
            load_image_folder(folder, table | {"n": [3, n]}, weight_column="n")


def test_links_that_stand_in_the_folder_are_taken_and_broken_ones_named(folder, tmp_path):
    store = tmp_path / ".git" / "annex"
    store.mkdir(parents=True)
    (folder / "a.png").rename(store / "key")
    (folder / "a.png").symlink_to(store / "key")
    (folder / "linked").symlink_to(folder / "sub", target_is_directory=True)
    table = {"image": ["a.png", "linked/c.png", str(folder / "b.png")], "score": [0.1, 0.2, 0.3]}
    assert load_image_folder(folder, table).target.tolist() == [0.1, 0.2, 0.3]
    (store / "key").unlink()
    with pytest.raises(FileNotFoundError, match="'a.png' is a link to a file that isn't there"):
        load_image_folder(folder, table)


@pytest.mark.parametrize("name", ["c.png", "A.PNG", "sub\\c.png", "c", "D:\\mine\\c.png"])
def test_a_missing_image_is_hinted_at(folder, name):
    if (folder / name).exists():
        pytest.skip("this system finds the file by that name")
    there = "sub/c.png" if "c" in name else "a.png"
    with pytest.raises(FileNotFoundError, match=f"in row 1. For '.*' there is '{there}'"):
        load_image_folder(folder, {"image": [name], "score": [0.5]})


def test_equal_images_under_two_names_are_told_and_kept_together(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "d.png")
    Image.fromarray(pixels).save(folder / "e.bmp")
    (folder / "f.png").symlink_to(folder / "d.png")
    Image.fromarray(pixels[::-1]).save(folder / "g.bmp")
    table = {
        "image": ["d.png", "a.png", "e.bmp", "g.bmp", "f.png"],
        "score": [0.9, 0.5, 0.1, 0.2, 0.8],
        "place": ["x", "y", "y", "z", "w"],
    }
    message = r"'d.png' in row 1 \(0.9\) and 'f.png' in row 5 \(0.8\).*'e.bmp' in row 3 \(0.1\)"
    with pytest.warns(UserWarning, match=message):
        mine = load_image_folder(folder, table)
    assert mine.groups.tolist() == [0, 1, 0, 3, 0]
    with pytest.warns(UserWarning, match=message):
        mine = load_image_folder(folder, table, group_column="place")
    assert mine.groups.tolist() == ["x", "x", "x", "z", "x"]
    assert load_image_folder(folder, table, duplicates="ignore").groups is None
