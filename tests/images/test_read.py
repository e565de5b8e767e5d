import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.images import ImageReadError, read_image

RED, WHITE = (255, 0, 0), (255, 255, 255)


def _saved(picture, path, **options):
    picture.save(path, **options)
    return path


def test_a_jpeg_is_what_pillow_decodes(photographs):
    with Image.open(photographs[0]) as expected:
        assert np.array_equal(read_image(photographs[0]), expected)
    assert read_image(str(photographs[0])).size == (640, 427)


def test_exif_orientation_is_applied(tmp_path):
    picture = Image.new("RGB", (4, 2), "white")
    picture.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees: the first pixel is at the upper right
    path = _saved(picture, tmp_path / "turned.png", exif=exif)
    upright = read_image(path)
    assert upright.size == (2, 4)
    assert upright.getpixel((1, 0)) == RED


def test_transparency_lies_over_white(tmp_path):
    picture = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    picture.putpixel((1, 0), (255, 0, 0, 255))
    read = read_image(_saved(picture, tmp_path / "alpha.png"))
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [WHITE, RED]


def test_transparent_palette_lies_over_white(tmp_path):
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.putpixel((1, 0), 1)
    path = _saved(picture, tmp_path / "palette.png", transparency=0)
    assert [read_image(path).getpixel((x, 0)) for x in (0, 1)] == [WHITE, RED]


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    path = _saved(Image.fromarray(values), tmp_path / "deep.png")
    expected = [[0, 1, 128, 255]]
    assert np.asarray(read_image(path))[:, :, 0].tolist() == expected
    assert np.asarray(read_image(values))[:, :, 1].tolist() == expected


def test_cmyk_and_first_frame(tmp_path):
    assert read_image(_saved(Image.new("CMYK", (3, 3)), tmp_path / "c.jpg")).getpixel(
        (0, 0)
    ) == pytest.approx(WHITE, abs=2)
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert read_image(path).getpixel((0, 0)) == RED


@pytest.mark.parametrize(
    "array",
    [
        np.full((2, 3), 255, np.uint8),
        np.full((2, 3, 1), 255, np.uint8),
        np.full((2, 3, 3), 255, np.uint8),
        np.full((2, 3, 4), 255, np.uint8),
        np.ones((2, 3), np.float32),
        np.ones((2, 3, 3), np.float64),
        np.full((2, 3), 65535, np.uint16),
    ],
)
def test_arrays_of_every_kind(array):
    picture = read_image(array)
    assert picture.mode == "RGB"
    assert picture.size == (3, 2)
    assert picture.getpixel((2, 1)) == WHITE


def test_a_picture_given_is_not_changed():
    picture = Image.new("LA", (2, 2), (10, 128))
    before = picture.tobytes()
    read_image(picture)
    assert picture.mode == "LA"
    assert picture.tobytes() == before


def _truncated(folder):
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG")
    path = folder / "truncated.jpg"
    path.write_bytes(buffer.getvalue()[:500])
    return path


def _file(name, content):
    def make(folder):
        path = folder / name
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere.jpg", "nowhere.jpg': the file does not exist"),
        (lambda folder: folder, "is a folder"),
        (_file("empty.png", b""), "empty.png': the file is empty"),
        (_file("text.jpg", b"not a picture"), "text.jpg': can't be read"),
        (_truncated, "truncated.jpg': can't be read"),
        (_file("zero\0.jpg".replace("\0", ""), b"\xff\xd8\xff"), "can't be read"),
        (lambda folder: str(folder) + "\0.jpg", "can't be read"),
        (lambda _: np.zeros((5, 4, 2), np.uint8), "shape"),
        (lambda _: np.zeros((0, 4), np.uint8), "no pixels"),
        (lambda _: np.zeros((4, 4), np.int64), "dtype"),
        (lambda _: np.full((4, 4), np.nan), "NaN"),
        (lambda _: np.full((4, 4), 255.0), r"\[0, 1\]"),
        (lambda _: Image.new("F", (4, 4)), "mode F"),
        (lambda _: 7, "int is not an image"),
        (lambda _: None, "NoneType is not an image"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_row(tmp_path, make, message):
    with pytest.raises(ImageReadError, match=rf"(?s)^Image in row 5.*{message}"):
        read_image(make(tmp_path), row=5)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = _saved(Image.new("1", (400, 400)), tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageReadError, match="decompression bomb"):
        read_image(Path(path))
