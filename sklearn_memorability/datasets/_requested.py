"""The sets that are handed out on request, and loaders of those with a plain form."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._found import refuse
from sklearn_memorability.datasets._base import PathLike, choice, description, image_set
from sklearn_memorability.datasets._isola import isola_images
from sklearn_memorability.datasets._tables import (
    find_images,
    need_columns,
    read_rows,
    read_scores,
    read_table,
)
from sklearn_memorability.images import list_images

_TABLE = "scores.csv"
_IAPS = "the images at https://csea.phhp.ufl.edu/media.html (IAPS, University of Florida)"
_IAPS_LAYOUT = (
    "'images' with the images, named by their IAPS numbers (1050.jpg), and 'scores.csv' with "
    "the columns 'image' (the number or the file name) and 'score'"
)
_PLAIN_LAYOUT = "'images' with the images, and 'scores.csv' with the columns 'image' and 'score'"
_GYGLI = (
    "ask the authors of 'The interestingness of images' (Gygli et al., ICCV 2013; "
    "https://people.ee.ethz.ch/~gyglim/)"
)


@dataclass(frozen=True)
class RequestedSet:
    """A set that each user has to ask for; its text, with terms and citation, is in ``data``."""

    name: str
    title: str
    ask: str  # whom to ask, and for what
    layout: str  # what must lie where in the user's folder
    n_images: int  # in the paper
    target_name: str = "memorability"
    score_range: tuple[float, float] | None = (0.0, 1.0)
    rule: str = ""

    @property
    def way_out(self) -> str:
        """What to do when something is missing."""
        return (
            f"{self.title} can't be downloaded: {self.ask}. "
            f"Then put into the folder: {self.layout}."
        )

    def folder(self, folder: PathLike) -> Path:
        """Return the user's folder, which must exist."""
        root = Path(folder)
        if not root.is_dir():
            raise NotADirectoryError(f"There is no folder {os.fspath(root)!r}. {self.way_out}")
        return root

    def file(self, path: Path) -> Path:
        """Return a file of the set, which must exist."""
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {os.fspath(path)!r}. {self.way_out}")
        return path

    def table(self, root: Path, columns: Iterable[str]) -> dict[str, list[Any]]:
        """Return ``scores.csv`` of the folder, which must have the columns."""
        path = self.file(root / _TABLE)
        table = read_table(path)
        need_columns(path, table, columns, self.way_out)
        return table

    def find(self, root: Path, names: Sequence[str]) -> list[Path]:
        """Return the images of the folder that the table names."""
        return find_images(root / "images", names, f"image ({_TABLE})", self.way_out)

    def scores(self, values: Sequence[Any], source: str = f"score ({_TABLE})") -> np.ndarray:
        """Return scores, which must lie in the set's range."""
        return read_scores(values, source, self.score_range)

    def image_set(self, images: list[Path], target: np.ndarray, **more: Any) -> Any:
        """Return the set; ``rule`` says if images of the paper's are not here."""
        rule = self.rule
        if len(images) != self.n_images:
            rule += f" {len(images):,} images are here; the paper has {self.n_images:,}."
        facts = {"target_name": self.target_name, "score_range": self.score_range} | more
        return image_set(images, target, DESCR=description(self.name), rule=rule.strip(), **facts)


