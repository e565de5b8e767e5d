import pytest

from sklearn_memorability.datasets._layout import folder_with, pictures_in

WAY_OUT = "Ask the authors."


@pytest.fixture
def root(tmp_path):
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "table.csv").write_text("")
    (tmp_path / "set" / "images" / "a.jpg").write_bytes(b"")
    return tmp_path


def test_the_folder_itself_and_the_places_in_it_are_tried_in_turn(root):
    inside = ["images", "table.csv"]
    assert folder_with(root / "set", inside, [], WAY_OUT) == root / "set"
    assert folder_with(str(root), inside, ["other", "set"], WAY_OUT) == root / "set"


def test_what_is_nowhere_is_named_with_the_way_out(root):
    with pytest.raises(FileNotFoundError, match=r"'images' and 'scores\.mat'.*Ask the authors"):
        folder_with(root, ["images", "scores.mat"], ["set"], WAY_OUT)
    with pytest.raises(NotADirectoryError, match=r"no folder.*nowhere.*Ask the authors"):
        folder_with(root / "nowhere", ["images"], [], WAY_OUT)


def test_missing_pictures_are_named_with_the_way_out(root):
    images = root / "set" / "images"
    assert pictures_in(images, ["a.jpg"], "file", WAY_OUT) == [images / "a.jpg"]
    with pytest.raises(FileNotFoundError, match=r"'b.jpg' in row 2.*Ask the authors"):
        pictures_in(images, ["a.jpg", "b.jpg"], "file", WAY_OUT)
