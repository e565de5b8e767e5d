"""Files as they turn up among a user's pictures: odd ones that show something, and damaged ones.

Every row of the corpus states what becomes of its file: what the picture shows, or why
there is none.
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
from sklearn_memorability.images._read import ImageContent

BLACK, WHITE, RED, GREEN, BLUE = (0, 0, 0), (255,) * 3, (255, 0, 0), (0, 255, 0), (0, 0, 255)
IN_NO_FORMAT = "in no format that is read here"
DAMAGED = "can't be read as an image: "

# Six pixels, all different, so that every way to turn them shows.
SIX = np.array(
    [[BLACK, WHITE, RED], [GREEN, BLUE, (200, 100, 50)]],
    dtype=np.uint8,
)
SIX_TURNED = {
    1: SIX,
    2: SIX[:, ::-1],
    3: SIX[::-1, ::-1],
    4: SIX[::-1],
    5: SIX.swapaxes(0, 1),
    6: np.rot90(SIX, -1),
    7: SIX[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(SIX, 1),
}
# A smooth upper half, which formats keep that lose fine detail, and a lower half of
# noise, which fills the middle of every file.
SLOPE = np.empty((64, 96, 3), np.uint8)
SLOPE[:, :, :2] = np.linspace(0, 255, 96).astype(np.uint8)[:, None]
SLOPE[:, :, 2] = 90
SLOPE[32:] = np.random.default_rng(0).integers(256, size=(32, 96, 3))


@dataclass(frozen=True)
class Shows:
    """A picture of this size with these colours at (column, row)."""

    size: tuple
    pixels: dict
    within: int = 0

    def check(self, picture):
        assert picture.mode == "RGB"
        assert picture.size == self.size
        assert self.pixels
        for place, colour in self.pixels.items():
            assert picture.getpixel(place) == pytest.approx(colour, abs=self.within), place


@dataclass(frozen=True)
class Refused:
    """No picture, for a reason that matches this pattern."""

    reason: str


def shows(pixels, within=0):
    """Expect all pixels of an array."""
    height, width = pixels.shape[:2]
    places = [(x, y) for y in range(height) for x in range(width)]
    return Shows((width, height), {(x, y): tuple(pixels[y, x].tolist()) for x, y in places}, within)


def plain(colour, size=(3, 2), within=0):
    corners = {(0, 0): colour, (size[0] - 1, size[1] - 1): colour}
    return Shows(size, corners, within)


def encoded(picture, form, **options):
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def saved(picture, form, **options):
    return lambda path: path.write_bytes(encoded(picture, form, **options))


def content(make, *arguments, **options):
    """Write the bytes that a function gives for these arguments, or bytes themselves."""
    return lambda path: path.write_bytes(
        make(*arguments, **options) if callable(make) else bytes(make)
    )


def png_chunk(kind, data):
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(width, height, depth, colour_type, rows, *extra):
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            *(png_chunk(kind, data) for kind, data in extra),
            png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
            png_chunk(b"IEND", b""),
        ]
    )


def interlaced_png():
    """Adam7: the six pixels of SIX, in the order of the seven passes."""
    passes = [SIX[0, 0:1], SIX[0, 2:3], SIX[0, 1:2], SIX[1]]
    lines = b"".join(b"\0" + part.tobytes() for part in passes)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 1)),
            png_chunk(b"IDAT", zlib.compress(lines)),
            png_chunk(b"IEND", b""),
        ]
    )


def exif(*entries, header=b"II*\0\x08\0\0\0"):
    """Return EXIF data of (tag, type, count, value) entries."""
    listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"Exif\0\0" + header + struct.pack("<H", len(entries)) + listed + struct.pack("<I", 0)


def turned(value):
    return (0x0112, 3, 1, value)


# A text of 9999 letters far behind the end.
LOST_TEXT = (0x010F, 2, 9999, 50_000)


def tiff(endian, width, height, bits, samples, photometric, sample_format, pixels):
    """Return a TIFF of one uncompressed strip; endian is that of struct."""
    start = 8 + 2 + 10 * 12 + 4
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, start),
        (277, 3, samples),
        (278, 4, height),
        (279, 4, len(pixels)),
        (339, 3, sample_format),
    ]
    mark = b"II*\0" if endian == "<" else b"MM\0*"
    result = mark + struct.pack(endian + "IH", 8, len(entries))
    for tag, kind, value in entries:
        packed = struct.pack(endian + ("HH" if kind == 3 else "I"), *[value, 0][: 5 - kind])
        result += struct.pack(endian + "HHI", tag, kind, 1) + packed
    return result + struct.pack(endian + "I", 0) + pixels


def gif_with_a_small_frame():
    """A white canvas of 4 x 4 whose one frame is 2 x 2 red pixels at (1, 1)."""
    palette = bytes([*WHITE, *RED, *GREEN, *BLUE])
    codes = [4, 1, 1, 4, 1, 1, 5]  # 4 clears the table so that codes stay 3 bits wide
    packed = sum(code << 3 * place for place, code in enumerate(codes)).to_bytes(3, "little")
    return b"".join(
        [
            b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x81, 0, 0) + palette,
            b"," + struct.pack("<HHHHB", 1, 1, 2, 2, 0),
            bytes([2, len(packed)]) + packed + b"\0;",
        ]
    )


def animated(form, **options):
    frames = [Image.new("RGB", (3, 2), colour) for colour in (RED, BLUE, GREEN)]
    return encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)


def palette_picture(transparency=None):
    picture = Image.new("P", (3, 2))
    picture.putpalette([*BLACK, *RED, *BLUE])
    picture.putdata([0, 1, 2, 2, 1, 0])
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(picture, "PNG", **options)


def cmyk_jpeg(with_adobe_marker):
    """Cyan, as a JPEG; Adobe's programs store CMYK inverted, and so does everyone."""
    whole = encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95)
    start = whole.index(b"\xff\xee")
    if with_adobe_marker:
        assert whole[start + 4 : start + 9] == b"Adobe"
        return whole
    length = struct.unpack(">H", whole[start + 2 : start + 4])[0]
    return whole[:start] + whole[start + 2 + length :]


