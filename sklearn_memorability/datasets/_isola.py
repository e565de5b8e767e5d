"""The first set of all: 2,222 scenes of the SUN database."""

import os
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from sklearn_memorability.datasets._bunch import picture_set
from sklearn_memorability.datasets._counts import check_correction, scores_from_counts
from sklearn_memorability.datasets._layout import folder_with
from sklearn_memorability.datasets._matlab import read_matlab
from sklearn_memorability.datasets._record import alone
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files

_URL = "https://web.mit.edu/phillipi/Public/WhatMakesAnImageMemorable/cvpr_memorability_data.zip"
_FILES = (RemoteFile("cvpr_memorability_data.zip", _URL, unpack=True),)
_IMAGES = "Data/Image data/target_images.mat"
_RESPONSES = "Data/Experiment data/sorted_target_data.mat"
_CATEGORIES = "Data/Image data/SUN_urls.mat"
_PICTURES = "pictures"
# 178 more were shown, which are textures; the paper leaves them out.
_N_SCENES = 2222
_COUNTS = ("hits", "misses", "false_alarms", "correct_rejections")
_WAY_OUT = (
    "Download it with fetch_isola(), after removing what is left of an earlier copy, or unpack "
    f"{_URL} and name the folder that has 'Data'."
)
_DESCR = """
Memorability of scenes (SUN)
----------------------------
:Pictures: 2,222 photographs of scenes from the SUN database, 256 x 256 pixels
:Target: memorability: by default the hit rate, the share of people who recognised the
    picture when it came again in a stream of pictures; about 78 people a picture
:Groups: the picture's scene category
:Consistency: split-half rank correlation .75 between people, mean of 25 splits
:Terms: the pictures are third-party works; for research only

References
----------
P. Isola, J. Xiao, A. Torralba, A. Oliva, "What makes an image memorable?", CVPR 2011.

P. Isola, J. Xiao, D. Parikh, A. Torralba, A. Oliva, "What makes a photograph memorable?",
IEEE Transactions on Pattern Analysis and Machine Intelligence 36(7), 2014.
"""


