"""Readers of tables of published sets."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from fuzzing.reader import BrokenPromiseError, Reader
from sklearn_memorability import datasets
from sklearn_memorability.cli._scored import Columns, load_scored


def _csv(*rows: str) -> bytes:
    return "\n".join(rows).encode() + b"\n"


# By variant: the table's place, its content, the pictures that it names, and its reader.
_TABLES: dict[str, tuple[str, bytes, list[str], Callable[[Path], Any]]] = {
    "csv": (
        "scores.csv",
        _csv("image,score,place,n", "a.jpg,.5,x,3", 'b/é.jpg,0.25,"y, z",4', "c.jpg,1,x,0"),
        ["a.jpg", "b/é.jpg", "c.jpg"],
        lambda root: datasets.load_image_folder(
            root, root / "scores.csv", group_column="place", weight_column="n"
        ),
    ),
    "tsv": (
        "scores.tsv",
        _csv("image\tscore", "a.jpg\t.5", "b.jpg\t0.25"),
        ["a.jpg", "b.jpg"],
        lambda root: load_scored(root, root / "scores.tsv", Columns("image", "score"), (0.0, 1.0)),
    ),
    "memcat": (
        "memcat_image_data.csv",
        _csv(
            "image_file,category,subcategory,memorability_wo_fa_correction,memorability_w_fa_correction,n_resp",
            "a.jpg,animal,bear,.5,.4,90",
            "b.jpg,food,pie,.6,.5,91",
        ),
        ["MemCat/animal/bear/a.jpg", "MemCat/food/pie/b.jpg"],
        lambda root: datasets.load_memcat(root, correction="difference"),
    ),
    "things": (
        "THINGS_Memorability_Scores.csv",
        _csv("file_path,cr", "images/dog/a.jpg,.5", "images/cat/b.jpg,", "images/cat/c.jpg,.25"),
        ["object_images/dog/a.jpg", "object_images/cat/c.jpg"],
        datasets.load_things,
    ),
    "dubey": (
        "scores.csv",
        _csv("image,object,score", "1.jpg,dog,.5", "1.jpg,cat,.75", "2.jpg,dog,1"),
        ["images/1.jpg", "images/2.jpg"],
        datasets.load_dubey,
    ),
    "libkuman": (
        "scores.csv",
        _csv("image,score", "1050.0,3.5", "2055.1,8", "x.jpg,1"),
        ["images/1050.JPG", "images/2055.1.jpg", "images/x.jpg"],
        datasets.load_libkuman,
    ),
    "gygli": (
        "scores.csv",
        _csv("image,score", "cam/a.jpg,-3.5", "cam/b.jpg,8e3"),
        ["images/cam/a.jpg", "images/cam/b.jpg"],
        lambda root: datasets.load_gygli(root, 3),
    ),
    "mediaeval": (
        "devset/annotations/devset-image.txt",
        _csv("v1,a.jpg,0,0.5,1", "v1,b.jpg,1,1.0,2"),
        ["devset/videos/v1/images/a.jpg", "devset/videos/v1/images/b.jpg"],
        datasets.load_mediaeval,
    ),
    "massvis": (
        "targets393_metadata.csv",
        _csv(
            "filename,source,title,mem: at-a-glance HR (%),mem: at-a-glance FAR (%)",
            "a.png,Nature,x,75,10",
            "b.png,Vis,y,25.5,0",
        ),
        ["targets/a.png", "targets/b.png"],
        lambda root: datasets.load_massvis(root, version="393", download_if_missing=False),
    ),
    "lamem": (
        "splits/train_1.txt",
        _csv("a.jpg 0.5", "b.jpg 0.75"),
        ["images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg"],
        lambda root: datasets.load_lamem(root, split=1),
    ),
    "faces": (
        "Memorability Scores/target-filenames.txt",
        _csv("number,filename", "1,a.jpg", "2,b, c.jpg"),
        [f"10k US Adult Faces Database/Face Images/{name}" for name in ("a.jpg", "b, c.jpg")],
        datasets.load_bainbridge,
    ),
}


def _structs(rows: list[dict[str, Any]]) -> np.ndarray:
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for i, row in enumerate(rows):
        array[0, i] = tuple(row.values())
    return array


def _mat(**variables: Any) -> bytes:
    buffer = io.BytesIO()
    compress = variables.pop("compress", False)
    scipy.io.savemat(buffer, variables, do_compression=compress)
    return buffer.getvalue()


_COUNTS = {"hits": 60, "misses": 20, "false_alarms": 5, "correct_rejections": 95}


def matlab() -> Mapping[str, bytes]:
    """Return the MATLAB files of the sets that have some."""
    cells = np.empty((2, 1), dtype=object)
    for i, name in enumerate(("a", "b")):
        cells[i, 0] = {"filepath": f"sun\\images\\{name}_crop.jpg", **_COUNTS}
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3, 3), dtype=np.uint8)
    urls = np.empty((1, 2), dtype=object)
    urls[0] = ["http://x.org/a.jpg", "http://x.org/b.jpg"]
    places = [{"category": "a\\abbey", "images": urls}, {"category": "beach", "images": urls}]
    targets = _structs(
        [{"filename": f"{n}.jpg", "category": "abbey", "AMT_comb": _COUNTS} for n in ("a", "b")]
    )
    charts = _structs([{"filename": f"{n}.png", "source": "x", **_COUNTS} for n in ("a", "b")])
    faces = {name: [number, number] for name, number in _COUNTS.items()}
    return {
        "responses": _mat(sorted_target_data=cells),
        "pixels": _mat(img=pixels, compress=True),
        "places": _mat(SUN=_structs(places)),
        "figrim": _mat(allImages=targets, compress=True),
        "charts": _mat(allImages=charts),
        "faces": _mat(memorability=faces),
    }


_MATLAB = dict(matlab())


def _put(root: Path, name: str, content: bytes = b"") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def read_table(variant: str, data: bytes, folder: Path) -> None:
    """Load a set by its table; its pictures lie in its folder."""
    place, _, pictures, load = _TABLES[variant]
    root = folder / "set"
    for name in pictures:
        _put(root, name)
    # A file that must not be opened, so it is put there under another name.
    _put(folder, "put")
    (folder / "put").rename(folder / "outside.txt")
    if variant == "lamem":
        _put(root, "splits/val_1.txt", b"c.jpg 0.1\n")
        _put(root, "splits/test_1.txt", b"d.jpg 0.2\n")
    if variant == "faces":
        _put(root, "Memorability Scores/memorability-scores.mat", _MATLAB["faces"])
    _put(root, place, data)
    _check(load(root), root)


def _faces(root: Path) -> None:
    for name in "ab":
        _put(root, f"10k US Adult Faces Database/Face Images/{name}.jpg")


def _check(found: Any, root: Path) -> None:
    target = np.asarray(found.target)
    if len(found.images) != len(target) or not np.isfinite(target).all():
        raise BrokenPromiseError(f"{len(found.images)} pictures have the scores {target!r:.200}")
    for column in (found.groups, found.weights):
        if column is not None and len(column) != len(target):
            raise BrokenPromiseError(f"{len(target)} pictures have {len(column)} groups or weights")
    for path in found.images:
        if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
            raise BrokenPromiseError(f"{path} is no picture of the set")
    if found.score_range is not None and len(target):
        low, high = found.score_range
        if target.min() < low or target.max() > high:
            raise BrokenPromiseError(f"scores {target!r:.200} are not in {found.score_range}")


TABLES = [
    Reader("tables", lambda: {name: row[1] for name, row in _TABLES.items()}, read_table),
]
