import numpy as np
import pytest
import scipy.io

from sklearn_memorability.datasets import load_massvis

# Names, sources and counts (hits, misses, false alarms, correct rejections).
ROWS = [
    ("economist_daily_chart_103.png", "Economist Daily", 38, 53, 11, 90),
    ("nature07.1.png", "Nature", 60, 20, 10, 90),
    ("vis_9.png", "Visual.ly", 80, 0, 0, 100),
]
FIELDS = ("filename", "source", "hits", "misses", "false_alarms", "correct_rejections")
HIT_RATES = [38 / 91, 0.75, 1.0]


def _write_410(folder, rows=ROWS, fields=FIELDS, variable="allImages"):
    # As released: a row of structures with the fields in MATLAB's arrays.
    images = np.empty((1, len(rows)), dtype=[(field, object) for field in (*fields, "title")])
    for i, row in enumerate(rows):
        images[0, i] = (*row, "")
    scipy.io.savemat(folder / "targets410_metadata.mat", {variable: images})


@pytest.fixture
def folder(tmp_path, put_images):
    root = tmp_path / "massvis"
    put_images(root / "targets", [name for name, *_ in ROWS])
    return root


def test_the_410_have_hit_rates_sources_and_counts(folder):
    _write_410(folder)
    charts = load_massvis(folder)
    assert charts.images == [folder / "targets" / name for name, *_ in ROWS]
    assert charts.target == pytest.approx(HIT_RATES)
    assert charts.groups.tolist() == ["Economist Daily", "Nature", "Visual.ly"]
    assert charts.weights.tolist() == [91, 80, 80]
    assert charts.counts["correct_rejections"].tolist() == [90, 90, 100]
    assert charts.score_range == (0, 1)
    # Spearman-Brown's reliability of .83 is .907; its root is .952.
    assert charts.ceiling == pytest.approx(0.952, abs=5e-4)
    assert charts.rule == "3 images are here; the paper has 410."
    assert "research and education only" in charts.DESCR
    for correction, expected, score_range in (
        ("difference", [38 / 91 - 11 / 101, 0.65, 1.0], (-1, 1)),
        ("balanced_accuracy", [0.5 + (38 / 91 - 11 / 101) / 2, 0.825, 1.0], (0, 1)),
    ):
        charts = load_massvis(folder, correction=correction)
        assert charts.target == pytest.approx(expected)
        assert charts.score_range == score_range
        # The published consistency is that of hit rates.
        assert charts.ceiling is None


def test_labels_in_the_folder_are_taken_before_any_download(folder, tmp_path):
    _write_410(folder)
    # The images may lie in the folder itself.
    for path in (folder / "targets").iterdir():
        path.rename(folder / path.name)
    (folder / "targets").rmdir()
    options = {"data_home": tmp_path / "home", "download_if_missing": False}
    images, target = load_massvis(folder, return_X_y=True, **options)
    assert images == [folder / name for name, *_ in ROWS]
    assert target == pytest.approx(HIT_RATES)
    (folder / "targets410_metadata.mat").unlink()
    with pytest.raises(OSError, match=r"targets410_metadata\.mat.*githubusercontent"):
        load_massvis(folder, **options)


def test_labels_that_are_not_there_are_downloaded_and_checked(web, folder, tmp_path):
    repository = "https://raw.githubusercontent.com/massvis/dataset/"
    commit = "2a14de2420426ac8cc033abca3c6e1bcf092ac21"
    url = f"{repository}{commit}/matlab_files/targets410_metadata.mat"
    web.put(url, b"another")
    with pytest.raises(ValueError, match="targets410_metadata.mat.*expected sha256:1b9b45ad905"):
        load_massvis(folder, data_home=tmp_path / "home")
    assert len(web.asked(url)) == 1


def test_missing_images_are_listed_with_the_place_to_ask(folder):
    _write_410(folder)
    (folder / "targets" / "vis_9.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"'vis_9\.png' in row 3.*massvis\.mit\.edu"):
        load_massvis(folder)
    with pytest.raises(NotADirectoryError, match=r"no folder.*none.*massvis\.mit\.edu/#data"):
        load_massvis(folder / "none")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("../vis_9.png", "x", 1, 1, 1, 1), r"outside the folder: '\.\./vis_9\.png' in row 4"),
        (("a.png", "x", 1, 1.5, 1, 1), r"'misses' has counts that are no whole.*1\.5 in row 4"),
    ],
)
def test_bad_rows_are_named(folder, row, message):
    _write_410(folder, [*ROWS, row])
    with pytest.raises(ValueError, match=message):
        load_massvis(folder)


def test_files_that_are_no_labels_are_refused(folder):
    _write_410(folder, variable="images")
    with pytest.raises(
        ValueError, match=r"410_metadata\.mat' has no column 'filename'.*remove the file"
    ):
        load_massvis(folder)
    _write_410(folder, [row[:-1] for row in ROWS], FIELDS[:-1])
    with pytest.raises(ValueError, match="has no column 'correct_rejections'"):
        load_massvis(folder)
    (folder / "targets410_metadata.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(ValueError, match=r"410_metadata\.mat' can't be read as a MATLAB file"):
        load_massvis(folder)
