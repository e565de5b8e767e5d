import numpy as np
import pytest
import scipy.io

from sklearn_memorability.datasets import load_figrim

IMAGES = [("sun_a.jpg", "abbey"), ("sun_b.jpg", "beach"), ("sun_c.jpg", "abbey")]
COMBINED = [(73, 17, 6, 94), (45, 45, 9, 81), (30, 60, 10, 90)]
COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")


def _counts(numbers):
    # In the order of the release, which is another.
    order = ("hits", "false_alarms", "misses", "correct_rejections")
    named = dict(zip(COUNTS, numbers, strict=True))
    return {name: named[name] for name in order}


@pytest.fixture
def folder(tmp_path, structs, put_images):
    root = tmp_path / "figrim"
    put_images(root / "Targets", [f"{category}/{name}" for name, category in IMAGES])
    rows = [
        {
            "filename": name,
            "category": category,
            "impath": f"Targets/{category}/{name}",
            "userdata": structs([{"trial": 3, "SDT": [1, 1, 3]}] * 2),
            "AMT_comb": _counts(numbers),
        }
        for (name, category), numbers in zip(IMAGES, COMBINED, strict=True)
    ]
    variables = {"allImages": structs(rows)}
    scipy.io.savemat(root / "allImages_release.mat", variables, do_compression=True)
    return root


def test_the_open_release_is_read_with_the_counts_of_both_experiments(folder):
    scenes = load_figrim(folder)
    assert scenes.images == [folder / "Targets" / place / name for name, place in IMAGES]
    assert np.allclose(scenes.target, [73 / 90, 0.5, 1 / 3])
    assert scenes.groups.tolist() == ["abbey", "beach", "abbey"]
    assert scenes.counts["false_alarms"].tolist() == [6, 9, 10]
    assert scenes.weights.tolist() == [90, 90, 90]
    assert scenes.consistency is None
    assert "630" in scenes.rule
    assert "Bylinskii" in scenes.DESCR


def test_false_alarms_can_be_taken_off(folder):
    corrected = load_figrim(folder, correction="difference")
    assert np.allclose(corrected.target, [73 / 90 - 0.06, 0.4, 1 / 3 - 0.1])
    assert corrected.score_range == (-1, 1)


def test_missing_files_tell_the_way_out(folder):
    with pytest.raises(NotADirectoryError, match=r"fetch_figrim\(\)"):
        load_figrim(folder / "nowhere")
    (folder / "Targets/beach/sun_b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="missing.*'beach/sun_b.jpg' in row 2"):
        load_figrim(folder)


@pytest.mark.parametrize("rows", [None, np.ones(3), [{"filename": "a.jpg", "category": "abbey"}]])
def test_other_files_are_refused(folder, structs, rows):
    variables = {"allImages": structs(rows) if isinstance(rows, list) else rows}
    if rows is None:
        variables = {"x": 1}
    scipy.io.savemat(folder / "allImages_release.mat", variables)
    with pytest.raises(ValueError, match=r"isn't the authors'.*allImages.*AMT_comb"):
        load_figrim(folder)
