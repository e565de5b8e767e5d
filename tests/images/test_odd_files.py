"""Files as they turn up among a user's images: odd ones that show something, and damaged ones.

Every row of the tables states what becomes of its file: what the image shows, or why there is
none.
"""

import io
import os
import re
import socket
import struct
import subprocess
import tempfile
import warnings
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import EpsImagePlugin, Image

from sklearn_memorability.images import ImageReadError, read_image

BLACK, WHITE, RED, GREEN, BLUE = (0, 0, 0), (255,) * 3, (255, 0, 0), (0, 255, 0), (0, 0, 255)
IN_NO_FORMAT = "in no format that is read here"
DAMAGED = "can't be read as an image: "
TRUNCATED = DAMAGED + ".*truncated"
BOMB = "decompression bomb"

# Six pixels, all different, so that every way to turn them shows.
SIX = np.array([[BLACK, WHITE, RED], [GREEN, BLUE, (200, 100, 50)]], dtype=np.uint8)
SIX_ROWS = [row.tobytes() for row in SIX]
TURNED = {
    0: SIX,
    1: SIX,
    2: SIX[:, ::-1],
    3: SIX[::-1, ::-1],
    4: SIX[::-1],
    5: SIX.swapaxes(0, 1),
    6: np.rot90(SIX, -1),
    7: SIX[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(SIX, 1),
    9: SIX,
}
# A smooth upper half, which formats keep that lose fine detail, and a lower half of noise,
# which fills the middle of every file.
SLOPE = np.empty((64, 96, 3), np.uint8)
SLOPE[:, :, :2] = np.linspace(0, 255, 96).astype(np.uint8)[:, None]
SLOPE[:, :, 2] = 90
SLOPE[32:] = np.random.default_rng(0).integers(256, size=(32, 96, 3))
GREY_16 = np.array([[0, 257, 32896], [65535, 128, 129]], dtype=np.uint16)
GREY_8 = np.repeat(np.array([[0, 1, 128], [255, 0, 1]], dtype=np.uint8)[:, :, None], 3, axis=2)


@dataclass(frozen=True)
class Shows:
    """An image of this size with these colours at (column, row)."""

    size: tuple
    pixels: dict
    within: int = 0

    def check(self, image):
        assert (image.mode, image.size) == ("RGB", self.size)
        for place, colour in self.pixels.items():
            assert image.getpixel(place) == pytest.approx(colour, abs=self.within), place


def shows(rows, within=0):
    """Expect all pixels of an array, or of a list of rows of colours."""
    rows = np.asarray(rows).tolist()
    pixels = {(x, y): colour for y, row in enumerate(rows) for x, colour in enumerate(row)}
    return Shows((len(rows[0]), len(rows)), pixels, within)


def plain(colour, size=(3, 2), within=0):
    return Shows(size, {(0, 0): colour, (size[0] - 1, size[1] - 1): colour}, within)


SHOWS_SIX = shows(SIX)
SHOWS_SLOPE = Shows((96, 64), {(x, 20): SLOPE[20, x].tolist() for x in (0, 30, 60, 95)}, within=6)
SLOPE_UPSIDE_DOWN = Shows((96, 64), {(0, 63): (255, 255, 90), (95, 63): (0, 0, 90)}, within=6)
UNHURT_CORNER = Shows((96, 64), {(0, 0): (0, 0, 90)}, within=6)


def encoded(image, form, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def six(form="PNG", **options):
    return encoded(SIX, form, **options)


def slope(form="JPEG", **options):
    return encoded(SLOPE, form, **options)


def colour(mode, value, form, size=(3, 2), **options):
    return encoded(Image.new(mode, size, value), form, **options)


def png(width, height, depth, colour_type, rows, *extra):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc(kind + data))

    crc = zlib.crc32
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*given) for given in chunks)


def exif(*entries):
    """Return EXIF data of (tag, type, count, value) entries."""
    listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    start = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    return start + listed + struct.pack("<I", 0)


