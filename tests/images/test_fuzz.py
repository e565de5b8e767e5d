"""Whatever is given, the result is a picture or an error that says what is wrong."""

import io
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from sklearn_memorability.images import ImageReadError, read_image

# Fuzzing must find the same today as tomorrow, and a busy machine is no finding.
quick = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

FORMATS = {
    "bmp": ("BMP", {}),
    "gif": ("GIF", {}),
    "ico": ("ICO", {"sizes": [(16, 16)]}),
    "jpeg": ("JPEG", {}),
    "jpeg, progressive": ("JPEG", {"progressive": True}),
    "pcx": ("PCX", {}),
    "png": ("PNG", {}),
    "ppm": ("PPM", {}),
    "sgi": ("SGI", {}),
    "tga": ("TGA", {}),
    "tiff": ("TIFF", {}),
    "tiff, packed": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {}),
}
# Room for errors in the metadata as well: turned, and with a text.
EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010F] = "a maker of cameras"


def encoded(name):
    form, options = FORMATS[name]
    pixels = np.random.default_rng(0).integers(256, size=(16, 24, 3)).astype(np.uint8)
    pixels[:8] = 200
    if form in ("JPEG", "PNG", "TIFF", "WEBP"):
        options = {**options, "exif": EXIF}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


ENCODED = {name: encoded(name) for name in FORMATS}


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch):
    """Make sizes that damage has enlarged an error before they take time and memory."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)


def check(image):
    """Return whether there is a picture; there must be, or an error of ours."""
    try:
        picture = read_image(image, row=3)
    except ImageReadError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert re.match(r"Image in row 3( \(array of .*\))?: .+", refusal)
        return False
    assert picture.mode == "RGB"
    assert min(picture.size) > 0
    assert len(picture.tobytes()) == 3 * picture.width * picture.height
    return True


@pytest.mark.parametrize("name", FORMATS)
def test_the_undamaged_files_are_read(name):
    assert check(ENCODED[name])


@pytest.mark.parametrize("name", FORMATS)
@quick
@given(
    places=st.lists(
        # Half of the flips hit the head, where the sizes and the tables are.
        st.tuples(st.floats(0, 1) | st.floats(0, 0.1), st.integers(1, 255)),
        min_size=1,
        max_size=12,
    )
)
def test_flipped_bits(name, places):
    damaged = bytearray(ENCODED[name])
    for share, flip in places:
        damaged[int(share * (len(damaged) - 1))] ^= flip
    check(bytes(damaged))


@pytest.mark.parametrize("name", FORMATS)
@quick
@given(share=st.floats(0, 1))
def test_truncated_files(name, share):
    check(ENCODED[name][: int(share * len(ENCODED[name]))])


@quick
@given(
    names=st.tuples(st.sampled_from(sorted(FORMATS)), st.sampled_from(sorted(FORMATS))),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_spliced_files(names, cuts):
    first, second = (ENCODED[name] for name in names)
    check(first[: int(cuts[0] * len(first))] + second[int(cuts[1] * len(second)) :])


@quick
@given(exif=st.binary(max_size=80), known=st.booleans())
def test_any_metadata_leaves_a_picture(exif, known):
    """The picture is whole, so it must be read, whatever its metadata are."""
    picture = Image.new("RGB", (3, 2))
    picture.info["exif"] = b"Exif\0\0" + (b"II*\0\x08\0\0\0" if known else b"") + exif
    assert check(picture)
    assert read_image(picture).size == read_image(picture).size


@quick
@given(
    arrays.arrays(
        dtype=arrays.scalar_dtypes() | st.sampled_from(["u1", "u2", ">u2", "f2", "f4", "f8", "O"]),
        shape=arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
        | st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3, 4])),
    )
)
def test_any_array(array):
    check(array)