def fetch_isola(
    *,
    correction: str = "none",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the 2,222 scenes of Isola et al., downloading them at first use.

    Parameters
    ----------
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: see :func:`load_isola`.
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_isola`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the download is damaged or not the file that it was.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_isola
    >>> scenes = fetch_isola()  # doctest: +SKIP
    """
    check_correction(correction)
    folder = fetch_files(
        "isola",
        _FILES,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
        delay=delay,
    )
    return load_isola(folder, correction=correction, return_X_y=return_X_y, as_frame=as_frame)


def load_isola(
    folder: str | os.PathLike[str],
    *,
    correction: str = "none",
    return_X_y: bool = False,
    as_frame: bool = False,
) -> Any:
    """Load the 2,222 scenes of Isola et al. from a folder.

    The pictures come inside a MATLAB file. The first call writes them as PNG files into
    the folder ``pictures`` beside ``Data``, which takes about a minute.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``Data`` of the authors' archive, or the one around it.
    correction : {"none", "difference", "balanced_accuracy"}, default="none"
        What is done about false alarms: the paper's hit rate without any correction,
        the hit rate less the false-alarm rate, or half of one plus that difference.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images`` in the authors' order; ``target``; ``counts`` of hits, misses,
        false alarms and correct rejections; ``weights``, the number of people that each
        score rests on; ``groups``, the scene category ("unknown" where the archive's list
        doesn't have the picture), or None without that list; ``consistency``,
        ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder or a file of the archive is missing.
    ValueError
        If ``correction`` is unknown or a file isn't what the archive has.

    Notes
    -----
    Isola et al., "What makes an image memorable?", CVPR 2011. Of the 2,400 pictures of
    the archive, the first 2,222 are the paper's.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_isola
    >>> scenes = load_isola("cvpr_memorability_data")  # doctest: +SKIP
    """
    check_correction(correction)
    root = _root(folder)
    names, counts = _read_responses(root)
    images = extract_isola_pictures(root)
    target, score_range = scores_from_counts(counts, correction, names)
    return picture_set(
        images=images,
        target=target,
        score_range=score_range,
        groups=_categories(root, names),
        counts=counts,
        consistency=0.75,
        rule=f"The first {len(names):,} pictures of the archive; the textures after are left out.",
        DESCR=_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def extract_isola_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """Write the pictures of the archive as PNG files, at the first call.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``Data`` of the authors' archive, or the one around it.

    Returns
    -------
    list of pathlib.Path
        The files ``0001_<name>.png`` and so on, in the archive's order, in the folder
        ``pictures`` beside ``Data``. An interrupted call is gone on with by the next.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder or a file of the archive is missing.
    ValueError
        If a file isn't what the archive has.
    """
    root = _root(folder)
    names, _ = _read_responses(root)
    files = [f"{i:04d}_{PurePosixPath(name).stem}.png" for i, name in enumerate(names, 1)]
    whole, part = root / _PICTURES, root / f"{_PICTURES}.part"
    if not whole.is_dir():
        with alone(root):
            # Another process may have written them meanwhile.
            if not whole.is_dir():
                part.mkdir(exist_ok=True)
                _write_pictures(root / _IMAGES, part, files)
                os.replace(part, whole)
    images = [whole / name for name in files]
    lacking = [image.name for image in images if not image.is_file()]
    if lacking:
        raise FileNotFoundError(
            f"{os.fspath(whole)!r} lacks {len(lacking):,} pictures, such as {lacking[0]!r}. "
            "Remove that folder, and they are written again."
        )
    return images


def _root(folder: str | os.PathLike[str]) -> Path:
    archive = "cvpr_memorability_data"
    return folder_with(folder, [_IMAGES, _RESPONSES], [archive, f"{archive}/{archive}"], _WAY_OUT)


def _read_responses(root: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    path = root / _RESPONSES
    variables = read_matlab(path)
    try:
        records = np.atleast_1d(variables["sorted_target_data"])[:_N_SCENES]
        # Windows wrote some of the paths.
        names = [
            PurePosixPath(str(record["filepath"]).replace("\\", "/")).name for record in records
        ]
        counts = {count: np.array([int(record[count]) for record in records]) for count in _COUNTS}
        if not names or any("\0" in name for name in names):
            raise ValueError("it has no names of pictures")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the archive's: it must have the variable "
            f"sorted_target_data with filepath, {', '.join(_COUNTS)} of each picture. {_WAY_OUT}"
        ) from error
    return names, counts


def _write_pictures(path: Path, folder: Path, files: list[str]) -> None:
    left = [i for i, name in enumerate(files) if not (folder / name).is_file()]
    pixels = read_matlab(path).get("img") if left else None
    if pixels is None:
        if left:
            raise ValueError(f"{os.fspath(path)!r} isn't the archive's: it has no variable img.")
        return
    if pixels.ndim != 4 or pixels.shape[2] != 3 or pixels.shape[3] < len(files):
        raise ValueError(
            f"{os.fspath(path)!r} has pixels of shape {pixels.shape}; expected are height x width "
            f"x 3 x at least {len(files):,} pictures."
        )
    for i in tqdm(left, desc="Writing pictures", disable=None):
        image = Image.fromarray(np.ascontiguousarray(pixels[..., i], dtype=np.uint8))
        temporary = folder / f"{files[i]}.new"
        image.save(temporary, format="PNG")
        os.replace(temporary, folder / files[i])


def _categories(root: Path, names: list[str]) -> np.ndarray | None:
    path = root / _CATEGORIES
    if not path.is_file():
        return None
    variables = read_matlab(path)
    try:
        groups = np.atleast_1d(variables["SUN"])
        known = {
            f"{PurePosixPath(urlparse(str(url)).path).stem}_crop": str(group["category"])
            for group in groups
            for url in np.atleast_1d(group["images"])
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the archive's: it must have the variable SUN with "
            "category and images."
        ) from error
    return np.array(
        [known.get(PurePosixPath(name).stem, "unknown").replace("\\", "/") for name in names]
    )
