"""Readers of pictures and captions, and writers of what others have named."""

import csv
import io
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from sklearn.base import BaseEstimator, RegressorMixin

from fuzzing.files import embeddings
from fuzzing.reader import BrokenPromiseError, Reader
from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.captions._words import (
    TOKENIZERS,
    as_captions,
    count_words,
    get_tokenizer,
    number_words,
)
from sklearn_memorability.cli._tables import csv_text, write_table
from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.inspection import write_report

_LARGEST_PICTURE = 1_000_000  # pixels, so that damage to a size costs no time


def pictures() -> Mapping[str, bytes]:
    """Return small pictures in all formats, with metadata."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    whole: dict[str, Any] = {"exif": exif.tobytes(), "icc_profile": profile}
    pixels = np.random.default_rng(0).integers(256, size=(16, 24, 3)).astype(np.uint8)
    pixels[:8] = 200
    picture = Image.fromarray(pixels)
    more: dict[str, Any] = {"save_all": True, "append_images": [picture.rotate(90), picture]}
    forms: dict[str, tuple[str, str, dict[str, Any]]] = {
        "bmp": ("BMP", "RGB", {}),
        "bmp-palette": ("BMP", "P", {}),
        "gif": ("GIF", "P", more),
        "ico": ("ICO", "RGBA", {"sizes": [(16, 16)]}),
        "jpeg": ("JPEG", "RGB", whole),
        "jpeg-progressive": ("JPEG", "CMYK", {"progressive": True, **whole}),
        "jpeg2000": ("JPEG2000", "RGB", {}),
        "mpo": ("MPO", "RGB", more),
        "pcx": ("PCX", "RGB", {}),
        "png": ("PNG", "RGBA", whole),
        "png-animated": ("PNG", "RGB", more),
        "png-16": ("PNG", "I;16", {}),
        "png-palette": ("PNG", "P", {"transparency": 3}),
        "ppm": ("PPM", "RGB", {}),
        "qoi": ("QOI", "RGB", {}),
        "sgi": ("SGI", "RGB", {"rle": 1}),
        "tga": ("TGA", "RGBA", {"compression": "tga_rle"}),
        "tiff": ("TIFF", "RGB", {**whole, **more}),
        "tiff-lzw": ("TIFF", "L", {"compression": "tiff_lzw", **whole}),
        "tiff-jpeg": ("TIFF", "RGB", {"compression": "jpeg"}),
        "tiff-fax": ("TIFF", "1", {"compression": "group4"}),
        "webp": ("WEBP", "RGBA", {"lossless": True, **whole, **more}),
        "avif": ("AVIF", "RGB", {"exif": exif.tobytes()}),
    }
    Image.init()
    found = {}
    for name, (form, mode, options) in forms.items():
        if form in Image.SAVE:
            buffer = io.BytesIO()
            converted = picture.convert("L").convert("I;16") if mode == "I;16" else None
            if "append_images" in options:  # Pillow leaves an encoder's settings in a picture
                options = {**options, "append_images": [p.copy() for p in more["append_images"]]}
            (converted or picture.convert(mode).copy()).save(buffer, form, **options)
            found[name] = buffer.getvalue()
    return found


def read_picture(variant: str, data: bytes, folder: Path) -> None:
    """Read a picture; what comes is one, in RGB."""
    Image.MAX_IMAGE_PIXELS = _LARGEST_PICTURE
    path = folder / f"picture.{variant}"
    path.write_bytes(data)
    picture = read_image(path, row=3)
    if picture.mode != "RGB" or len(picture.tobytes()) != 3 * picture.width * picture.height:
        raise BrokenPromiseError(f"{picture!r} is no RGB picture")


def captions() -> Mapping[str, bytes]:
    """Return captions in lists, and a mapping of words to vectors."""
    some = ["A dog's life, on the beach", "un café — naïve", ["two", "日本語 text"], "a b a b"]
    return {"captions": json.dumps(some).encode()}


@lru_cache
def _space() -> VisualSemanticEmbedding:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        path.write_bytes(embeddings()["gru"])
        return VisualSemanticEmbedding.load(path)


def read_captions(variant: str, data: bytes, folder: Path) -> None:
    """Cut captions into words, number these, and embed them."""
    given = _parsed(data)
    texts, _ = as_captions(given, len(given) if isinstance(given, list | dict) else 1)
    for name in sorted(TOKENIZERS):
        cut = [get_tokenizer(name)(text) for text in texts]
        vocabulary = count_words(cut, 50, 1)
        numbers = number_words(cut, vocabulary)
        if numbers.max(initial=0) >= len(vocabulary) + 2 or (numbers[:, -1] != 0).any():
            raise BrokenPromiseError("words have numbers that are none")
    space = _space()
    embedded = space.transform_captions([text[:300] for text in texts[:4]])
    if not np.isfinite(embedded).all():
        raise BrokenPromiseError("a caption's vector is not finite")


class _Scores(RegressorMixin, BaseEstimator):
    """Predicts what it was told, and has parameters of any text."""

    def __init__(self, scores: Any = (), note: Any = None) -> None:
        self.scores = scores
        self.note = note

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.scores[: len(X)], dtype=float)


def reports() -> Mapping[str, bytes]:
    """Return what a report is made of."""
    told = {
        "title": "My report",
        "data": "Twelve <b>pictures</b> & more",
        "names": ["a.jpg", "folder/b.png", "missing.jpg", "c\u2028d.jpg"],
        "note": "a parameter's text",
        "scores": [0.5, 0.25, 0.75, 0.7],
        "true": [0.4, 0.3, 0.7, 0.1],
    }
    return {
        "report": json.dumps(told).encode(),
        "plain": json.dumps({**told, "true": None}).encode(),
    }


def read_report(variant: str, data: bytes, folder: Path) -> None:
    """Write a report; nothing in it is an element or an attribute that came from outside."""
    told = _parsed(data)
    if not isinstance(told, dict):
        return
    names = told.get("names")
    names = [name for name in names if isinstance(name, str)][:6] if isinstance(names, list) else []
    count = len(names)
    scores, true = (_numbers(told.get(key), count) for key in ("scores", "true"))
    texts = {key: told[key] for key in ("title", "data") if isinstance(told.get(key), str)}
    note = told.get("note")
    pages = []
    # The same report, of harmless texts, has the same elements.
    for harmless in (False, True):
        given = {key: "x" if harmless else text for key, text in texts.items()}
        model = _Scores(scores, "x" if harmless else note)
        pages.append(_page(folder / f"{harmless}.html", names, harmless, model, true, given))
    if pages[0] is None:
        return
    dirty, clean = (_Seen(page) for page in pages)
    if dirty.elements != clean.elements:
        raise BrokenPromiseError("a text of the input has become an element")
    outside = [re.sub(r'<script type="application/json".*?</script>', "", page) for page in pages]
    for mark in "<>\"'":
        if outside[0].count(mark) - dirty.spare[mark] != outside[1].count(mark) - clean.spare[mark]:
            raise BrokenPromiseError(f"{mark!r} of the input stands in the page as it is")
    if re.search("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", pages[0]):
        raise BrokenPromiseError("the page has characters that no page may have")
    facts = json.loads(dirty.facts)
    if len(facts["name"]) != len(facts["row"]):
        raise BrokenPromiseError("the facts of the page are not those of the pictures")


def _page(
    path: Path, names: list[str], harmless: bool, model: Any, true: Any, given: dict[str, str]
) -> str | None:
    images: list[Any] = []
    for i, name in enumerate(names):
        if i % 3 == 2:  # a file that can't be read
            images.append("x" if harmless else f"{path.parent}/{name}")
        else:
            picture = Image.new("RGB", (3, 2))
            picture.filename = f"x{i}" if harmless else name
            images.append(picture)
    try:
        written = write_report(
            model, images, true, path, on_error="skip", thumbnail_size=16, n_bins=5, **given
        )
    except (TypeError, ValueError):
        return None  # as "scores are not finite" says
    return written.read_bytes().decode("utf-8")


class _Seen(HTMLParser):
    """The elements of a page, with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...], str]] = []
        self.facts = ""
        self.spare = dict.fromkeys("<>\"'", 0)
        self._in_facts = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kinds = dict(attrs)
        links = " ".join(str(kinds.get(name)) for name in ("href", "id", "type", "class"))
        self.elements.append((tag, tuple(name for name, _ in attrs), links))
        self._in_facts = kinds.get("id") == "facts"

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", (), ""))
        self._in_facts = False

    def handle_data(self, data: str) -> None:
        if self._in_facts:
            self.facts += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", (), data))


