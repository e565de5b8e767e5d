import io
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from sklearn_memorability.datasets import _figrim
from sklearn_memorability.datasets._figrim import fetch_figrim, load_figrim

PICTURES = [("sun_a.jpg", "abbey"), ("sun_b.jpg", "beach"), ("sun_c.jpg", "abbey")]
COMBINED = [(73, 17, 6, 94), (45, 45, 9, 81), (30, 60, 10, 90)]
WITHIN = [(40, 10, 5, 45), (25, 25, 9, 41), (10, 40, 5, 45)]
ACROSS = [(33, 7, 1, 49), (20, 20, 0, 40), (20, 20, 5, 45)]
COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")


def _structs(rows):
    """A MATLAB structure array, from mappings of the same names."""
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for i, row in enumerate(rows):
        array[0, i] = tuple(row.values())
    return array


def _counts(numbers):
    # In the order of the release, which is another.
    order = ("hits", "false_alarms", "misses", "correct_rejections")
    named = dict(zip(COUNTS, numbers, strict=True))
    return {name: named[name] for name in order}


def _release(path):
    rows = [
        {
            "filename": name,
            "category": category,
            "impath": f"Targets/{category}/{name}",
            "userdata": _structs([{"trial": 3, "SDT": [1, 1, 3]}] * 2),
            "AMT_comb": _counts(numbers),
            "annotation": _structs([{"folder": category}]),
        }
        for (name, category), numbers in zip(PICTURES, COMBINED, strict=True)
    ]
    scipy.io.savemat(path, {"allImages": _structs(rows)}, do_compression=True)


def _picture():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "figrim"
    for name, category in PICTURES:
        path = root / "Targets" / category / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_picture())
    _release(root / "allImages_release.mat")
    return root


@pytest.fixture
def with_experiments(folder):
    rows = [
        {
            "filename": name,
            "width": 700,
            "category": category,
            "amt1": _counts(within),
            "amt2": _counts(across),
        }
        for (name, category), within, across in zip(PICTURES, WITHIN, ACROSS, strict=True)
    ]
    scipy.io.savemat(folder / "image_data_targets.mat", {"image_data_targets": _structs(rows)})
    return folder


def test_the_open_release_is_read_with_the_counts_of_both_experiments(folder):
    scenes = load_figrim(folder)
    assert scenes.images == [folder / "Targets" / place / name for name, place in PICTURES]
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


def test_false_alarms_are_corrected_for_as_asked(with_experiments):
    scenes = load_figrim(with_experiments, experiment="within", correction="difference")
    assert np.allclose(scenes.target, [0.7, 0.32, 0.1])
    assert scenes.score_range == (-1, 1)


def test_pictures_in_a_folder_of_their_archives_name_are_found(folder):
    (folder / "Targets").rename(folder / "inner")
    (folder / "Targets").mkdir()
    (folder / "inner").rename(folder / "Targets" / "Targets")
    assert load_figrim(folder).images[0] == folder / "Targets" / "Targets" / "abbey" / "sun_a.jpg"


def test_missing_files_tell_the_way_out(folder):
    with pytest.raises(NotADirectoryError, match=r"fetch_figrim\(\)"):
        load_figrim(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match="image_data_targets.mat.*from the authors"):
        load_figrim(folder, experiment="within")
    (folder / "Targets/beach/sun_b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="missing.*'beach/sun_b.jpg' in row 2"):
        load_figrim(folder)


def test_bad_arguments_are_refused_by_name(folder):
    with pytest.raises(ValueError, match=r"experiment='amt1' is unknown.*'within'"):
        load_figrim(folder, experiment="amt1")
    with pytest.raises(ValueError, match="correction='all' is unknown"):
        load_figrim(folder, correction="all")
    with pytest.raises(ValueError, match="correction='all' is unknown"):
        fetch_figrim(correction="all", data_home=folder, download_if_missing=False)


@pytest.mark.parametrize(
    "variables",
    [
        {"x": 1},
        {"allImages": np.ones(3)},
        {"allImages": _structs([{"filename": "a.jpg", "category": "abbey"}] * 2)},
    ],
)
def test_other_files_are_refused(folder, variables):
    scipy.io.savemat(folder / "allImages_release.mat", variables)
    with pytest.raises(ValueError, match=r"isn't the authors'.*allImages.*AMT_comb"):
        load_figrim(folder)


def test_it_is_downloaded_and_read(web, on_web, folder, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, category in PICTURES:
            archive.writestr(f"Targets/{category}/{name}", _picture())
            archive.writestr(f"__MACOSX/Targets/{category}/._{name}", b"not a picture")
    web.put("Targets.zip", buffer.getvalue())
    web.put("allImages_release.mat", (folder / "allImages_release.mat").read_bytes())
    on_web(_figrim)
    fetched = fetch_figrim(data_home=tmp_path / "home")
    assert np.array_equal(fetched.target, load_figrim(folder).target)
    assert all(path.is_file() for path in fetched.images)
    fetch_figrim(data_home=tmp_path / "home", download_if_missing=False)
    assert len(web.requests) == 2


def test_its_files_are_held_to_the_published_hashes(web, tmp_path, monkeypatch):
    from dataclasses import replace

    files = [replace(file, url=web.put(file.name, b"another")) for file in _figrim._FILES]
    monkeypatch.setattr(_figrim, "_FILES", files)
    with pytest.raises(ValueError, match="Targets.zip.*expected md5:2ad3a42ebc377efe4b39064"):
        fetch_figrim(data_home=tmp_path)
