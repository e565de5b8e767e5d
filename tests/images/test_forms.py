"""Images that are in memory: bytes, open files, PIL images, arrays, tensors; and anything."""

import io
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors

from sklearn_memorability.images import ImageReadError, read_image

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)
SIX = np.array([[BLACK, WHITE, RED], [(0, 255, 0), (0, 0, 255), (200, 100, 50)]], dtype=np.uint8)


def encoded(form="PNG", picture=SIX, **options):
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "six.png"
    path.write_bytes(encoded())
    return path


def pixels(image):
    picture = read_image(image)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def grey(image):
    shown = pixels(image)
    assert (shown == shown[:, :, :1]).all()
    return shown[:, :, 0].tolist()


@pytest.mark.parametrize(
    "form",
    [
        bytes,
        bytearray,
        memoryview,
        lambda content: memoryview(content + b"behind")[: len(content)],
        lambda content: memoryview(bytes(byte for byte in content for _ in "ab"))[::2],
        io.BytesIO,
        lambda content: io.BufferedReader(io.BytesIO(content)),
    ],
)
def test_the_content_of_a_file(form):
    assert (pixels(form(encoded())) == SIX).all()


@pytest.mark.parametrize("buffering", [-1, 0])
def test_an_open_file_is_read_from_its_beginning_and_wound_back(path, buffering):
    with path.open("rb", buffering=buffering) as file:
        file.seek(5)
        assert (pixels(file) == SIX).all()
        assert file.tell() == 0
        assert (pixels(file) == SIX).all()
        assert file.tell() == 0


def test_threads_may_share_an_open_file():
    shared = io.BytesIO(encoded())
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(pixels(shared).tolist())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [SIX.tolist()] * 8


def test_open_files_that_can_not_be_read_are_refused_with_a_hint(path):
    error = pytest.raises(ImageReadError, match=r"six\.png': .*text mode.*'rb'")
    with path.open(encoding="latin-1") as file, error:
        read_image(file)
    with path.open("rb") as file:
        pass
    with pytest.raises(ImageReadError, match=r"six\.png': .*closed file"):
        read_image(file)
    with path.open("ab") as file, pytest.raises(ImageReadError, match=r"six\.png': .*read"):
        read_image(file)
    reading, writing = os.pipe()
    with open(reading, "rb") as stream, open(writing, "wb") as other_end:
        other_end.write(encoded())
        other_end.flush()
        with pytest.raises(ImageReadError, match="^Image in row 1: .*wound back.*as bytes"):
            read_image(stream, row=1)


@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b""), io.BytesIO()])
def test_no_bytes_are_no_picture(empty):
    with pytest.raises(ImageReadError, match=r"^Image in row 0: the content is empty\.$"):
        read_image(empty, row=0)


@pytest.mark.parametrize(
    ("mode", "value", "shown", "within"),
    [
        ("1", 1, WHITE, 0),
        ("L", 7, (7, 7, 7), 0),
        ("LA", (0, 128), (127, 127, 127), 0),
        ("La", (50, 128), (177, 177, 177), 1),  # premultiplied: 50 over half of white
        ("RGBA", (255, 0, 0, 0), WHITE, 0),
        ("RGBa", (128, 0, 0, 128), (255, 127, 127), 1),
        ("RGBX", (255, 0, 0, 9), RED, 0),
        ("CMYK", (0, 255, 255, 0), RED, 0),
        ("YCbCr", (76, 85, 255), RED, 2),
        ("LAB", (138, 209, 198), RED, 6),
        ("HSV", (0, 255, 255), RED, 0),
        ("I", 32896, (128, 128, 128), 0),
        ("I;16", 32896, (128, 128, 128), 0),
        ("I;16B", 32896, (128, 128, 128), 0),
    ],
)
def test_pictures_of_every_mode(mode, value, shown, within):
    picture = Image.new(mode, (3, 2), value)
    before = picture.tobytes()
    read = read_image(picture)
    assert read.mode == "RGB"
    assert read.size == (3, 2)
    assert read.getpixel((2, 1)) == pytest.approx(shown, abs=within)
    assert (picture.mode, picture.tobytes()) == (mode, before)


def test_a_picture_without_pixels_or_closed_is_refused():
    with pytest.raises(ImageReadError, match="no pixels"):
        read_image(Image.new("RGB", (0, 5)))
    closed = Image.new("RGB", (2, 2))
    closed.close()
    with pytest.raises(ImageReadError, match="^Image in row 6: .*closed"):
        read_image(closed, row=6)


def test_a_jpeg_is_what_pillow_decodes(photographs):
    with Image.open(photographs[0]) as expected, Image.open(photographs[0]) as opened:
        assert read_image(opened) == expected
        assert read_image(photographs[0]) == expected
        assert read_image(str(photographs[0])).size == (640, 427)


