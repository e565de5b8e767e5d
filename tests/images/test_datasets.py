"""Data sets of Hugging Face's library datasets, and torchvision's folders, as images."""

import shutil

import datasets
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from torchvision.datasets import ImageFolder

from sklearn_memorability import ImageFeatures
from sklearn_memorability.features import write_features
from sklearn_memorability.finetuning import FineTunedRegressor
from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.inspection import write_report
from sklearn_memorability.pipelines import mlp_regressor


@pytest.fixture(scope="module")
def features(photographs):
    extractor = ImageFeatures(device="cpu").fit(photographs)
    return extractor, extractor.transform(photographs)


def data_set(paths, decode=False, keep_bytes=True):
    rows = [{"bytes": p.read_bytes() if keep_bytes else None, "path": str(p)} for p in paths]
    made = datasets.Dataset.from_dict({"image": rows, "label": range(len(rows))})
    return made.cast_column("image", datasets.Image(decode=decode))


@pytest.mark.parametrize("keep_bytes", [True, False])
@pytest.mark.parametrize("decode", [True, False])
def test_a_column_of_a_data_set_is_images(photographs, features, decode, keep_bytes, tmp_path):
    extractor, expected = features
    data = data_set(photographs, decode, keep_bytes)
    for images in (data["image"], list(data["image"]), data.select_columns("image")):
        np.testing.assert_array_equal(extractor.transform(images), expected)
    rows = write_features(extractor, data["image"], tmp_path / "rows.npy")
    np.testing.assert_array_equal(rows, expected)
    assert read_image(data[1]["image"]).size == (640, 427)
    with pytest.raises(ValueError, match=r"one column of images, got 2: \['image', 'label'\]"):
        extractor.transform(data)


def test_an_image_of_a_column_is_decoded_when_its_turn_comes(photographs, features):
    decoded = []
    data = data_set(photographs, decode=True)
    data.set_transform(lambda batch: decoded.append(len(batch["image"])) or batch)
    features[0].transform(data["image"])
    assert decoded == [1, 1]


def test_folds_reports_and_fine_tuning_take_a_data_set(photographs, tmp_path):
    images, y = data_set(photographs * 3)["image"], np.linspace(0.3, 0.8, 6)
    model = mlp_regressor(ImageFeatures(), n_classes=2, max_epochs=1, device="cpu")
    assert np.isfinite(cross_val_score(model, images, y, cv=2)).all()
    page = write_report(model.fit(images, y), images, path=tmp_path / "r.html")
    assert "china.jpg" in page.read_text(encoding="utf-8")
    tuned = FineTunedRegressor(n_classes=2, max_epochs=1, device="cpu").fit(images, y)
    assert np.isfinite(tuned.predict(images)).all()


def test_samples_of_a_folder_of_torchvision_are_images(photographs, features, tmp_path):
    for path in photographs:
        (tmp_path / path.stem).mkdir()
        shutil.copy(path, tmp_path / path.stem)
    samples = ImageFolder(tmp_path).samples
    for images in (samples, tuple(samples)):
        np.testing.assert_array_equal(features[0].transform(images), features[1])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"bytes": b"none", "path": "a.jpg"}, "Image in row 3, 'a.jpg': can't be read"),
        ({"bytes": None, "path": "gone.jpg"}, "'gone.jpg': the file does not exist"),
        ({"image": b""}, "a dict is not an image"),
        (("gone.jpg", 4), "'gone.jpg': the file does not exist"),
        (("a.jpg", "b.jpg"), "a tuple is not an image"),
    ],
)
def test_rows_that_hold_no_image_are_named(image, message):
    with pytest.raises(ImageReadError, match=message):
        read_image(image, row=3)
