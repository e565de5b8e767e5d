import io
import os
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from sklearn_memorability.datasets import fetch_isola, load_isola

# As in the archive: file path, hits, misses, false alarms, correct rejections.
RECORDS = [
    (r"sun\images\sun_aaa_crop.jpg", 60, 20, 5, 95),
    ("sun/images/sun_bbb_crop.jpg", 30, 50, 40, 40),
    ("sun/images/sun_ccc_crop.jpg", 40, 40, 10, 90),
]
CATEGORIES = {
    r"a\abbey": ["http://example.org/a/sun_aaa.jpg"],
    "beach": ["http://example.org/b/sun_bbb.jpg", "http://example.org/b/sun_zzz.jpg"],
}
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3, len(RECORDS)), dtype=np.uint8)


def _write(root, structs, pixels=PIXELS, records=RECORDS):
    for name in ("Image data", "Experiment data"):
        (root / "Data" / name).mkdir(parents=True)
    names = ["filepath", "hits", "misses", "false_alarms", "correct_rejections"]
    cells = np.empty((len(records), 1), dtype=object)
    for i, record in enumerate(records):
        cells[i, 0] = dict(zip(names, record, strict=True))
    scipy.io.savemat(
        root / "Data/Experiment data/sorted_target_data.mat", {"sorted_target_data": cells}
    )
    scipy.io.savemat(
        root / "Data/Image data/target_images.mat", {"img": pixels}, do_compression=True
    )
    groups = []
    for category, urls in CATEGORIES.items():
        images = np.empty((1, len(urls)), dtype=object)
        images[0] = urls
        groups.append({"category": category, "images": images})
    scipy.io.savemat(root / "Data/Image data/SUN_urls.mat", {"SUN": structs(groups)})


@pytest.fixture
def folder(tmp_path, structs):
    _write(tmp_path / "archive", structs)
    return tmp_path / "archive"


def test_the_scenes_are_read_with_their_hit_rates(folder):
    scenes = load_isola(folder)
    assert [path.name for path in scenes.images] == [
        "0001_sun_aaa_crop.png",
        "0002_sun_bbb_crop.png",
        "0003_sun_ccc_crop.png",
    ]
    assert scenes.target.tolist() == [0.75, 0.375, 0.5]
    assert scenes.groups.tolist() == ["a/abbey", "beach", "unknown"]
    assert scenes.weights.tolist() == [80, 80, 80]
    assert scenes.counts["correct_rejections"].tolist() == [95, 40, 90]
    assert scenes.score_range == (0, 1)
    assert scenes.consistency == 0.75
    assert "textures" in scenes.rule
    assert "Isola" in scenes.DESCR
    corrected = load_isola(folder, correction="difference")
    assert np.allclose(corrected.target, [0.7, -0.125, 0.4])
    assert corrected.score_range == (-1, 1)


def test_images_are_written_once_pixel_by_pixel(folder):
    images = load_isola(folder).images
    for i, path in enumerate(images):
        assert np.array_equal(np.asarray(Image.open(path)), PIXELS[..., i])
    (folder / "Data/Image data/target_images.mat").write_bytes(b"not needed any more")
    (folder / "Data/Image data/SUN_urls.mat").unlink()  # the list of categories
    again = load_isola(folder)
    assert (again.images, again.groups) == (images, None)
    images[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1 images.*0002_sun_bbb.*Remove"):
        load_isola(folder)


def test_the_textures_after_the_scenes_are_left_out(tmp_path, structs):
    records = [(f"sun_{i}_crop.jpg", i, 1, 1, 1) for i in range(1, 2401)]
    pixels = np.zeros((2, 2, 3, 2400), dtype=np.uint8)
    _write(tmp_path / "archive", structs, pixels, records)
    scenes = load_isola(tmp_path / "archive")
    assert len(scenes.images) == 2222
    assert scenes.counts["hits"][-1] == 2222


def test_an_interrupted_call_leaves_nothing_half_written(folder, monkeypatch):
    save, written = Image.Image.save, []

    def interrupted(self, *arguments, **options):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(arguments)
        return save(self, *arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(Image.Image, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_isola(folder)
    assert not (folder / "images").exists()
    assert len(load_isola(folder).images) == len(os.listdir(folder / "images")) == 3


def test_missing_files_tell_the_way_out(folder, tmp_path):
    with pytest.raises(NotADirectoryError, match=r"fetch_isola\(\)"):
        load_isola(tmp_path / "nowhere")
    (folder / "Data/Image data/target_images.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"target_images\.mat.*fetch_isola\(\)"):
        load_isola(folder)


@pytest.mark.parametrize(
    ("file", "variables", "message"),
    [
        ("Experiment data/sorted_target_data.mat", {"x": 1}, "isn't the archive's.*filepath"),
        ("Image data/target_images.mat", {"img": PIXELS[..., :2]}, r"shape \(8, 8, 3, 2\)"),
        ("Image data/SUN_urls.mat", {"x": 1}, "variable SUN"),
    ],
)
def test_other_files_are_refused(folder, file, variables, message):
    scipy.io.savemat(folder / "Data" / file, variables)
    with pytest.raises(ValueError, match=message):
        load_isola(folder)
    (folder / "Data" / file).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="can't be read as a MATLAB file"):
        load_isola(folder)


def test_it_is_downloaded_and_read(web, folder, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.mat")):
            file.write(path, f"cvpr_memorability_data/{path.relative_to(folder)}")
    web.put(
        "https://web.mit.edu/phillipi/Public/WhatMakesAnImageMemorable/cvpr_memorability_data.zip",
        archive.getvalue(),
    )
    fetched = fetch_isola(data_home=tmp_path / "home")
    assert fetched.target.tolist() == [0.75, 0.375, 0.5]
    assert fetch_isola(data_home=tmp_path / "home", download_if_missing=False).images == (
        fetched.images
    )
    assert len(web.requests) == 1
