import pytest
from PIL import Image

from sklearn_memorability.datasets import load_flickr, load_mediaeval

DEVSET = (
    "video_0,28_13-43.jpg,0,0.25,2\nvideo_0,57_44-71.jpg,1,1.0,1\nvideo_12,28_13-43.jpg,1,1.0,1\n"
)
TESTSET = "video_78,9_1-18.jpg,0,0.125,9\n"


@pytest.fixture
def folder(tmp_path):
    for part, lines in (("devset", DEVSET), ("testset", TESTSET)):
        (tmp_path / part / "annotations").mkdir(parents=True)
        (tmp_path / part / "annotations" / f"{part}-image.txt").write_text(lines)
        for line in lines.splitlines():
            video, frame, *_ = line.split(",")
            pictures = tmp_path / part / "videos" / video / "images"
            pictures.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (2, 2)).save(pictures / frame)
    return tmp_path


def test_key_frames_have_levels_and_videos(folder):
    frames = load_mediaeval(folder)
    videos = folder / "devset" / "videos"
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
    assert "3 pictures are here; the paper has 7,396." in frames.rule
    assert "MediaEval 2017" in frames.DESCR


def test_the_test_set_can_be_had_alone_and_with_the_other(folder):
    assert load_mediaeval(folder, subset="testset").target.tolist() == [0.125]
    frames = load_mediaeval(folder, subset="all", as_frame=True).frame
    assert frames["interestingness"].tolist() == [0.25, 1, 1, 0.125]
    assert frames["group"].tolist() == ["video_0", "video_0", "video_12", "video_78"]
    with pytest.raises(ValueError, match=r"subset='dev' is unknown.*'devset', 'testset', 'all'"):
        load_mediaeval(folder, subset="dev")


def test_what_is_missing_of_mediaeval_is_named_with_the_place_to_ask(folder):
    place = "interdigital.com/data_sets/interestingness-dataset"
    with pytest.raises(NotADirectoryError, match=f"no folder.*none.*{place}"):
        load_mediaeval(folder / "none")
    (folder / "devset/videos/video_12/images/28_13-43.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=rf"video_12/images/28_13-43\.jpg' in.*{place}"):
        load_mediaeval(folder)
    (folder / "devset/annotations/devset-image.txt").unlink()
    with pytest.raises(FileNotFoundError, match=rf"devset-image\.txt.*{place}.*'annotations'"):
        load_mediaeval(folder)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("video_0,1_0-2.jpg,0,0.5", r"devset-image\.txt' has lines that are not .*in row 4"),
        ("video_0,1_0-2.jpg,0,high,3", r"'level \(devset-image\.txt\)'.*'high' in row 4"),
        ("video_0,1_0-2.jpg,0,1.5,3", "outside.*1.5 in row 4"),
        ("../../..,x.jpg,0,0.5,3", "outside the folder"),
        ("video_0,../../../../../x.jpg,0,0.5,3", "outside the folder"),
        ("video_0,28_13-43.jpg,0,0.5,3", "more than once.*rows 1 and 4"),
    ],
)
def test_bad_annotations_are_named(folder, line, message):
    path = folder / "devset/annotations/devset-image.txt"
    path.write_text(DEVSET + line + "\n")
    with pytest.raises(ValueError, match=message):
        load_mediaeval(folder)


def test_annotations_that_are_no_text_are_refused(folder):
    path = folder / "devset/annotations/devset-image.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"devset-image\.txt' can't be read"):
        load_mediaeval(folder)
    path.write_text("\n")
    with pytest.raises(ValueError, match=r"devset-image\.txt' has no lines.*interdigital"):
        load_mediaeval(folder)


def test_photographs_from_flickr_have_any_scores(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("14.jpg", "7.jpg"):
        Image.new("RGB", (2, 2)).save(tmp_path / "images" / name)
    (tmp_path / "scores.csv").write_text("image,score,owner\n14.jpg,-1,a\n7.jpg,-500,b\n")
    photographs = load_flickr(tmp_path)
    assert photographs.images == [tmp_path / "images/14.jpg", tmp_path / "images/7.jpg"]
    assert photographs.target.tolist() == [-1, -500]
    assert photographs.target_names == ["interestingness"]
    assert photographs.score_range is None
    assert photographs.rule.endswith("2 pictures are here; the paper has 123,185.")


def test_what_is_missing_of_flickr_is_named_with_the_place_to_ask(tmp_path):
    place = "flickr.com/services/api/flickr.interestingness.getList"
    with pytest.raises(FileNotFoundError, match=rf"no file.*scores\.csv.*{place}"):
        load_flickr(tmp_path)
    (tmp_path / "scores.csv").write_text("image,score\n../x.jpg,1\n")
    with pytest.raises(ValueError, match=r"outside the folder: '\.\./x\.jpg' in row 1"):
        load_flickr(tmp_path)
    (tmp_path / "scores.csv").write_text("image,score\nx.jpg,1\n")
    with pytest.raises(FileNotFoundError, match=rf"'x\.jpg' in row 1.*{place}"):
        load_flickr(tmp_path)
