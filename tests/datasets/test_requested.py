"""Sets that are handed out on request and have a plain form."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from sklearn_memorability import datasets
from sklearn_memorability.datasets import load_dubey, load_iaps, load_interestingness

GYGLI = r"authors of 'The interestingness of images'.*people\.ee\.ethz\.ch/~gyglim"
# What each message must say of where to ask.
PLACES = {
    load_dubey: "authors of 'What makes an object memorable.*cbs.ic.gatech.edu/salobj",
    partial(load_iaps, "cohendet"): "Cohendet et al., QoMEX 2016.*csea.phhp.ufl.edu",
    partial(load_iaps, "libkuman"): "doi.org/10.3758/BF03193164.*csea.phhp.ufl.edu",
    partial(load_interestingness, "flickr"): "flickr.com/services/api/flickr.interestingness.getL",
    partial(load_interestingness, "gygli1"): GYGLI,
    partial(load_interestingness, "gygli3"): GYGLI,
}
OBJECTS = (
    "image,object,score\n2.jpg,dog,0.4\n1.jpg,boat,0.2\n2.jpg,man,0.9\n1.jpg,fish,0.3\n"
    "1.jpg,dog,0.7\n"
)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "set"
    (root / "images").mkdir(parents=True)
    return root


@pytest.fixture
def fill(folder, put_images):
    def filled(names, table):
        put_images(folder / "images", names)
        (folder / "scores.csv").write_text(table, encoding="utf-8")
        return folder

    return filled


def test_the_most_memorable_object_gives_an_image_its_score(fill):
    folder = fill(["1.jpg", "2.jpg"], OBJECTS)
    dubey = load_dubey(folder)
    assert dubey.images == [folder / "images/2.jpg", folder / "images/1.jpg"]
    assert dubey.target.tolist() == [0.9, 0.7]
    assert dubey.target.dtype == np.float64
    assert dubey.rule == (
        "An image's score is the largest of its objects' scores. "
        "2 images are here; the paper has 850."
    )
    assert "PASCAL-S" in dubey.DESCR
    (folder / "scores.csv").write_text(OBJECTS + "2.jpg,man,0.5\n")
    with pytest.raises(ValueError, match=r"objects more than once: 'man' of '2\.jpg' in row 6"):
        load_dubey(folder)


def test_iaps_numbers_as_copies_and_spreadsheets_write_them(fill):
    folder = fill(
        ["1050.JPG", "2055.1.bmp", "1090.jpg"],
        # A column with 2055.1 in it makes a spreadsheet write 1050.0.
        "image,score\n1050.0,0.5\n2055.1,0.6\n1090.jpg,0.7\n",
    )
    cohendet = load_iaps("cohendet", folder)
    names = ["1050.JPG", "2055.1.bmp", "1090.jpg"]
    assert cohendet.images == [folder / "images" / name for name in names]
    assert cohendet.target.tolist() == [0.5, 0.6, 0.7]
    assert cohendet.score_range == (0, 1)
    (folder / "scores.csv").write_text("image,score\n1090,0.5\n1090.jpg,0.6\n")
    with pytest.raises(ValueError, match=r"more than once: '1090\.jpg' in rows 1 and 2"):
        load_iaps("cohendet", folder)


def test_ratings_of_iaps_images_keep_their_scale(fill):
    folder = fill(["1050.jpg", "1090.jpg"], "image,score\n1050,4.25\n1090,1.5\n")
    libkuman = load_iaps("libkuman", folder, as_frame=True)
    assert libkuman.frame["memorability"].tolist() == [4.25, 1.5]
    assert libkuman.score_range == (1, 9)
    assert "not of what they remember" in libkuman.rule


@pytest.mark.parametrize(("name", "rule"), [("gygli1", ""), ("flickr", "Which images the paper")])
def test_interestingness_has_any_scale(fill, name, rule):
    table = "image,score,owner\nstreet.jpg,-500,a\ncoast.jpg,1.75,b\n"
    found = load_interestingness(name, fill(["coast.jpg", "street.jpg"], table))
    assert [path.name for path in found.images] == ["street.jpg", "coast.jpg"]
    assert found.target.tolist() == [-500, 1.75]
    assert found.target_names == ["interestingness"]
    assert found.score_range is None
    assert found.groups is None
    assert found.rule.startswith(rule)
    assert "2 images are here; the paper has" in found.rule


def test_webcams_are_groups(fill):
    names = ["cam01/0001.jpg", "cam01/0002.jpg", "cam02/0001.jpg"]
    folder = fill(names, "image,score\n" + "".join(f"{name},0.5\n" for name in names))
    webcams = load_interestingness("gygli3", folder)
    assert webcams.images == [folder / "images" / name for name in names]
    assert webcams.groups.tolist() == ["cam01", "cam01", "cam02"]
    fill(["0001.jpg"], "image,score\n0001.jpg,0.5\n")
    with pytest.raises(ValueError, match=r"without the folder of their webcam: '0001\.jpg' in"):
        load_interestingness("gygli3", folder)
    for load in (load_iaps, load_interestingness):
        with pytest.raises(ValueError, match=r"name='gygli' is unknown; choose one of \["):
            load("gygli", folder)


def _write_isola(folder, structs):
    # Three images of one colour each, as the authors' archive has them.
    counts = dict.fromkeys(("hits", "misses", "false_alarms", "correct_rejections"), 1)
    records = [{"filepath": f"targets/{name}_crop.jpg"} | counts for name in "bca"]
    pixels = np.broadcast_to(np.array([10, 20, 30], dtype=np.uint8), (4, 4, 3, 3))
    for place, variables in (
        ("Image data/target_images.mat", {"img": pixels}),
        ("Experiment data/sorted_target_data.mat", {"sorted_target_data": structs(records)}),
    ):
        path = folder / "Data" / place
        path.parent.mkdir(parents=True)
        scipy.io.savemat(path, variables)


def test_isolas_images_are_scored_in_their_released_order(folder, structs):
    (folder / "scores.csv").write_text("score\n0.25\n0.75\n0.5\n")
    with pytest.raises(NotADirectoryError, match=r"/isola'.*fetch_isola"):
        load_interestingness("gygli2", folder)
    _write_isola(folder / "isola", structs)
    gygli = load_interestingness("gygli2", folder)
    assert [path.stem[5:] for path in gygli.images] == ["b_crop", "c_crop", "a_crop"]
    assert gygli.target.tolist() == [0.25, 0.75, 0.5]
    (folder / "scores.csv").write_text("score\n0.25\n0.75\n")
    with pytest.raises(ValueError, match=r"scores\.csv' has 2 rows.*3 images in.*" + GYGLI):
        load_interestingness("gygli2", folder)


@pytest.mark.parametrize("load", PLACES)
def test_what_is_missing_is_named_with_the_place_to_ask(fill, folder, load):
    place = PLACES[load]
    with pytest.raises(NotADirectoryError, match=f"no folder.*none.*{place}"):
        load(folder / "none")
    with pytest.raises(FileNotFoundError, match=rf"no file.*scores\.csv.*{place}.*'images' with"):
        load(folder)
    fill([], "picture,score\n1050,0.5\n")
    with pytest.raises(ValueError, match=rf"scores\.csv' has no column 'image'.*{place}"):
        load(folder)
    fill(["a/1.jpg"], "image,object,score\na/1.jpg,a,1\na/2.jpg,b,1\n")
    with pytest.raises(FileNotFoundError, match=rf"missing from .*images': 'a/2\.jpg'.*{place}"):
        load(folder)


@pytest.mark.parametrize("load", PLACES)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("../scores.csv,x,1", r"outside the folder: '\.\./scores\.csv"),
        ("/etc/passwd,x,1", "outside the folder: '/etc/passwd"),
        ("a/2.jpg,x,high", r"'score \(scores\.csv\)' has scores that are no numbers: 'high'"),
        ("a/2.jpg,x", r"scores\.csv' has rows without exactly 3 columns: row 2"),
    ],
)
def test_bad_rows_are_named(fill, load, row, message):
    folder = fill(["a/1.jpg", "a/2.jpg"], f"image,object,score\na/1.jpg,x,1\n{row}\n")
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize("load", list(PLACES)[:3])
def test_scores_outside_the_sets_range_are_named(fill, load):
    folder = fill(["1.jpg", "2.jpg"], "image,object,score\n1.jpg,x,1\n2.jpg,x,12\n")
    with pytest.raises(ValueError, match=r"'score .* has scores outside.*12 in row 2"):
        load(folder)


FRAMES = (
    "video_0,28_13-43.jpg,0,0.25,2\nvideo_0,57_44-71.jpg,1,1.0,1\nvideo_12,28_13-43.jpg,1,1.0,1\n"
)


@pytest.fixture(params=["devset", "testset"])
def mediaeval(request, tmp_path, put_images):
    folder = tmp_path / request.param
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations" / f"{request.param}-image.txt").write_text(FRAMES)
    rows = [line.split(",") for line in FRAMES.splitlines()]
    put_images(folder / "videos", [f"{row[0]}/images/{row[1]}" for row in rows])
    return folder


def test_key_frames_have_levels_and_videos(mediaeval):
    frames = load_interestingness("mediaeval", mediaeval)
    videos = mediaeval / "videos"
    assert frames.images == [
        videos / "video_0/images/28_13-43.jpg",
        videos / "video_0/images/57_44-71.jpg",
        videos / "video_12/images/28_13-43.jpg",
    ]
    assert frames.target.tolist() == [0.25, 1, 1]
    assert frames.groups.tolist() == ["video_0", "video_0", "video_12"]
    assert frames.target_names == ["interestingness"]
    assert frames.score_range == (0, 1)
    assert "relative to the most interesting frame of the same video" in frames.rule
    assert "3 images are here; the paper has 7,396." in frames.rule
    assert "MediaEval 2017" in frames.DESCR


def test_what_is_missing_of_mediaeval_is_named_with_the_place_to_ask(mediaeval):
    place = "interdigital.com/data_sets/interestingness-dataset"
    with pytest.raises(NotADirectoryError, match=f"no folder.*none.*{place}"):
        load_interestingness("mediaeval", mediaeval / "none")
    (mediaeval / "videos/video_12/images/28_13-43.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=rf"video_12/images/28_13-43\.jpg' in.*{place}"):
        load_interestingness("mediaeval", mediaeval)
    next(mediaeval.glob("annotations/*")).unlink()
    with pytest.raises(FileNotFoundError, match=rf"-image\.txt.*{place}.*'annotations'"):
        load_interestingness("mediaeval", mediaeval)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"video_0,1_0-2.jpg,0,0.5", r"set-image\.txt' has lines that are not .*in row 1"),
        (b"video_0,1_0-2.jpg,0,high,3", r"'level \(\w+set-image\.txt\)'.*'high' in row 1"),
        (b"video_0,1_0-2.jpg,0,1.5,3", "outside.*1.5 in row 1"),
        (b"video_0,../../../../../x.jpg,0,0.5,3", "outside the folder"),
    ],
)
def test_bad_annotations_are_named(mediaeval, content, message):
    next(mediaeval.glob("annotations/*")).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_interestingness("mediaeval", mediaeval)


def test_the_page_names_every_function_and_no_other():
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text(encoding="utf-8")
    table = text.partition("## What there is")[2].partition("## What every set returns")[0]
    assert set(re.findall(r"`((?:fetch|load)_\w+)", table)) == set(datasets.__all__)
