import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image

from sklearn_memorability.images import list_images
from sklearn_memorability.images._collect import as_image_list

NAMES = ["b.jpg", "a.jpg"]


@pytest.mark.parametrize(
    "container",
    [
        NAMES,
        tuple(NAMES),
        np.array(NAMES),
        np.array(NAMES, dtype=object)[:, None],
        pd.Series(NAMES, index=[5, 3]),
        pl.Series(NAMES),
        pd.DataFrame({"image": NAMES}),
        pl.DataFrame({"read": NAMES}),
        pd.DataFrame({"columns": NAMES}),
    ],
)
def test_every_container_keeps_its_order(container):
    assert as_image_list(container) == NAMES


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_an_array_or_tensor_of_pixels_is_one_image_a_row(kind):
    pixels = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    first, second = as_image_list(kind(pixels))
    assert np.array_equal(first, pixels[0])
    assert np.array_equal(second, pixels[1])


@pytest.mark.parametrize(
    ("container", "error", "message"),
    [
        ("a.jpg", TypeError, "Put it in a list"),
        (Path("a.jpg"), TypeError, "Put it in a list"),
        (Image.new("RGB", (2, 2)), TypeError, "Put it in a list"),
        (b"bytes", TypeError, "Put it in a list"),
        (io.BytesIO(b"a"), TypeError, "Put it in a list"),
        (7, TypeError, "got int"),
        ((name for name in NAMES), TypeError, "got generator"),
        ({"a.jpg"}, TypeError, "got set"),
        ([], ValueError, "minimum of 1 sample"),
        (np.zeros((0, 3, 3, 3)), ValueError, "minimum of 1 sample"),
        (np.zeros((5, 10)), ValueError, r"shape \(5, 10\)"),
        (np.zeros((5, 10, 3)), ValueError, "goes into a list"),
        (torch.zeros(3, 4, 4), ValueError, r"shape \(3, 4, 4\) and dtype torch\.float32"),
        (torch.zeros(1, 2, 3, 4, 4), ValueError, r"shape \(1, 2, 3, 4, 4\)"),
        (np.array([["a", "b"]]), ValueError, r"shape \(1, 2\)"),
        (pd.DataFrame({"image": NAMES, "score": [1, 2]}), ValueError, r"\['image', 'score'\]"),
    ],
)
def test_what_is_no_container_of_images_is_refused(container, error, message):
    with pytest.raises(error, match=message):
        as_image_list(container)


def test_a_folder_is_listed_by_name_without_hidden_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("z.PNG", "b.jpeg", "notes.txt", ".c.jpg", "sub/a.webp", ".hidden/d.jpg"):
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["b.jpeg", "sub/a.webp", "z.PNG"]
    flat = [path.name for path in list_images(tmp_path, recursive=False)]
    assert flat == ["b.jpeg", "z.PNG"]


def test_every_ending_of_a_format_that_is_read_is_listed(tmp_path):
    names = "a.jpe b.mpo c.PGM d.pbm e.pnm f.tga g.j2k h.jpf i.apng j.qoi k.pcx l.dib m.ico n.sgi "
    names += "o.pjpeg p.heic q.hif"
    for name in names.split():
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == sorted(names.split())


def test_links_are_followed_once_and_cycles_end(tmp_path):
    for folder in ("elsewhere/deep", "root/z"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.png").touch()
    links = {"b": "../elsewhere", "c.jpg": "z/a.png", "up": ".", "w": "z", "z/back": "../.."}
    for name, target in links.items():
        (tmp_path / "root" / name).symlink_to(target)
    found = [path.relative_to(tmp_path / "root") for path in list_images(tmp_path / "root")]
    # What is a folder here is listed by its own name, and nothing twice.
    assert [path.as_posix() for path in found] == ["b/deep/a.png", "c.jpg", "z/a.png"]


def test_images_that_are_passed_over_are_counted_in_one_warning(tmp_path):
    for name in ("a.CR2", "b.cr2", "c.svg", "d.txt", ".e.svg", "f.png"):
        (tmp_path / name).touch()
    warned = pytest.warns(
        UserWarning, match=r"2 files with the ending \.cr2, 1 file with the ending \.svg\.$"
    )
    with warned as record:
        assert [path.name for path in list_images(tmp_path)] == ["f.png"]
    assert len(record) == 1
    assert record[0].filename == __file__


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(NotADirectoryError, match="no folder"):
        list_images(tmp_path / "nowhere")
