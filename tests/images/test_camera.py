"""What cameras and phones write: colour profiles, HEIC, and what is lost without a word."""

import io
import struct
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from sklearn_memorability import ImageFeatures
from sklearn_memorability.images import ImageReadError, read_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Red, green and blue of Display P3 and of sRGB, in columns, adapted to D50.
P3_MATRIX = [[0.51512, 0.29198, 0.1571], [0.2412, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
SRGB_MATRIX = [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]]
COLOUR = (200, 100, 50)


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IHH", 1, round(value * 256), 0)


def profile(kind, space, connection, **tags):
    """Return an ICC profile of these tags."""
    start, table, data = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(data), len(content))
        data += content
    head = struct.pack(">I4xI", start + len(data), 0x02400000) + kind + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def matrix_profile(matrix, exponent):
    columns = zip(("rXYZ", "gXYZ", "bXYZ"), np.transpose(matrix), strict=True)
    tags = {name: b"XYZ " + bytes(4) + fixed(*column) for name, column in columns}
    tags |= {name: gamma(exponent) for name in ("rTRC", "gTRC", "bTRC")}
    return profile(b"mntr", b"RGB ", b"XYZ ", **tags)


def ink_profile():
    """Inks of which any makes the paper grey, of half its lightness, and all together black."""
    table = bytes(range(256))
    corners = bytes([255, 128, 128]) + 14 * bytes([128, 128, 128]) + bytes([0, 128, 128])
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return profile(b"prtr", b"CMYK", b"Lab ", A2B0=lut + 4 * table + corners + 3 * table)


def in_srgb(colour, matrix=P3_MATRIX, exponent=2.2):
    light = np.linalg.solve(SRGB_MATRIX, matrix @ (np.array(colour) / 255) ** exponent)
    light = np.clip(light, 0, 1)
    return 255 * np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


WIDE = matrix_profile(P3_MATRIX, 2.2)
GREY = profile(b"mntr", b"GRAY", b"XYZ ", kTRC=gamma(1))
INK = ink_profile()
CLEAR = (in_srgb(COLOUR) * 128 + 255 * 127) / 255


@pytest.mark.parametrize(
    ("mode", "value", "icc", "form", "expected"),
    [
        ("RGB", COLOUR, WIDE, "PNG", in_srgb(COLOUR)),
        ("RGB", COLOUR, WIDE, "JPEG", in_srgb(COLOUR)),
        ("RGB", COLOUR, WIDE, "TIFF", in_srgb(COLOUR)),
        ("P", COLOUR, WIDE, "PNG", in_srgb(COLOUR)),
        ("RGBA", (*COLOUR, 128), WIDE, "PNG", CLEAR),
        ("L", 100, WIDE, "JPEG", in_srgb((100,) * 3)),
        ("L", 55, GREY, "JPEG", (128,) * 3),
        ("LA", (55, 255), GREY, "PNG", (128,) * 3),
        ("I;16", 55 * 257, GREY, "PNG", (128,) * 3),
        ("CMYK", (255, 0, 0, 0), INK, "JPEG", (120,) * 3),  # lightness 50
        ("RGB", COLOUR, SRGB, "PNG", COLOUR),
        # Damaged profiles, and those of other kinds of images, are ignored.
        *(("RGB", COLOUR, icc, "PNG", COLOUR) for icc in (b"none", WIDE[:200], GREY, INK)),
        ("CMYK", (0, 255, 255, 0), WIDE, "JPEG", (255, 0, 0)),
    ],
)
def test_colours_are_converted_to_srgb(mode, value, icc, form, expected):
    image = Image.new("RGB", (9, 9), value).quantize() if mode == "P" else None
    image = Image.new(mode, (9, 9), value) if image is None else image
    buffer = io.BytesIO()
    image.save(buffer, form, icc_profile=icc, **({"quality": 98} if form == "JPEG" else {}))
    shown = read_image(buffer)
    assert shown.getpixel((4, 4)) == pytest.approx(expected, abs=3)
    assert np.array_equal(read_image(shown), shown)  # and not once more
    assert np.array_equal(read_image(Image.open(buffer)), shown)