_ROWS = (
    RequestedSet(
        "dubey",
        "Dubey's set of object memorability",
        "ask the authors of 'What makes an object memorable?' (Dubey et al., ICCV 2015) for the "
        "scores; the images are PASCAL-S's (http://cbs.ic.gatech.edu/salobj/)",
        "'images' with the images, and 'scores.csv' with the columns 'image', 'object' and "
        "'score', a row an object",
        n_images=850,
        rule="An image's score is the largest of its objects' scores.",
    ),
    RequestedSet(
        "cohendet",
        "Cohendet's set of IAPS images",
        "ask the authors of 'Using individual data to characterize emotional user experience and "
        f"its memorability' (Cohendet et al., QoMEX 2016; Nantes) for the scores, and for {_IAPS}",
        _IAPS_LAYOUT,
        n_images=150,
    ),
    RequestedSet(
        "libkuman",
        "Libkuman's set of IAPS images",
        "take the column of mean memorability ratings from the norms that come with the paper "
        f"(https://doi.org/10.3758/BF03193164), and ask for {_IAPS}",
        _IAPS_LAYOUT,
        n_images=703,
        score_range=(1.0, 9.0),
        rule="The scores are ratings of how memorable people find an image, not of what they "
        "remember.",
    ),
    RequestedSet(
        "bainbridge",
        "The 10k US Adult Faces Database",
        "fill in the form at https://wilmabainbridge.com/facememorability2.html",
        "'10k US Adult Faces Database/Face Images' with the images, and 'Memorability Scores' "
        "with 'memorability-scores.mat' and 'target-filenames.txt'",
        n_images=2222,
    ),
    RequestedSet(
        "massvis",
        "MASSVIS's collection of images",
        "fill in the form at http://massvis.mit.edu/#data",
        "the images under the names that the labels have, such as "
        "'economist_daily_chart_103.png', or a folder 'targets' with them",
        n_images=410,
    ),
    RequestedSet(
        "mediaeval",
        "MediaEval's interestingness set",
        "accept the licence at https://www.interdigital.com/data_sets/interestingness-dataset "
        "and take the set of 2017",
        "what 'devset' (or 'testset') has as it is unpacked, 'annotations' and 'videos'",
        n_images=7396,
        target_name="interestingness",
        rule="Levels are relative to the most interesting frame of the same video, which has 1.",
    ),
    RequestedSet(
        "flickr",
        "Flickr's interestingness set",
        "collect it with a key of your own from "
        "https://www.flickr.com/services/api/flickr.interestingness.getList.html",
        _PLAIN_LAYOUT,
        n_images=123185,
        target_name="interestingness",
        score_range=None,
        rule="Which images the paper collected is not published: these are others.",
    ),
    RequestedSet(
        "gygli1",
        "Gygli's first interestingness set",
        f"{_GYGLI} for the scores; the images are at "
        "http://people.csail.mit.edu/torralba/code/spatialenvelope/",
        _PLAIN_LAYOUT,
        n_images=2688,
        target_name="interestingness",
        score_range=None,
    ),
    RequestedSet(
        "gygli2",
        "Gygli's second interestingness set",
        f"{_GYGLI} for the scores",
        "'scores.csv' with the column 'score' and a row for each of Isola's 2,222 images, in the "
        "order in which those were released, and 'isola' with that set",
        n_images=2222,
        target_name="interestingness",
        score_range=None,
    ),
    RequestedSet(
        "gygli3",
        "Gygli's third interestingness set",
        _GYGLI,
        "'images' with a folder for each webcam, and 'scores.csv' with the columns 'image' "
        "('webcam/image') and 'score'",
        n_images=3180,
        target_name="interestingness",
        score_range=None,
    ),
)
REQUESTED = {row.name: row for row in _ROWS}