def photograph(form="JPEG", **options):
    return encoded(SLOPE, form, **options)


def part(form, share, **options):
    whole = photograph(form, **options)
    return whole[: int(len(whole) * share)]


def flipped(form, **options):
    """Sixteen bytes in the middle, each with all its bits the other way."""
    whole = bytearray(photograph(form, **options))
    middle = len(whole) // 2
    for place in range(middle, middle + 16):
        whole[place] ^= 0xFF
    return whole


def raw_tiff_cut():
    return encoded(SLOPE, "TIFF")[:200]


def text_bomb():
    """A picture with 64 MiB of text in a few kilobytes."""
    text = b"Comment\0\0" + zlib.compress(bytes(1 << 26))
    return png(1, 1, 8, 2, [bytes(RED)], (b"zTXt", text))


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("picture.png", encoded(SIX, "PNG"))
    return buffer.getvalue()


def damaged_checksum():
    whole = bytearray(encoded(SIX, "PNG"))
    whole[whole.index(b"IHDR") + 14] ^= 1
    return whole


def apng_with_wrong_count():
    """An animation that claims no frames; the still picture in it is whole."""
    return png(3, 2, 8, 2, [row.tobytes() for row in SIX], (b"acTL", struct.pack(">II", 0, 0)))


def looping_link(path):
    path.symlink_to(path)


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def local_socket(path):
    # The address of a socket holds about 100 bytes, fewer than some folders' names.
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/s")
        os.rename(f"{short}/s", path)


def claims(width, height):
    return png(width, height, 8, 2, [b"\0" * 100])


GREY_16 = np.array([[0, 257, 32896], [65535, 128, 129]], dtype=np.uint16)
GREY_8 = np.repeat(np.array([[0, 1, 128], [255, 0, 1]], dtype=np.uint8)[:, :, None], 3, axis=2)
SLOPE_SHOWN = Shows(
    (96, 64),
    {(x, 20): tuple(SLOPE[20, x].tolist()) for x in (0, 30, 60, 95)},
    within=6,
)
UPSIDE_DOWN = Shows(
    (96, 64),
    {(0, 63): (255, 255, 90), (95, 63): (0, 0, 90), (65, 43): SLOPE_SHOWN.pixels[30, 20]},
    within=6,
)
UNHURT_CORNER = Shows((96, 64), {(0, 0): (0, 0, 90)}, within=6)