def _numbers(values: Any, count: int) -> list[float] | None:
    if not isinstance(values, list):
        return None
    numbers = [v if isinstance(v, int | float) and abs(v) < 1e300 else 0.5 for v in values]
    return [float(number) for number in (numbers + [0.5] * count)[:count]]


def named_rows() -> Mapping[str, bytes]:
    """Return rows of a table that the command writes."""
    rows = [["a.jpg", 0.5, None], ["b,c.jpg", -0.25, None], ['d"e.jpg', None, "is a folder"]]
    return {"rows": json.dumps(rows).encode()}


def write_rows(variant: str, data: bytes, folder: Path) -> None:
    """Write tables; they read back as they were, and no cell is a spreadsheet's formula."""
    given = _parsed(data)
    rows = [
        [str(row[0]).replace("\0", ""), row[1], f"Why: {row[2]}" if row[2] else None]
        for row in (given if isinstance(given, list) else [])
        if isinstance(row, list)
        and len(row) == 3
        and (row[1] is None or (isinstance(row[1], float) and np.isfinite(row[1])))
    ]
    # Names of files are what the operating system gives, so without other halves of characters.
    rows = [row for row in rows if _is_name(row[0]) and (row[2] is None or _is_name(row[2]))]
    found = list(csv.reader(io.StringIO(csv_text(rows), newline="")))
    if len(found) != len(rows):
        raise BrokenPromiseError(f"{len(rows)} rows read back as {len(found)}")
    for row, back in zip(rows, found, strict=True):
        if back[0].removeprefix("./") != row[0].removeprefix("./"):
            raise BrokenPromiseError(f"{row[0]!r} reads back as {back[0]!r}")
        if any(text[:1] in tuple("=+-@\t\r") for text in (back[0], back[2])):
            raise BrokenPromiseError(f"{back!r} has a spreadsheet's formula")
    for suffix in ("csv", "json"):
        write_table(folder / f"t.{suffix}", ["image", "score", "error"], rows)


def _is_name(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return [data.decode("utf-8", "surrogateescape")]


SHOWN = [
    Reader("pictures", pictures, read_picture, allowed=(ImageReadError,)),
    Reader("captions", captions, read_captions),
    Reader("report", reports, read_report, allowed=()),
    Reader("rows", named_rows, write_rows, allowed=()),
]