ODD_ARRAYS = {
    "not contiguous": np.repeat(SIX, 2, axis=1)[:, ::2],
    "backwards": SIX[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran's order": np.asfortranarray(SIX),
    "unit range": SIX / 255,
    "unit range, 16 bits": (SIX / 255).astype(np.float16),
    "16 bits": SIX.astype(np.uint16) * 257,
    "16 bits, big-endian": (SIX.astype(np.uint16) * 257).astype(">u2"),
    "opaque": np.dstack([SIX, np.full((2, 3), 255, np.uint8)]),
    "recarray": SIX.view(np.recarray),
}


@pytest.mark.parametrize("array", ODD_ARRAYS.values(), ids=ODD_ARRAYS)
def test_arrays_show_the_same_however_they_are_kept(array):
    before = array.copy()
    array.flags.writeable = False
    assert (pixels(array) == SIX).all()
    assert (array == before).all()


def test_every_level_of_grey_comes_back():
    levels = np.arange(256, dtype=np.uint8)[None]
    for array in (levels.astype(np.uint16) * 257, levels / 255, (levels / 255).astype("f2")):
        assert (pixels(array)[:, :, 1] == levels).all()


def test_where_both_ends_could_be_channels_the_last_are():
    both = np.zeros((3, 5, 3), np.uint8)
    both[:, :, 0] = 255
    assert read_image(both).size == (5, 3)
    assert read_image(both).getpixel((4, 2)) == RED
    assert read_image(np.zeros((1, 5, 4), np.uint8)).size == (5, 1)
    # A tensor's channels come first instead.
    assert read_image(torch.from_numpy(both)).size == (3, 5)


def test_channels_may_come_first():
    wide = np.hstack([SIX, SIX])
    assert (pixels(np.ascontiguousarray(wide.transpose(2, 0, 1))) == wide).all()
    assert (pixels(wide.transpose(2, 0, 1)) == wide).all()
    assert grey(wide[None, :, :, 0]) == wide[:, :, 0].tolist()


UNFIT = [
    (np.zeros((4, 4), bool), "dtype must be uint8, uint16 or float"),
    (np.zeros((4, 4), np.int64), "dtype must be"),
    (np.array(0, np.uint8), r"shape must be \(height, width\)"),
    (np.zeros(12, np.uint8), "shape must be"),
    (np.zeros((5, 4, 2), np.uint8), "shape must be"),
    (np.zeros((0, 4, 3), np.uint8), "no pixels"),
    (np.full((4, 4), np.nan), "without NaN.*from nan to nan"),
    (np.full((4, 4), -np.inf), r"must lie in \[0, 1\].*from -inf"),
    (np.full((4, 4), 255, np.float32), r"must lie in \[0, 1\].*255"),
    (np.ma.masked_array(SIX, mask=SIX == 255), "masked pixels"),
    (torch.zeros(3, 4, 4, dtype=torch.int64), "dtype must be"),
    (torch.full((3, 4, 4), 2.0, dtype=torch.bfloat16), r"must lie in \[0, 1\].*2\.0"),
    (torch.zeros(2, 5, 5), "shape must be"),
    (torch.zeros(1, 3, 4, 4), "shape must be"),
    (torch.zeros(3, 4, 4).to_sparse(), "can't be read"),
    (torch.zeros(3, 4, 4, device="meta"), "can't be read"),
]


@pytest.mark.parametrize(("array", "reason"), UNFIT)
def test_arrays_and_tensors_that_are_no_pixels(array, reason):
    start = f"Image in row 9 (array of shape {tuple(array.shape)}, dtype {array.dtype}): "
    with pytest.raises(ImageReadError, match=re.escape(start) + ".*" + reason):
        read_image(array, row=9)


# float and the others are made from the pixels of an array with its channels first.
FIRST = torch.from_numpy(np.ascontiguousarray(SIX.transpose(2, 0, 1)))
TENSORS = {
    "uint8": FIRST,
    "uint16": (FIRST.to(torch.int32) * 257).to(torch.uint16),
    "float16": (FIRST / 255).half(),
    "float32": FIRST / 255,
    "with a gradient": (FIRST / 255).requires_grad_(),
    "parameter": torch.nn.Parameter(FIRST / 255),
    "not contiguous": FIRST.repeat_interleave(2, dim=2)[:, :, ::2],
    "strided view": torch.from_numpy(SIX).permute(2, 0, 1),
    "torchvision's": tv_tensors.Image(FIRST),
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_tensors_of_every_kind(tensor):
    assert (pixels(tensor) == SIX).all()


@pytest.mark.parametrize("thing", [None, 7, 1.5, {}, [SIX], object(), torch.nn.Identity()])
def test_what_is_no_image_at_all(thing):
    with pytest.raises(ImageReadError, match=f"row 3: a {type(thing).__name__} is not an image"):
        read_image(thing, row=3)


def test_a_path_of_any_kind(path):
    for kind in (str, Path, np.str_):
        assert (pixels(kind(path)) == SIX).all()
    with pytest.raises(ImageReadError, match=r"^Image, '.*gone\.png': the file does not exist"):
        read_image(path.with_name("gone.png"))
