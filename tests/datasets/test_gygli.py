import numpy as np
import pytest
import scipy.io
from PIL import Image

from sklearn_memorability.datasets import load_gygli

PLACE = r"authors of 'The interestingness of images'.*people\.ee\.ethz\.ch/~gyglim"


def _fill(folder, names, table):
    for name in names:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / "images" / name)
    (folder / "scores.csv").write_text(table)


def _write_isola(folder):
    # Three pictures of one colour each, as the authors' archive has them.
    fields = ("filepath", "hits", "misses", "false_alarms", "correct_rejections")
    records = np.empty((1, 3), dtype=[(field, object) for field in fields])
    for i, name in enumerate("bca"):
        records[0, i] = (f"targets/{name}_crop.jpg", 1, 1, 1, 1)
    pixels = np.broadcast_to(np.array([10, 20, 30], dtype=np.uint8), (4, 4, 3, 3))
    for place, variables in (
        ("Image data/target_images.mat", {"img": pixels}),
        ("Experiment data/sorted_target_data.mat", {"sorted_target_data": records}),
    ):
        path = folder / "Data" / place
        path.parent.mkdir(parents=True)
        scipy.io.savemat(path, variables)


def test_scenes_have_scores_on_any_scale(tmp_path):
    _fill(
        tmp_path,
        ["coast_bea1.jpg", "street_a2.jpg"],
        "image,score\nstreet_a2.jpg,-0.5\ncoast_bea1.jpg,1.75\n",
    )
    scenes = load_gygli(tmp_path, 1)
    assert [path.name for path in scenes.images] == ["street_a2.jpg", "coast_bea1.jpg"]
    assert scenes.target.tolist() == [-0.5, 1.75]
    assert scenes.target_names == ["interestingness"]
    assert scenes.score_range is None
    assert scenes.groups is None
    assert scenes.rule == "2 pictures are here; the paper has 2,688."
    assert "outdoor scenes" in scenes.DESCR


def test_webcams_are_groups(tmp_path):
    names = ["cam01/0001.jpg", "cam01/0002.jpg", "cam02/0001.jpg"]
    _fill(tmp_path, names, "image,score\n" + "".join(f"{name},0.5\n" for name in names))
    webcams = load_gygli(tmp_path, 3)
    assert webcams.images == [tmp_path / "images" / name for name in names]
    assert webcams.groups.tolist() == ["cam01", "cam01", "cam02"]
    assert webcams.rule == "3 pictures are here; the paper has 3,180."
    _fill(tmp_path, ["0001.jpg"], "image,score\n0001.jpg,0.5\n")
    with pytest.raises(ValueError, match=r"without the folder of their webcam: '0001\.jpg' in"):
        load_gygli(tmp_path, 3)


def test_isolas_pictures_are_scored_in_their_released_order(tmp_path):
    _write_isola(tmp_path / "released")
    (tmp_path / "scores.csv").write_text("score\n0.25\n0.75\n0.5\n")
    pictures = load_gygli(tmp_path, 2, isola=tmp_path / "released")
    assert [path.stem[5:] for path in pictures.images] == ["b_crop", "c_crop", "a_crop"]
    reds = [Image.open(path).getpixel((0, 0))[0] for path in pictures.images]
    assert reds == [10, 20, 30]
    assert pictures.target.tolist() == [0.25, 0.75, 0.5]
    assert pictures.target_names == ["interestingness"]


def test_isolas_pictures_may_lie_beside_the_scores(tmp_path):
    (tmp_path / "scores.csv").write_text("score\n0.25\n0.75\n0.5\n")
    with pytest.raises(NotADirectoryError, match=r"/isola' with Isola's.*fetch_isola.*isola="):
        load_gygli(tmp_path, 2)
    _write_isola(tmp_path / "isola")
    assert load_gygli(tmp_path, 2).target.tolist() == [0.25, 0.75, 0.5]


def test_a_table_of_another_length_than_isolas_set_is_refused(tmp_path):
    _write_isola(tmp_path / "isola")
    (tmp_path / "scores.csv").write_text("score\n0.25\n0.75\n")
    with pytest.raises(ValueError, match=r"scores\.csv' has 2 rows.*3 pictures in.*" + PLACE):
        load_gygli(tmp_path, 2)


@pytest.mark.parametrize("part", [1, 2, 3])
def test_what_is_missing_is_named_with_the_place_to_ask(tmp_path, part):
    with pytest.raises(NotADirectoryError, match=f"no folder.*none.*{PLACE}"):
        load_gygli(tmp_path / "none", part)
    (tmp_path / "isola").mkdir()
    with pytest.raises(FileNotFoundError, match=rf"no file.*scores\.csv.*{PLACE}.*'score'"):
        load_gygli(tmp_path, part)
    (tmp_path / "scores.csv").write_text("image,rank\na/b.jpg,1\n")
    with pytest.raises(ValueError, match=rf"no column 'score'.*{PLACE}"):
        load_gygli(tmp_path, part)


@pytest.mark.parametrize("part", [1, 3])
def test_bad_rows_are_named(tmp_path, part):
    _fill(tmp_path, ["a/b.jpg"], "image,score\na/b.jpg,1\na/c.jpg,2\n")
    with pytest.raises(FileNotFoundError, match=rf"'a/c\.jpg' in row 2.*{PLACE}"):
        load_gygli(tmp_path, part)
    _fill(tmp_path, ["a/b.jpg"], "image,score\n../b.jpg,1\n")
    with pytest.raises(ValueError, match=r"outside the folder: '\.\./b\.jpg' in row 1"):
        load_gygli(tmp_path, part)
    _fill(tmp_path, ["a/b.jpg"], "image,score\na/b.jpg,very\n")
    with pytest.raises(ValueError, match=r"'score \(scores\.csv\)' has scores.*'very' in row 1"):
        load_gygli(tmp_path, part)


def test_there_are_three_parts(tmp_path):
    with pytest.raises(ValueError, match=r"part=4 is unknown; choose one of \[1, 2, 3\]"):
        load_gygli(tmp_path, 4)
