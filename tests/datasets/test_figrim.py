import numpy as np
import pytest
import scipy.io

from sklearn_memorability.datasets import fetch_figrim, load_figrim

IMAGES = [("sun_a.jpg", "abbey"), ("sun_b.jpg", "beach"), ("sun_c.jpg", "abbey")]
COMBINED = [(73, 17, 6, 94), (45, 45, 9, 81), (30, 60, 10, 90)]
WITHIN = [(40, 10, 5, 45), (25, 25, 9, 41), (10, 40, 5, 45)]
ACROSS = [(33, 7, 1, 49), (20, 20, 0, 40), (20, 20, 5, 45)]
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


@pytest.fixture
def with_experiments(folder, structs):
    rows = [
        {
            "filename": name,
            "width": 700,
            "category": category,
            "amt1": _counts(within),
            "amt2": _counts(across),
        }
        for (name, category), within, across in zip(IMAGES, WITHIN, ACROSS, strict=True)
    ]
    scipy.io.savemat(folder / "image_data_targets.mat", {"image_data_targets": structs(rows)})
    return folder


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


@pytest.mark.parametrize(
    ("experiment", "expected"), [("within", [0.8, 0.5, 0.2]), ("across", [0.825, 0.5, 0.5])]
)
def test_single_experiments_have_their_own_counts(with_experiments, experiment, expected):
    scenes = load_figrim(with_experiments, experiment=experiment)
    assert np.allclose(scenes.target, expected)
    assert scenes.rule == ""
    corrected = load_figrim(with_experiments, experiment="within", correction="difference")
    assert np.allclose(corrected.target, [0.7, 0.32, 0.1])
    assert corrected.score_range == (-1, 1)


def test_missing_files_tell_the_way_out(folder):
    with pytest.raises(NotADirectoryError, match=r"fetch_figrim\(\)"):
        load_figrim(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match="image_data_targets.mat.*authors hand it out"):
        load_figrim(folder, experiment="within")
    (folder / "Targets/beach/sun_b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="missing.*'beach/sun_b.jpg' in row 2"):
        load_figrim(folder)


def test_bad_arguments_are_refused_by_name(folder):
    with pytest.raises(ValueError, match=r"experiment='amt1' is unknown.*'within'"):
        load_figrim(folder, experiment="amt1")
    with pytest.raises(ValueError, match="correction='all' is unknown"):
        fetch_figrim(correction="all", data_home=folder, download_if_missing=False)


@pytest.mark.parametrize("rows", [None, np.ones(3), [{"filename": "a.jpg", "category": "abbey"}]])
def test_other_files_are_refused(folder, structs, rows):
    variables = {"allImages": structs(rows) if isinstance(rows, list) else rows}
    if rows is None:
        variables = {"x": 1}
    scipy.io.savemat(folder / "allImages_release.mat", variables)
    with pytest.raises(ValueError, match=r"isn't the authors'.*allImages.*AMT_comb"):
        load_figrim(folder)