def turned(value):
    return (0x0112, 3, 1, value)


# A text of 9999 letters far behind the end.
LOST_TEXT = (0x010F, 2, 9999, 50_000)


def tiff(endian, width, height, bits, photometric, sample_format, pixels):
    """Return a TIFF of one uncompressed strip of one channel; endian is that of struct."""
    start = 8 + 2 + 10 * 12 + 4
    # Tag, type (3 is 16 bits, 4 is 32), value.
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1)]
    entries += [(262, 3, photometric), (273, 4, start), (277, 3, 1), (278, 4, height)]
    entries += [(279, 4, len(pixels)), (339, 3, sample_format)]
    result = (b"II*\0" if endian == "<" else b"MM\0*") + struct.pack(endian + "IH", 8, 10)
    for tag, kind, value in entries:
        packed = struct.pack(endian + ("HH" if kind == 3 else "I"), *[value, 0][: 5 - kind])
        result += struct.pack(endian + "HHI", tag, kind, 1) + packed
    return result + struct.pack(endian + "I", 0) + pixels


def animated(form, **options):
    frames = [Image.new("RGB", (3, 2), colour) for colour in (RED, BLUE, GREEN)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)


def palette(**options):
    image = Image.new("P", (3, 1))
    image.putpalette([*BLACK, *RED, *BLUE])
    image.putdata([0, 1, 2])
    return encoded(image, "PNG", **options)


def cut(share, form, **options):
    whole = slope(form, **options)
    return whole[: int(len(whole) * share)]


def flipped(whole, start=None, stop=None):
    """Change all bits of sixteen bytes in the middle, or of those from start to stop."""
    start = len(whole) // 2 if start is None else start
    stop = start + 16 if stop is None else stop
    return whole[:start] + bytes(byte ^ 0xFF for byte in whole[start:stop]) + whole[stop:]


def text_bomb():
    """An image with 64 MiB of text in a few kilobytes."""
    return png(1, 1, 8, 2, [bytes(RED)], (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 26))))


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("image.png", six())
    return buffer.getvalue()


def local_socket(path):
    # The address of a socket holds about 100 bytes, fewer than some folders' names.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


XMP = b'<x tiff:Orientation="3"/>'
SHOWS_TURNED = shows(TURNED[6])