def heic(image, **options):
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=95, **options)
    return buffer.getvalue()


def test_heic_is_read_by_the_extra(monkeypatch):
    formats = dict(Image.OPEN)
    ramp = Image.linear_gradient("L").convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    assert np.abs(np.subtract(read_image(heic(ramp)), ramp, dtype=int)).max() <= 8
    shown = read_image(heic(ramp, exif=turned.tobytes()))  # as phones store upright images
    assert np.abs(np.subtract(shown, ramp.rotate(-90), dtype=int)).max() <= 8
    wide = Image.new("RGB", (64, 64), COLOUR)
    wide.info["icc_profile"] = WIDE
    assert read_image(heic(wide)).getpixel((9, 9)) == pytest.approx(in_srgb(COLOUR), abs=5)
    whole = heic(ramp)
    for damaged in (whole[:40], whole[: len(whole) // 2], whole[:60] + bytes(200) + whole[260:]):
        with pytest.raises(ImageReadError, match="row 2"):
            read_image(damaged, row=2)
    assert formats == Image.OPEN  # Pillow is left as it was
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageReadError, match=r"HEIC.*pip install 'sklearn-memorability\[heif\]'"):
        read_image(whole)


def drawing(colour):
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, :, :3] = colour
    pixels[10:30, 10:30, 3] = 255
    return pixels


DEEP = np.random.default_rng(0).integers(0, 4096, (40, 40), dtype=np.uint16)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (drawing(255), "transparent.*one colour.*background="),
        (Image.fromarray(drawing(254)).convert("LA"), "transparent"),
        (DEEP, "sixteenth"),
        (np.dstack([DEEP] * 3), "sixteenth"),
        (Image.fromarray(DEEP), "sixteenth"),
        (Image.fromarray(DEEP.astype(np.int32)), "sixteenth"),
    ],
)
def test_what_would_be_lost_is_told(image, message, tmp_path):
    with pytest.warns(UserWarning, match=f"Image in row 7.*{message}") as record:
        read_image(image, row=7)
    assert record[0].filename == __file__
    path = tmp_path / "lost.png"
    if isinstance(image, Image.Image) and image.mode != "I":
        image.save(path)
        image = path
    with pytest.warns(UserWarning, match=f"1 image.s.*\n  Image in row 1.*{message}") as record:
        ImageFeatures().fit_transform([drawing(0), image])
    assert len(record) == 1


def test_nothing_is_said_where_nothing_is_lost():
    for image in (drawing(0), drawing(255) * 0, DEEP * 16, DEEP[:1, :1], np.full((5, 5), 0.2)):
        read_image(image)


def test_transparent_pixels_lie_on_the_background():
    assert read_image(drawing(255), background="#102030").getpixel((0, 0)) == (16, 32, 48)
    assert read_image(drawing(0), background=(9, 8, 7)).getpixel((0, 0)) == (9, 8, 7)
    key = Image.fromarray(np.array([[5, 60_000]], np.uint16))
    key.info["transparency"] = 5
    assert read_image(key, background="red").getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(ValueError, match="background='whit' is no colour"):
        read_image(drawing(0), background="whit")


@pytest.mark.parametrize("kind", [lambda: Image.new("1", (90, 40)), lambda: np.zeros((40, 90))])
def test_images_in_memory_have_the_limit_of_files(kind, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1799)
    way_out = r"its 90 x 40 pixels.*limit of 3598.*Resize it.*MAX_IMAGE_PIXELS"
    with pytest.raises(ImageReadError, match=f"row 0.*{way_out}"):
        ImageFeatures().fit_transform([kind()])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_image(kind()).size == (90, 40)