def load_dubey(folder: PathLike, *, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the object memorability of 850 images of PASCAL-S (Dubey et al. 2015).

    There is no download; the authors of the paper have the scores.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, ``object``
        and ``score``, a row an object, scores from 0 to 1.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, each once, in the order in which the table first names them;
        ``target``, the largest score of its objects; ``rule``, ``score_range`` and
        ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or images are missing from it.
    ValueError
        If a column is missing, an object occurs twice, or a score is no number from 0
        to 1.

    Notes
    -----
    The paper that this package follows doesn't say how objects became images. Dubey et
    al. find that an image's memorability follows that of its most memorable object.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_dubey
    >>> images = load_dubey("pascal-s")  # doctest: +SKIP
    """
    row = REQUESTED["dubey"]
    root = row.folder(folder)
    table = row.table(root, ["image", "object", "score"])
    of_image: dict[str, dict[str, float]] = {}
    twice = []
    scores = row.scores(table["score"])
    objects_scored = zip(table["image"], table["object"], scores, strict=True)
    for i, (image, name, score) in enumerate(objects_scored, 1):
        if name in of_image.setdefault(image, {}):
            twice.append(f"{name!r} of {image!r} in row {i}")
        of_image[image][name] = score
    refuse(twice, f"Column 'object' ({_TABLE}) names objects more than once")
    return row.image_set(
        row.find(root, list(of_image)),
        np.array([max(scored.values()) for scored in of_image.values()]),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_iaps(
    name: str, folder: PathLike, *, return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load images of IAPS with their memorability, or with what people think of it.

    The University of Florida gives the images on request.

    Parameters
    ----------
    name : {"cohendet", "libkuman"}
        "cohendet": the memorability of 150 images from 0 to 1 (Cohendet et al. 2016); the
        authors of the paper have the scores. "libkuman": mean ratings from 1 to 9 of how
        memorable people find 703 images (Libkuman et al. 2007), from the norms that come
        with the paper.
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, an IAPS
        number such as 1050 or 2055.1 or a file name, and ``score``.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``, ``target``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or images are missing from it.
    ValueError
        If ``name`` is unknown, a column is missing, an image occurs twice, or a score is no
        number in the set's range.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_iaps
    >>> images = load_iaps("cohendet", "iaps150")  # doctest: +SKIP
    """
    choice("name", name, ["cohendet", "libkuman"])
    row = REQUESTED[name]
    root = row.folder(folder)
    table = row.table(root, ["image", "score"])
    return row.image_set(
        row.find(root, _iaps_files(root / "images", table["image"])),
        row.scores(table["score"]),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def load_interestingness(
    name: str, folder: PathLike, *, return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load one of the sets of interestingness on which the paper tries its model (Table 3).

    None can be downloaded without asking or a key of your own.

    Parameters
    ----------
    name : {"mediaeval", "flickr", "gygli1", "gygli2", "gygli3"}
        "mediaeval": key frames of film trailers (MediaEval 2017;
        https://www.interdigital.com/data_sets/interestingness-dataset). "flickr": images
        that you collect from the lists of Flickr's API, as those of the paper are not
        published. "gygli1", "gygli2" and "gygli3": the sets of "The interestingness of
        images" (Gygli et al. 2013), whose authors have the scores: 2,688 images of outdoor
        scenes, Isola's 2,222 images, and 159 images of each of 20 webcams.
    folder : str or path-like
        The folder with ``images`` and ``scores.csv``: the columns ``image``, a file name
        (for "gygli3" "webcam/image"), and ``score``, larger for more interesting images.
        As Flickr's rank 1 is the most interesting, write minus the rank.

        For "gygli2", the folder ``isola`` with that set, as for :func:`load_isola`, in place
        of ``images``, and a row for each of its images in the order in which those were
        released. For "mediaeval", ``devset`` or ``testset`` as it is unpacked: the lines of
        ``annotations/devset-image.txt`` are "video,key frame,interesting or not,level,rank",
        and the key frames lie in ``videos/<video>/images``. The paper's 7,396 frames are
        taken to be the development set.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images``; ``target``; ``groups``, the video or the webcam of each image, else
        None; ``score_range``, which is None where the scores have no known bounds (all but
        "mediaeval"); ``rule`` and ``DESCR``.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        If there is no such folder, or the table or images are missing from it.
    ValueError
        If ``name`` is unknown, a table or its lines are not as described, an image occurs
        twice, or a score is no number.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_interestingness
    >>> frames = load_interestingness("mediaeval", "me17in/devset")  # doctest: +SKIP
    >>> len(frames.images), len(set(frames.groups))  # doctest: +SKIP
    (7396, 78)
    """
    choice("name", name, [row.name for row in _ROWS if row.target_name == "interestingness"])
    row = REQUESTED[name]
    root = row.folder(folder)
    groups = None
    if name == "mediaeval":
        images, target, groups = _read_key_frames(row, root)
    elif name == "gygli2":
        images, target = _read_isola_scores(row, root)
    else:
        table = row.table(root, ["image", "score"])
        images, target = row.find(root, table["image"]), row.scores(table["score"])
        groups = _webcams(table["image"]) if name == "gygli3" else None
    return row.image_set(images, target, groups=groups, return_X_y=return_X_y, as_frame=as_frame)


def _read_key_frames(row: RequestedSet, root: Path) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Return the frames of MediaEval's annotations, their levels and their videos."""
    path = row.file(next(root.glob("annotations/*-image.txt"), root / "annotations/*-image.txt"))
    lines = read_rows(path)
    refuse(
        (f"{','.join(line)!r} in row {i}" for i, line in enumerate(lines, 1) if len(line) != 5),
        f"{os.fspath(path)!r} has lines that are not 'video,key frame,interesting or "
        "not,level,rank'",
    )
    names = [f"videos/{video}/images/{frame}" for video, frame, *_ in lines]
    levels = row.scores([line[3] for line in lines], f"level ({path.name})")
    videos = np.array([line[0] for line in lines])
    return find_images(root, names, "key frame", row.way_out), levels, videos


def _read_isola_scores(row: RequestedSet, root: Path) -> tuple[list[Path], np.ndarray]:
    """Return Isola's images, and the scores in their order."""
    target = row.scores(row.table(root, ["score"])["score"])
    images = isola_images(root / "isola")
    if len(target) != len(images):
        raise ValueError(
            f"{os.fspath(root / _TABLE)!r} has {len(target)} rows, but there are "
            f"{len(images)} images in 'isola'. {row.way_out}"
        )
    return images, target


def _iaps_files(folder: Path, names: list[str]) -> list[str]:
    """Return the file names of IAPS numbers."""
    # The suffix and its case differ between copies of IAPS. A spreadsheet's column with
    # numbers such as 2055.1 turns 1050 into 1050.0.
    files = {}
    if folder.is_dir():
        for path in list_images(folder, recursive=False):
            files[path.name] = files[path.stem] = path.name
    numbers = [name.strip().removesuffix(".0") for name in names]
    return [files.get(number, number) for number in numbers]


def _webcams(names: list[str]) -> np.ndarray:
    refuse(
        (f"{name!r} in row {i}" for i, name in enumerate(names, 1) if "/" not in name),
        f"Column image ({_TABLE}) names images without the folder of their webcam",
    )
    return np.array([name.rpartition("/")[0] for name in names])
