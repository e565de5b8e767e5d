import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.datasets import load_cohendet, load_dubey, load_libkuman

LOADERS = [load_dubey, load_cohendet, load_libkuman]
# What each message must say of where to ask.
PLACES = {
    load_dubey: "authors of 'What makes an object memorable.*cbs.ic.gatech.edu/salobj",
    load_cohendet: "Cohendet et al., QoMEX 2016.*csea.phhp.ufl.edu",
    load_libkuman: "doi.org/10.3758/BF03193164.*csea.phhp.ufl.edu",
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    return root


def _fill(folder, names, table):
    for name in names:
        Image.new("RGB", (2, 2)).save(folder / "images" / name)
    (folder / "scores.csv").write_text(table, encoding="utf-8")


OBJECTS = (
    "image,object,score\n2.jpg,dog,0.4\n1.jpg,boat,0.2\n2.jpg,man,0.9\n1.jpg,fish,0.3\n"
    "1.jpg,dog,0.7\n"
)


@pytest.mark.parametrize(("objects", "expected"), [("max", [0.9, 0.7]), ("mean", [0.65, 0.4])])
def test_objects_become_one_score_a_picture(folder, objects, expected):
    _fill(folder, ["1.jpg", "2.jpg"], OBJECTS)
    pictures = load_dubey(folder, objects=objects)
    assert pictures.images == [folder / "images/2.jpg", folder / "images/1.jpg"]
    assert pictures.target == pytest.approx(expected)
    assert pictures.rule == (
        f"A picture's score is the {objects} of its objects' scores. "
        "2 pictures are here; the paper has 850."
    )
    assert "PASCAL-S" in pictures.DESCR


def test_the_most_memorable_object_counts_by_default(folder):
    _fill(folder, ["1.jpg", "2.jpg"], OBJECTS)
    images, target = load_dubey(folder, return_X_y=True)
    assert [path.name for path in images] == ["2.jpg", "1.jpg"]
    assert target.tolist() == [0.9, 0.7]
    with pytest.raises(ValueError, match=r"objects='min' is unknown.*\['max', 'mean'\]"):
        load_dubey(folder, objects="min")


def test_an_object_named_twice_is_refused(folder):
    _fill(folder, ["1.jpg", "2.jpg"], OBJECTS + "2.jpg,man,0.5\n")
    with pytest.raises(ValueError, match=r"'object \(scores\.csv\)'.*'man' of '2\.jpg' in row 6"):
        load_dubey(folder)


def test_hit_rates_of_iaps_pictures(folder):
    _fill(folder, ["1050.jpg", "2055.1.jpg"], "image,score\n2055.1,0.61\n1050,0.93\n")
    pictures = load_cohendet(folder)
    assert pictures.images == [folder / "images/2055.1.jpg", folder / "images/1050.jpg"]
    assert pictures.target.tolist() == [0.61, 0.93]
    assert pictures.score_range == (0, 1)
    assert pictures.target_names == ["memorability"]


def test_ratings_of_iaps_pictures_keep_their_scale(folder):
    _fill(folder, ["1050.jpg", "1090.jpg"], "image,score\n1050,4.25\n1090,1.5\n")
    pictures = load_libkuman(folder)
    assert pictures.target.tolist() == [4.25, 1.5]
    assert pictures.score_range == (1, 9)
    assert "not of what they remember" in pictures.rule
    frame = load_libkuman(folder, as_frame=True).frame
    assert frame["memorability"].tolist() == [4.25, 1.5]


def test_iaps_numbers_as_copies_and_spreadsheets_write_them(folder):
    _fill(
        folder,
        ["1050.JPG", "2055.1.bmp", "1090.jpg"],
        # A column with 2055.1 in it makes a spreadsheet write 1050.0.
        "image,score\n1050.0,0.5\n2055.1,0.6\n1090.jpg,0.7\n",
    )
    images = load_cohendet(folder).images
    assert [path.name for path in images] == ["1050.JPG", "2055.1.bmp", "1090.jpg"]


def test_the_same_picture_by_number_and_by_name_is_refused(folder):
    _fill(folder, ["1050.jpg"], "image,score\n1050,0.5\n1050.jpg,0.6\n")
    with pytest.raises(ValueError, match=r"more than once: '1050\.jpg' in rows 1 and 2"):
        load_cohendet(folder)


def test_the_rule_is_empty_where_the_set_is_the_papers(folder):
    numbers = range(1001, 1151)
    for number in numbers:
        (folder / f"images/{number}.jpg").touch()
    _fill(folder, [], "image,score\n" + "".join(f"{number},0.5\n" for number in numbers))
    assert load_cohendet(folder).rule == ""


@pytest.mark.parametrize("load", LOADERS)
def test_what_is_missing_is_named_with_the_place_to_ask(folder, load):
    place = PLACES[load]
    with pytest.raises(NotADirectoryError, match=f"no folder.*none.*{place}"):
        load(folder / "none")
    with pytest.raises(FileNotFoundError, match=rf"no file.*scores\.csv.*{place}.*'images' with"):
        load(folder)
    _fill(folder, [], "image,score\n1050,0.5\n".replace("image", "picture"))
    with pytest.raises(ValueError, match=rf"scores\.csv' has no column 'image'.*{place}"):
        load(folder)
    _fill(folder, ["1050.jpg"], "image,object,score\n1050.jpg,a,1\n1090.jpg,b,1\n")
    with pytest.raises(FileNotFoundError, match=rf"missing from .*images': '1090\.jpg'.*{place}"):
        load(folder)
    (folder / "images/1050.jpg").unlink()
    (folder / "images").rmdir()
    with pytest.raises(FileNotFoundError, match=rf"'1050\.jpg' in row 1, '1090\.jpg'.*{place}"):
        load(folder)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../scores.csv,x,1", r"outside the folder: '\.\./scores\.csv"),
        ("/etc/passwd,x,1", "outside the folder: '/etc/passwd"),
        ("2.jpg,x,12", r"'score \(scores\.csv\)' has scores outside.*12 in row 2"),
        ("2.jpg,x,high", r"'score \(scores\.csv\)' has scores that are no numbers: 'high' in row"),
        ("2.jpg,x", r"scores\.csv' has rows without exactly 3 columns: row 2"),
    ],
)
def test_bad_rows_are_named(folder, load, row, message):
    _fill(folder, ["1.jpg", "2.jpg"], f"image,object,score\n1.jpg,x,1\n{row}\n")
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize("load", LOADERS)
def test_a_spreadsheet_by_the_name_of_a_text_file_is_refused(folder, load):
    (folder / "scores.csv").write_bytes(b"PK\x03\x04\xff\xfe" + bytes(range(256)))
    with pytest.raises(ValueError, match=r"scores\.csv' can't be read as a table"):
        load(folder)


def test_scores_are_arrays_of_floats(folder):
    _fill(folder, ["1.jpg", "2.jpg"], OBJECTS)
    for objects in ("max", "mean"):
        target = load_dubey(folder, objects=objects).target
        assert isinstance(target, np.ndarray)
        assert target.dtype == np.float64