METADATA = [
    *((f"turned-{k}.png", six(exif=exif(turned(k))), shows(v)) for k, v in TURNED.items()),
    ("turn-as-text.png", six(exif=exif((0x0112, 2, 2, ord("6")))), SHOWS_SIX),
    ("turned.jpg", slope(quality=95, exif=exif(turned(3))), SLOPE_UPSIDE_DOWN),
    ("turned.tif", six("TIFF", tiffinfo={0x0112: 6}), SHOWS_TURNED),
    (
        "turned-by-xmp.png",
        png(3, 2, 8, 2, SIX_ROWS, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        shows(TURNED[3]),
    ),
    ("turned-both-ways.jpg", slope(quality=95, exif=exif(turned(3)), xmp=XMP), SLOPE_UPSIDE_DOWN),
    ("noise-for-exif.png", six(exif=b"Exif\0\0 noise \xff\xfe"), SHOWS_SIX),
    ("exif-ends-early.png", six(exif=exif(turned(6))[:-10]), SHOWS_SIX),
    ("exif-with-a-lost-text-after.png", six(exif=exif(turned(6), LOST_TEXT)), SHOWS_TURNED),
    ("exif-with-a-lost-text-before.png", six(exif=exif(LOST_TEXT, turned(6))), SHOWS_TURNED),
    ("bomb-in-text.png", text_bomb(), DAMAGED + "Decompressed data too large"),
]

COLOURS = [
    ("palette.png", palette(), shows([[BLACK, RED, BLUE]])),
    ("palette-clear-index.png", palette(transparency=1), shows([[BLACK, WHITE, BLUE]])),
    (
        "palette-clear-bytes.png",
        palette(transparency=b"\x00\xff\x80"),
        shows([[WHITE, RED, (127, 127, 255)]], within=1),
    ),
    (
        "white-is-zero.tif",
        tiff("<", 3, 1, 8, 0, 1, bytes([0, 255, 10])),
        shows([[WHITE, BLACK, (245, 245, 245)]]),
    ),
    ("white-is-zero-16.tif", tiff("<", 3, 2, 16, 0, 1, GREY_16.tobytes()), shows(255 - GREY_8)),
    ("white-is-zero-16-big.tif", tiff(">", 3, 2, 16, 0, 1, bytes(12)), IN_NO_FORMAT),
    ("white-is-zero-32.tif", tiff("<", 3, 1, 32, 0, 1, bytes(12)), IN_NO_FORMAT),
    (
        "colour-with-clear-value.png",
        png(2, 1, 8, 2, [bytes([*BLUE, *RED])], (b"tRNS", struct.pack(">3H", *RED))),
        shows([[BLUE, WHITE]]),
    ),
    ("grey-16.png", encoded(GREY_16, "PNG"), shows(GREY_8)),
    (
        "grey-16-with-clear-value.png",
        png(3, 1, 16, 0, [struct.pack(">3H", 514, 515, 65535)], (b"tRNS", struct.pack(">H", 515))),
        shows([[(2, 2, 2), WHITE, WHITE]]),
    ),
    ("grey-32.tif", tiff("<", 3, 2, 32, 1, 2, GREY_16.astype("<i4").tobytes()), shows(GREY_8)),
    (
        "grey-32-too-bright.tif",
        tiff("<", 2, 1, 32, 1, 2, struct.pack("<2i", 0, 65536)),
        "values from 0 to 65536 don't fit 16-bit grey",
    ),
    (
        "grey-32-negative.tif",
        tiff("<", 2, 1, 32, 1, 2, struct.pack("<2i", -1, 65535)),
        "values from -1 to 65535 don't fit 16-bit grey",
    ),
    ("float.tif", tiff("<", 1, 1, 32, 1, 3, struct.pack("<f", 0.5)), "mode F has no set range"),
    (
        "colour-16.png",
        png(2, 1, 16, 2, [struct.pack(">6H", 0, 32896, 65535, 257, 0, 514)]),
        shows([[(0, 128, 255), (1, 0, 2)]]),
    ),
    ("colour-alpha-16.png", png(1, 1, 16, 6, [bytes(8)]), shows([[WHITE]])),
]

SHAPES_AND_FORMATS = [
    *(
        (f"six.{form.lower()}", six(form), SHOWS_SIX)
        for form in ("BMP", "DIB", "PPM", "SGI", "TGA")
    ),
    ("packed.tif", six("TIFF", compression="tiff_lzw"), SHOWS_SIX),
    ("lossless.webp", six("WEBP", lossless=True), SHOWS_SIX),
    ("progressive.jpg", slope(progressive=True), SHOWS_SLOPE),
    ("wrong-suffix.jpg", six(), SHOWS_SIX),
    ("no-suffix", six(), SHOWS_SIX),
    *((f"moving.{form.lower()}", animated(form), plain(RED)) for form in ("TIFF", "GIF", "PNG")),
    ("moving.webp", animated("WEBP", lossless=True), plain(RED)),
    ("two-views.mpo", animated("MPO"), plain(RED, within=3)),
    ("one-pixel.png", colour("RGB", BLUE, "PNG", (1, 1)), plain(BLUE, (1, 1))),
    ("long.png", colour("RGB", BLUE, "PNG", (1, 20_000)), plain(BLUE, (1, 20_000))),
    ("wide.png", colour("L", 7, "PNG", (20_000, 1)), plain((7,) * 3, (20_000, 1))),
    ("name\nwith\nlines.png", six(), SHOWS_SIX),
    ("naïve 名前 🖼.png", six(), SHOWS_SIX),
    ("garbage-behind.jpg", slope() + b"\0garbage" * 99, SHOWS_SLOPE),
    ("garbage-behind.png", six() + b"garbage", SHOWS_SIX),
    ("without-its-end-mark.png", six()[:-12], SHOWS_SIX),
]

HALVES = {"JPEG": TRUNCATED, "PNG": TRUNCATED, "GIF": TRUNCATED, "BMP": TRUNCATED}
HALVES |= {"PPM": TRUNCATED, "TGA": TRUNCATED, "WEBP": DAMAGED, "TIFF": DAMAGED, "ICO": DAMAGED}
HEADERS = {"JPEG": 20, "PNG": 33, "GIF": 13, "WEBP": 12, "BMP": 54, "TIFF": 200}
BMP_OF_60000 = struct.pack("<IIIIiiHH6I", 60, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6)

DAMAGED_FILES = [
    *((f"half.{form.lower()}", cut(0.5, form), reason) for form, reason in HALVES.items()),
    ("most.jpeg", cut(0.97, "JPEG"), TRUNCATED),
    *((f"header-only.{form.lower()}", slope(form)[:n], DAMAGED) for form, n in HEADERS.items()),
    ("flipped.png", flipped(slope("PNG")), DAMAGED),
    ("flipped.jpg", flipped(slope()), UNHURT_CORNER),
    ("flipped.bmp", flipped(slope("BMP")), SHOWS_SLOPE),
    ("flipped.webp", flipped(slope("WEBP", lossless=True)), UNHURT_CORNER),
    ("wrong-checksum.png", flipped(six(), 29, 30), DAMAGED),
    ("60000.png", png(60_000, 60_000, 8, 2, [bytes(100)]), "3600000000 pixels.*" + BOMB),
    ("60000.tif", tiff("<", 60_000, 60_000, 8, 1, 1, b"\0"), BOMB),
    ("60000.bmp", b"BM" + BMP_OF_60000, BOMB),
    ("claims-5000.png", png(5_000, 5_000, 8, 2, [bytes(100)]), TRUNCATED),
    ("claims-nothing.png", png(0, 7, 8, 2, [bytes(100)]), DAMAGED),
    ("empty.jpg", b"", "the file is empty"),
    ("zeros.jpg", bytes(5000), IN_NO_FORMAT),
    ("page.jpg", b"<!DOCTYPE html><html><head><title>404</title></head></html>", IN_NO_FORMAT),
    ("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', IN_NO_FORMAT),
    ("paper.pdf", six("PDF"), IN_NO_FORMAT),
    ("figure.eps", six("EPS"), IN_NO_FORMAT),
    ("figure.jpg", b"%!PS-Adobe-3.0\n0 0 moveto showpage\n", IN_NO_FORMAT),
    ("images.zip", zipped(), IN_NO_FORMAT),
    ("a-folder.jpg", Path.mkdir, "is a folder"),
    ("nowhere.jpg", None, "the file does not exist"),
    ("to-nowhere.jpg", lambda path: path.symlink_to("gone.jpg"), "the file does not exist"),
    ("large.bmp", lambda path: (path.touch(), os.truncate(path, 2**30 + 1)), "has more than 1 GiB"),
]

POSIX_FILES = [
    ("a-pipe.jpg", lambda path: os.mkfifo(path), "not a regular file"),
    ("a-device.jpg", lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    ("a-socket.jpg", local_socket, "not a regular file"),
    ("to-itself.jpg", lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ("x" * 300 + ".jpg", None, "can't be read: File name too long"),
]

FILES = METADATA + COLOURS + SHAPES_AND_FORMATS + DAMAGED_FILES
if os.name == "posix":
    FILES += POSIX_FILES
OLD_PILLOW = int(PIL.__version__.partition(".")[0]) < 13
needs_pillow_13 = pytest.mark.skipif(OLD_PILLOW, reason="Pillow before 13 reads it otherwise")
NEED_PILLOW_13 = {"exif-with-a-lost-text-before.png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder with all files."""
    folder = tmp_path_factory.mktemp("odd")
    for name, content, _ in FILES:
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        elif content is not None:
            content(folder / name)
    return folder


def rows(kind):
    marks = {name: [needs_pillow_13] for name in NEED_PILLOW_13}
    return pytest.mark.parametrize(
        ("name", "expected"),
        [
            pytest.param(name, expected, id=ascii(name[:40]), marks=marks.get(name, []))
            for name, _, expected in FILES
            if isinstance(expected, kind)
        ],
    )


@rows(Shows)
def test_what_a_readable_file_shows(folder, name, expected):
    image = read_image(folder / name)
    expected.check(image)
    # What was read is upright, and stays so when it is read again.
    assert read_image(image) == image
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
        with Image.open(folder / name) as opened:
            expected.check(read_image(opened))


@rows(str)
def test_why_a_file_shows_nothing(folder, name, expected):
    path = folder / name
    with pytest.raises(ImageReadError) as raised:
        read_image(path, row=7)
    start = f"Image in row 7, {str(path)!r}: "
    assert str(raised.value).startswith(start)
    assert re.search(expected, str(raised.value).removeprefix(start))
    assert (raised.value.row, raised.value.path) == (7, str(path))


@pytest.mark.parametrize("name", ["half.jpeg", "half.gif", "flipped.png"])
def test_a_damaged_file_that_pillow_has_opened_is_named(folder, name):
    with Image.open(folder / name) as opened, pytest.raises(ImageReadError) as raised:
        read_image(opened, row=3)
    assert str(raised.value).startswith(f"Image in row 3, {str(folder / name)!r}: can't be read")


def test_postscript_starts_no_other_program(folder, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess.Popen, "__init__", lambda *_, **__: started.append("Popen"))
    monkeypatch.setattr(os, "system", started.append)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append("gs"))
    eps = folder / "figure.eps"
    for image in (eps, eps.read_bytes(), folder / "figure.jpg", folder / "paper.pdf"):
        with pytest.raises(ImageReadError, match=IN_NO_FORMAT):
            read_image(image)
    assert started == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are POSIX's")
def test_a_file_without_permission_to_read_it(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(six())
    read_image(path)  # all that is imported on the way is there
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything, so be nobody for a moment
        try:
            os.seteuid(65534)
        except OSError:
            pytest.skip("root that can't become another user")
    try:
        with pytest.raises(ImageReadError, match=r"secret\.png'.*permission denied"):
            read_image(path)
    finally:
        os.seteuid(user)


def test_a_null_character_in_a_name(tmp_path):
    with pytest.raises(ImageReadError, match=r"row 2, .*a\\x00b\.png'.*null"):
        read_image(str(tmp_path / "a\0b.png"), row=2)


def test_a_large_image_is_read_and_a_warning_left_to_the_user(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    path.write_bytes(six())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # up to 8, Pillow only warns
    SHOWS_SIX.check(read_image(path))  # in spite of warnings being errors here
    with pytest.warns(Image.DecompressionBombWarning):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(ImageReadError, match=BOMB):
        read_image(path)


def test_what_was_turned_is_not_turned_again_from_a_file(folder, tmp_path):
    upright = read_image(folder / "turned-6.png")
    upright.save(tmp_path / "again.png", exif=upright.getexif())
    SHOWS_TURNED.check(read_image(tmp_path / "again.png"))


@needs_pillow_13
def test_threads_may_read_damaged_metadata_at_the_same_time(folder):
    paths = [folder / "exif-with-a-lost-text-before.png", folder / "turned-6.png"] * 20
    filters = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for image in pool.map(read_image, paths):
            SHOWS_TURNED.check(image)
    assert warnings.filters == filters
