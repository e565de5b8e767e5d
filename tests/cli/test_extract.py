"""Computing features from the command line."""

import csv
import shutil
import signal

import numpy as np
import pytest
import zarr

from sklearn_memorability.features import CaptionEmbedding, ImageFeatures, StoredFeatures


@pytest.fixture
def arguments(photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in photographs:
        shutil.copy(path, tmp_path)
    return ["extract", "china.jpg", "gone.jpg", "flower.jpg"]


@pytest.fixture(scope="module")
def expected(photographs):
    return ImageFeatures().fit_transform(photographs)


def test_an_npz_file_has_a_row_a_picture_and_no_pickle(run, arguments, expected):
    done = run(*arguments, "-o", "features.npz")
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


def test_a_csv_file_names_its_columns(run, arguments, expected):
    assert run(*arguments, "-o", "features.csv").code == 1
    with open("features.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", *(f"imagefeatures{i}" for i in range(1280)), "error"]
    np.testing.assert_allclose(
        [float(value) for value in rows[2][1:-1]], expected[1], rtol=1e-4, atol=1e-5
    )
    assert set(rows[1][1:-1]) == {""}


def test_a_joint_spaces_features_stand_behind_the_networks(run, arguments, photographs):
    options = ["--embedding", "flickr8k", "-o", "both.npz"]
    assert run("extract", "china.jpg", *options).code == 0
    with np.load("both.npz") as found:
        assert found["names"][[0, 1280]].tolist() == ["cnn__0", "ic__0"]
        expected = CaptionEmbedding(with_cnn=True).fit_transform(photographs[:1])
        np.testing.assert_allclose(found["features"], expected, rtol=1e-4, atol=1e-5)


def test_nothing_readable_writes_nothing(run, arguments, tmp_path):
    done = run("extract", "gone.jpg", "-o", "features.npz")
    assert done.code == 2
    assert "nothing is written" in done.err
    assert not (tmp_path / "features.npz").exists()


def _assert_the_first_part_is_kept(run):
    for i in range(20):
        shutil.copy("flower.jpg", f"{i:02}.jpg")
    done = run("extract", *(f"{i:02}.jpg" for i in range(20)), "-o", "features.npz")
    assert done.code == 130
    with np.load("features.npz") as found:
        assert found["features"].shape == (16, 1280)
        assert len(found["images"]) == 16


def test_interrupted_it_keeps_what_is_done(run, arguments, monkeypatch):
    whole, calls = ImageFeatures.transform, []

    def transform(extractor, pictures):
        calls.append(pictures)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return whole(extractor, pictures)

    monkeypatch.setattr(ImageFeatures, "transform", transform)
    _assert_the_first_part_is_kept(run)


# The warning is what pytest makes of the interrupt that Python drops.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_python_forgets_stops_it_after_the_part(run, arguments, monkeypatch):
    class Dying:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)  # prints and drops what it raises

    whole = ImageFeatures.transform

    def transform(extractor, pictures):
        Dying()
        return whole(extractor, pictures)

    monkeypatch.setattr(ImageFeatures, "transform", transform)
    _assert_the_first_part_is_kept(run)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("name", ["features.npy", "features.zarr"])
def test_features_on_disk_have_their_pictures_names_beside_them(run, arguments, expected, name):
    done = run(*arguments, "-o", name)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "warning: gone.jpg: the file does not exist.\n"
        f"Wrote {name}: 3 x 1280 features, 1 failed. Names: features.images.csv.\n"
    )
    rows = np.asarray(StoredFeatures(name))
    np.testing.assert_allclose(rows[[0, 2]], expected, rtol=1e-4, atol=1e-5)
    assert np.isnan(rows[1]).all()
    with open("features.images.csv", encoding="utf-8") as file:
        assert file.read() == (
            "image,error\nchina.jpg,\ngone.jpg,the file does not exist.\nflower.jpg,\n"
        )


def test_the_same_command_goes_on_and_another_one_needs_force(run, arguments, monkeypatch):
    whole, calls = ImageFeatures.transform, []

    def transform(extractor, pictures):
        calls.append(len(pictures))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return whole(extractor, pictures)

    monkeypatch.setattr(ImageFeatures, "transform", transform)
    done = run(*arguments, "-o", "features.npy")
    assert done.code == 130
    assert "the same command goes on" in done.err
    for _ in range(2):
        assert run(*arguments, "-o", "features.npy").code == 1
    assert calls == [3, 3]
    done = run("extract", "flower.jpg", "china.jpg", "-o", "features.npy")
    assert done.code == 2
    assert "n_rows is 3 there and 2 here" in done.err
    assert "overwrite" not in done.err
    assert run("extract", "flower.jpg", "china.jpg", "-o", "features.npy", "--force").code == 0


def test_rows_of_nan_alone_are_a_failure(run, arguments):
    done = run("extract", "gone.jpg", "-o", "features.npy")
    assert done.code == 2
    assert done.err.endswith("error: no picture could be read: all rows are NaN.\n")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "Missing option '--output'"),
        (["-o", "features.txt"], "must end in .npz or .csv or .parquet or .npy or .zarr"),
        (["-o", "none/features.npy"], "There is no folder"),
        (["-o", "f.npz", "--backbone", "resnet51"], "did you mean"),
        (["-o", "f.npz", "--batch-size", "0"], "--batch-size"),
        (["-o", "f.npz", "--part", "0/2"], "--part is for an --output that ends in .npy or .zarr"),
        (["-o", "f.npz", "--chunk-rows", "9"], "--chunk-rows is for"),
        (["-o", "f.zarr", "--part", "2/2"], "--part 2/2: must be I/N"),
        (["-o", "f.zarr", "--part", "first"], "--part first: must be I/N"),
        (["-o", "f.npy", "--part", "0/2"], "needs a path that ends in .zarr"),
        (["-o", "f.npy", "--dtype", "int8"], "must be 'float32' or 'float16'"),
    ],
)
def test_errors_are_one_line(run, arguments, more, message):
    done = run(*arguments, *more)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert message in done.err


def test_parts_make_one_array_and_the_last_one_names_the_pictures(run, arguments, expected):
    options = ["-o", "features.zarr", "--chunk-rows", "1", "--dtype", "float16", "--part"]
    for part in ("2/3", "0/3"):
        done = run(*arguments, *options, part)
        assert (done.code, done.out) == (0, "")
        assert done.err == (
            "This part of features.zarr is written; rows of other parts are missing.\n"
        )
    done = run(*arguments, *options, "1/3")
    assert done.code == 1
    assert done.err.startswith("warning: gone.jpg: the file does not exist.\n")
    rows = zarr.open_array("features.zarr", mode="r")
    assert (rows.dtype, rows.chunks) == (np.float16, (1, 1280))
    np.testing.assert_allclose(rows[:][[0, 2]], expected, rtol=1e-3, atol=1e-4)
    assert np.isnan(rows[1]).all()