TURNED = [
    (f"turned-{value}.png", saved(SIX, "PNG", exif=exif(turned(value))), shows(expected))
    for value, expected in SIX_TURNED.items()
]

METADATA = [
    ("turn-0.png", saved(SIX, "PNG", exif=exif(turned(0))), shows(SIX)),
    ("turn-9.png", saved(SIX, "PNG", exif=exif(turned(9))), shows(SIX)),
    ("turn-255.png", saved(SIX, "PNG", exif=exif(turned(255))), shows(SIX)),
    (
        "turn-as-text.png",
        saved(SIX, "PNG", exif=exif((0x0112, 2, 2, ord("6")))),
        shows(SIX),
    ),
    (
        "turned.jpg",
        saved(SLOPE, "JPEG", quality=95, exif=exif(turned(3))),
        UPSIDE_DOWN,
    ),
    ("turned.tif", saved(SIX, "TIFF", tiffinfo={0x0112: 6}), shows(SIX_TURNED[6])),
    (
        "turned.webp",
        saved(SIX, "WEBP", lossless=True, exif=exif(turned(8))),
        shows(SIX_TURNED[8]),
    ),
    (
        "turned-by-xmp.png",
        content(
            png,
            3,
            2,
            8,
            2,
            [row.tobytes() for row in SIX],
            (b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="3"/>'),
        ),
        shows(SIX_TURNED[3]),
    ),
    (
        "turned-in-both-ways-of-saying.jpg",
        saved(
            SLOPE,
            "JPEG",
            quality=95,
            exif=exif(turned(3)),
            xmp=b'<x tiff:Orientation="3"/>',
        ),
        UPSIDE_DOWN,
    ),
    ("noise-for-exif.png", saved(SIX, "PNG", exif=b"Exif\0\0 noise \xff\xfe"), shows(SIX)),
    ("no-exif-behind-its-name.jpg", saved(SLOPE, "JPEG", exif=b"Exif\0\0"), SLOPE_SHOWN),
    ("exif-ends-early.png", saved(SIX, "PNG", exif=exif(turned(6))[:-10]), shows(SIX)),
    (
        "exif-with-a-lost-text-after.png",
        saved(SIX, "PNG", exif=exif(turned(6), LOST_TEXT)),
        shows(SIX_TURNED[6]),
    ),
    (
        "exif-with-a-lost-text-before.png",
        saved(SIX, "PNG", exif=exif(LOST_TEXT, turned(6))),
        shows(SIX_TURNED[6]),
    ),
    (
        "exif-of-unknown-type.png",
        saved(SIX, "PNG", exif=exif((0x010F, 77, 1, 0), turned(6))),
        shows(SIX_TURNED[6]),
    ),
    (
        "exif-points-at-itself.png",
        saved(SIX, "PNG", exif=exif(turned(6), (0x8769, 4, 1, 8), (0x8825, 4, 1, 8))),
        shows(SIX_TURNED[6]),
    ),
    (
        "exif-of-numbers-for-text.png",
        saved(SIX, "PNG", exif=exif(turned(6), (0x010F, 12, 1, 8), (0x013B, 10, 1, 8))),
        shows(SIX_TURNED[6]),
    ),
    ("icc-is-noise.png", saved(SIX, "PNG", icc_profile=b"no profile"), shows(SIX)),
    ("apng-of-no-frames.png", content(apng_with_wrong_count), shows(SIX)),
    ("bomb-in-text.png", content(text_bomb), Refused(DAMAGED + "Decompressed data too large")),
]

COLOURS = [
    ("palette.png", content(palette_picture), plain(BLACK, within=0)),
    (
        "palette-clear-index.png",
        content(palette_picture, 1),
        Shows((3, 2), {(0, 0): BLACK, (1, 0): WHITE, (2, 0): BLUE, (1, 1): WHITE}),
    ),
    (
        "palette-clear-bytes.png",
        content(palette_picture, b"\x00\xff\x80"),
        Shows((3, 2), {(0, 0): WHITE, (1, 0): RED, (2, 0): (127, 127, 255)}, within=1),
    ),
    ("one-bit.png", saved(Image.new("1", (3, 2), 1), "PNG"), plain(WHITE)),
    (
        "one-bit.tif",
        content(tiff, "<", 3, 2, 1, 1, 1, 1, b"\xa0\x40"),
        Shows((3, 2), {(0, 0): WHITE, (1, 0): BLACK, (0, 1): BLACK, (1, 1): WHITE}),
    ),
    (
        "white-is-zero.tif",
        content(tiff, "<", 3, 2, 8, 1, 0, 1, bytes([0, 255, 10, 0, 0, 0])),
        Shows((3, 2), {(0, 0): WHITE, (1, 0): BLACK, (2, 0): (245, 245, 245)}),
    ),
    ("grey-alpha.png", saved(Image.new("LA", (3, 2), (0, 128)), "PNG"), plain((127,) * 3)),
    ("colour-alpha.png", saved(Image.new("RGBA", (3, 2), (*RED, 0)), "PNG"), plain(WHITE)),
    (
        "grey-with-clear-value.png",
        content(png, 2, 1, 8, 0, [b"\x00\x07"], (b"tRNS", b"\0\x07")),
        Shows((2, 1), {(0, 0): BLACK, (1, 0): WHITE}),
    ),
    (
        "colour-with-clear-value.png",
        content(png, 2, 1, 8, 2, [bytes([*BLUE, *RED])], (b"tRNS", struct.pack(">3H", *RED))),
        Shows((2, 1), {(0, 0): BLUE, (1, 0): WHITE}),
    ),
    ("grey-16.png", saved(Image.fromarray(GREY_16), "PNG"), shows(GREY_8)),
    (
        "grey-16-with-clear-value.png",
        content(
            png,
            3,
            1,
            16,
            0,
            [struct.pack(">3H", 514, 515, 65535)],
            (b"tRNS", struct.pack(">H", 515)),
        ),
        Shows((3, 1), {(0, 0): (2, 2, 2), (1, 0): WHITE, (2, 0): WHITE}),
    ),
    (
        "grey-16-big-endian.tif",
        content(tiff, ">", 3, 2, 16, 1, 1, 1, GREY_16.astype(">u2").tobytes()),
        shows(GREY_8),
    ),
    (
        "grey-16-little-endian.tif",
        content(tiff, "<", 3, 2, 16, 1, 1, 1, GREY_16.astype("<u2").tobytes()),
        shows(GREY_8),
    ),
    (
        "grey-32.tif",
        content(tiff, "<", 3, 2, 32, 1, 1, 2, GREY_16.astype("<i4").tobytes()),
        shows(GREY_8),
    ),
    (
        "grey-32-too-bright.tif",
        content(tiff, "<", 2, 1, 32, 1, 1, 2, struct.pack("<2i", 0, 65536)),
        Refused("values from 0 to 65536 don't fit 16-bit grey"),
    ),
    (
        "grey-32-negative.tif",
        content(tiff, "<", 2, 1, 32, 1, 1, 2, struct.pack("<2i", -1, 65535)),
        Refused("values from -1 to 65535 don't fit 16-bit grey"),
    ),
    (
        "float.tif",
        content(tiff, "<", 2, 1, 32, 1, 1, 3, struct.pack("<2f", 0.0, 1.0)),
        Refused("mode F has no set range of values"),
    ),
    (
        "colour-16.png",
        content(png, 2, 1, 16, 2, [struct.pack(">6H", 0, 32896, 65535, 257, 0, 514)]),
        Shows((2, 1), {(0, 0): (0, 128, 255), (1, 0): (1, 0, 2)}),
    ),
    (
        "colour-alpha-16.png",
        content(png, 1, 1, 16, 6, [struct.pack(">4H", 0, 0, 0, 0)]),
        Shows((1, 1), {(0, 0): WHITE}),
    ),
    ("cmyk-adobe.jpg", content(cmyk_jpeg, True), plain((0, 255, 255), (16, 16), within=3)),
    ("cmyk-no-adobe.jpg", content(cmyk_jpeg, False), plain((0, 255, 255), (16, 16), within=3)),
    ("cmyk.tif", saved(Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "TIFF"), plain(RED)),
    (
        "ycbcr.tif",
        saved(Image.new("YCbCr", (3, 2), (76, 85, 255)), "TIFF"),
        plain(RED, within=2),
    ),
    ("lab.tif", saved(Image.new("LAB", (3, 2), (255, 128, 128)), "TIFF"), plain(WHITE, within=2)),
]

SHAPES_AND_FORMATS = [
    ("bitmap.bmp", saved(SIX, "BMP"), shows(SIX)),
    ("bitmap-without-header.dib", saved(SIX, "DIB"), shows(SIX)),
    ("old.pcx", saved(SIX, "PCX"), shows(SIX)),
    ("plain.ppm", saved(SIX, "PPM"), shows(SIX)),
    (
        "by-hand.ppm",
        content(b"P3 # made by hand\n2 1\n255\n255 0 0  0 0 255\n"),
        Shows((2, 1), {(0, 0): RED, (1, 0): BLUE}),
    ),
    ("silicon.sgi", saved(SIX, "SGI"), shows(SIX)),
    ("target.tga", saved(SIX, "TGA"), shows(SIX)),
    ("packed.tif", saved(SIX, "TIFF", compression="tiff_lzw"), shows(SIX)),
    ("lossless.webp", saved(SIX, "WEBP", lossless=True), shows(SIX)),
    ("interlaced.png", content(interlaced_png), shows(SIX)),
    ("progressive.jpg", content(photograph, progressive=True), SLOPE_SHOWN),
    ("wrong-suffix.jpg", saved(SIX, "PNG"), shows(SIX)),
    ("no-suffix", saved(SIX, "PNG"), shows(SIX)),
    ("several-pages.tif", content(animated, "TIFF"), plain(RED)),
    ("moving.gif", content(animated, "GIF"), plain(RED)),
    ("moving.png", content(animated, "PNG"), plain(RED)),
    ("moving.webp", content(animated, "WEBP", lossless=True), plain(RED)),
    ("two-views.mpo", content(animated, "MPO"), plain(RED, within=3)),
    (
        "small-first-frame.gif",
        content(gif_with_a_small_frame),
        Shows((4, 4), {(0, 0): WHITE, (1, 1): RED, (2, 2): RED, (3, 3): WHITE}),
    ),
    (
        "icon.ico",
        saved(Image.new("RGB", (64, 64), RED), "ICO", sizes=[(16, 16), (48, 48)]),
        plain(RED, (48, 48)),
    ),
    ("one-pixel.png", saved(Image.new("RGB", (1, 1), BLUE), "PNG"), plain(BLUE, (1, 1))),
    ("long.png", saved(Image.new("RGB", (1, 20_000), BLUE), "PNG"), plain(BLUE, (1, 20_000))),
    ("wide.png", saved(Image.new("L", (20_000, 1), 7), "PNG"), plain((7,) * 3, (20_000, 1))),
    ("name\nwith\nlines.png", saved(SIX, "PNG"), shows(SIX)),
    ("naïve 名前 🖼.png", saved(SIX, "PNG"), shows(SIX)),
    ("garbage-behind.jpg", content(lambda: photograph() + b"\0garbage" * 99), SLOPE_SHOWN),
    ("garbage-behind.png", content(lambda: encoded(SIX, "PNG") + b"garbage"), shows(SIX)),
    ("without-its-end-mark.png", content(lambda: encoded(SIX, "PNG")[:-12]), shows(SIX)),
]

DAMAGED_FILES = [
    ("half.jpg", content(part, "JPEG", 0.5), Refused(DAMAGED + ".*truncated")),
    (
        "half-progressive.jpg",
        content(part, "JPEG", 0.5, progressive=True),
        Refused(DAMAGED + ".*truncated"),
    ),
    ("most.jpg", content(part, "JPEG", 0.97), Refused(DAMAGED + ".*truncated")),
    ("half.png", content(part, "PNG", 0.5), Refused(DAMAGED + ".*truncated")),
    ("half.gif", content(part, "GIF", 0.5), Refused(DAMAGED + ".*truncated")),
    ("half.webp", content(part, "WEBP", 0.5), Refused(DAMAGED)),
    ("half.tif", content(part, "TIFF", 0.5), Refused(DAMAGED)),
    ("half-lzw.tif", content(part, "TIFF", 0.5, compression="tiff_lzw"), Refused(DAMAGED)),
    ("half.bmp", content(part, "BMP", 0.5), Refused(DAMAGED + ".*truncated")),
    ("half.ppm", content(part, "PPM", 0.5), Refused(DAMAGED + ".*truncated")),
    ("half.tga", content(part, "TGA", 0.5), Refused(DAMAGED + ".*truncated")),
    ("half.ico", content(part, "ICO", 0.5), Refused(DAMAGED)),
    ("pixels-missing.tif", content(raw_tiff_cut), Refused(DAMAGED)),
    ("header-only.jpg", content(lambda: photograph()[:20]), Refused(DAMAGED)),
    ("header-only.png", content(lambda: photograph("PNG")[:33]), Refused(DAMAGED)),
    ("header-only.gif", content(lambda: photograph("GIF")[:13]), Refused(DAMAGED)),
    ("header-only.webp", content(lambda: photograph("WEBP")[:12]), Refused(DAMAGED)),
    ("header-only.bmp", content(lambda: photograph("BMP")[:54]), Refused(DAMAGED + ".*truncated")),
    ("flipped.png", content(flipped, "PNG"), Refused(DAMAGED)),
    ("flipped.jpg", content(flipped, "JPEG"), UNHURT_CORNER),
    ("flipped.bmp", content(flipped, "BMP"), SLOPE_SHOWN),
    ("flipped.webp", content(flipped, "WEBP", lossless=True), UNHURT_CORNER),
    ("wrong-checksum.png", content(damaged_checksum), Refused(DAMAGED)),
    (
        "claims-60000.png",
        content(claims, 60_000, 60_000),
        Refused("3600000000 pixels.*decompression bomb"),
    ),
    ("claims-5000.png", content(claims, 5_000, 5_000), Refused(DAMAGED + ".*truncated")),
    ("claims-nothing.png", content(claims, 0, 7), Refused(DAMAGED)),
    (
        "claims-60000.tif",
        content(tiff, "<", 60_000, 60_000, 8, 1, 1, 1, b"\0"),
        Refused("decompression bomb"),
    ),
    (
        "claims-60000.bmp",
        content(b"BM" + struct.pack("<IIIIiiHH6I", 60, 0, 54, 40, 60_000, 60_000, 1, 24, *[0] * 6)),
        Refused("decompression bomb"),
    ),
    ("empty.jpg", content(b""), Refused("the file is empty")),
    ("white-space.jpg", content(b" \n\t \r\n" * 50), Refused(IN_NO_FORMAT)),
    ("zeros.jpg", content(bytes(5000)), Refused(IN_NO_FORMAT)),
    (
        "page.jpg",
        content(b"<!DOCTYPE html><html><head><title>404</title></head></html>"),
        Refused(IN_NO_FORMAT),
    ),
    (
        "drawing.svg",
        content(b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>'),
        Refused(IN_NO_FORMAT),
    ),
    ("paper.pdf", saved(SIX, "PDF"), Refused(IN_NO_FORMAT)),
    ("figure.eps", saved(SIX, "EPS"), Refused(IN_NO_FORMAT)),
    ("figure.jpg", content(b"%!PS-Adobe-3.0\n0 0 moveto showpage\n"), Refused(IN_NO_FORMAT)),
    ("pictures.zip", content(zipped), Refused(IN_NO_FORMAT)),
    ("numbers.npy", content(b"\x93NUMPY\x01\0v\0{'descr': '<f8'"), Refused(IN_NO_FORMAT)),
    ("a-pipe.jpg", pipe, Refused("not a regular file")),
    ("a-device.jpg", device, Refused("not a regular file")),
    ("a-socket.jpg", local_socket, Refused("not a regular file")),
    ("a-folder.jpg", Path.mkdir, Refused("is a folder")),
    ("nowhere.jpg", lambda path: None, Refused("the file does not exist")),
    (
        "to-nowhere.jpg",
        lambda path: path.symlink_to("gone.jpg"),
        Refused("the file does not exist"),
    ),
    ("to-itself.jpg", looping_link, Refused("can't be read: Too many levels of symbolic links")),
    (
        "lines\nin\nits\nname.jpg",
        lambda path: None,
        Refused("the file does not exist"),
    ),
    ("x" * 300 + ".jpg", lambda path: None, Refused("can't be read: File name too long")),
]

CORPUS = TURNED + METADATA + COLOURS + SHAPES_AND_FORMATS + DAMAGED_FILES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder with all files of the corpus."""
    folder = tmp_path_factory.mktemp("odd")
    for name, make, _ in CORPUS:
        make(folder / name)
    return folder


needs_pillow_13 = pytest.mark.skipif(
    int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow before 13 reads it otherwise"
)
NEED_PILLOW_13 = {"exif-with-a-lost-text-before.png", "old.pcx", "ycbcr.tif"}


def rows(kind):
    return pytest.mark.parametrize(
        ("name", "expected"),
        [
            pytest.param(
                name,
                expected,
                id=ascii(name[:40]),
                marks=[needs_pillow_13] if name in NEED_PILLOW_13 else [],
            )
            for name, _, expected in CORPUS
            if isinstance(expected, kind)
        ],
    )


@rows(Shows)
def test_what_a_readable_file_shows(folder, name, expected):
    picture = read_image(folder / name)
    expected.check(picture)
    # What was read is upright, and stays so when it is read again.
    assert read_image(picture) == picture


@rows(Shows)
def test_a_file_that_pillow_has_opened_shows_the_same(folder, name, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata; users may see them
        with Image.open(folder / name) as opened:
            expected.check(read_image(opened))


@rows(Refused)
def test_why_a_file_shows_nothing(folder, name, expected):
    path = folder / name
    with pytest.raises(ImageReadError) as raised:
        read_image(path, row=7)
    start = f"Image in row 7, {str(path)!r}: "
    assert str(raised.value).startswith(start)
    assert re.search(expected.reason, str(raised.value).removeprefix(start))


@pytest.mark.parametrize("name", ["half.jpg", "half.gif", "flipped.png"])
def test_a_damaged_file_that_pillow_has_opened_is_named(folder, name):
    path = folder / name
    with (
        Image.open(path) as opened,
        pytest.raises(ImageReadError, match="(?i)can't be read") as raised,
    ):
        read_image(opened, row=3)
    assert str(raised.value).startswith(f"Image in row 3, {str(path)!r}: ")


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


def test_a_file_without_permission_to_read_it(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(SIX, "PNG"))
    read_image(path)  # all that is imported on the way is there
    path.chmod(0)
    nobody = 65534
    user = os.geteuid()
    if user == 0:  # root may read everything, so be somebody else for a moment
        try:
            os.seteuid(nobody)
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


def test_a_file_too_large_for_a_picture_is_not_read(tmp_path):
    path = tmp_path / "large.bmp"
    with path.open("wb") as file:
        file.truncate((1 << 30) + 1)  # takes no room on the disk
    with pytest.raises(ImageReadError, match=r"large\.bmp': has more than 1 GiB"):
        read_image(path)


def test_a_large_picture_is_read_and_a_warning_left_to_the_user(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    path.write_bytes(encoded(SIX, "PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)  # up to 8, Pillow only warns
    shows(SIX).check(read_image(path))  # in spite of warnings being errors here
    with pytest.warns(Image.DecompressionBombWarning):
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2)
    with pytest.raises(ImageReadError, match="decompression bomb"):
        read_image(path)


def test_what_was_turned_is_not_turned_again_from_a_file(folder, tmp_path):
    upright = read_image(folder / "turned-6.png")
    upright.save(tmp_path / "again.png", exif=upright.getexif())
    shows(SIX_TURNED[6]).check(read_image(tmp_path / "again.png"))


def test_a_file_that_changes_is_what_it_was_when_it_was_read(tmp_path):
    path = tmp_path / "changing.png"
    path.write_bytes(encoded(SIX, "PNG"))
    content = ImageContent(path)
    path.write_bytes(b"")
    shows(SIX).check(content.rgb())
    assert content.digest() == ImageContent(encoded(SIX, "PNG")).digest()


@needs_pillow_13
def test_threads_may_read_damaged_metadata_at_the_same_time(folder):
    paths = [folder / "exif-with-a-lost-text-before.png", folder / "turned-6.png"] * 20
    filters = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        for picture in pool.map(read_image, paths):
            shows(SIX_TURNED[6]).check(picture)
    assert warnings.filters == filters
