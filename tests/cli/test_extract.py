"""Computing features from the command line."""

import csv

import numpy as np
import pytest

from sklearn_memorability.features import ImageFeatures

ARGUMENTS = ["extract", "china.jpg", "gone.jpg", "flower.jpg"]


@pytest.fixture(scope="module")
def expected(photographs):
    return ImageFeatures().fit_transform(photographs)


def test_npz_and_csv_files_have_a_row_per_image(run, folder, expected):
    done = run(*ARGUMENTS, "-o", "features.npz")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "warning: gone.jpg: the file does not exist.\n"
        "Wrote features.npz: 3 x 1280 features, 1 failed.\n"
    )
    with np.load("features.npz", allow_pickle=False) as found:
        assert sorted(found) == ["errors", "features", "images", "names"]
        assert found["features"].dtype == np.float32
        np.testing.assert_allclose(found["features"][[0, 2]], expected, rtol=1e-4, atol=1e-5)
        assert np.isnan(found["features"][1]).all()
        assert found["images"].tolist() == ["china.jpg", "gone.jpg", "flower.jpg"]
        assert found["names"][0] == "imagefeatures0"
        assert found["errors"].tolist() == ["", "the file does not exist.", ""]
        features = found["features"]
    assert run(*ARGUMENTS, "-o", "features.csv").code == 1
    with open("features.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", *(f"imagefeatures{i}" for i in range(1280)), "error"]
    np.testing.assert_allclose([float(value) for value in rows[2][1:-1]], features[2], rtol=1e-5)
    assert set(rows[1][1:-1]) == {""}


def test_a_npy_file_has_the_images_names_beside_it(run, folder, expected):
    done = run(*ARGUMENTS, "-o", "features.npy")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "warning: gone.jpg: the file does not exist.\n"
        "Wrote features.npy: 3 x 1280 features, 1 failed. Names: features.images.csv.\n"
    )
    rows = np.load("features.npy", mmap_mode="r")
    np.testing.assert_allclose(rows[[0, 2]], expected, rtol=1e-4, atol=1e-5)
    assert np.isnan(rows[1]).all()
    with open("features.images.csv", encoding="utf-8") as file:
        assert file.read() == (
            "image,error\nchina.jpg,\ngone.jpg,the file does not exist.\nflower.jpg,\n"
        )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "Missing option '--output'"),
        (["-o", "features.txt"], "must end in .npz or .csv or .npy"),
        (["-o", "none/features.npy"], "there is no folder 'none'"),
        (["-o", "f.npz", "--backbone", "resnet51"], "did you mean"),
    ],
)
def test_errors_are_one_line(run, folder, more, message):
    done = run(*ARGUMENTS, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_images_that_all_fail_are_an_error(run, folder):
    done = run("extract", "gone.jpg", "-o", "features.npz")
    assert done.code == 2
    assert done.err.endswith("error: no image could be read.\n")
    assert not (folder / "features.npz").exists()
