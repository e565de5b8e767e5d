"""The first set of all: 2,222 scenes of the SUN database."""

import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from sklearn_memorability._utils._files import locked
from sklearn_memorability.datasets._base import (
    COUNTS,
    PathLike,
    check_correction,
    description,
    folder_with,
    image_set,
    read_matlab,
    scores_from_counts,
)
from sklearn_memorability.datasets._download import RemoteFile, fetch_files
from sklearn_memorability.datasets._tables import read_counts

_URL = "https://web.mit.edu/phillipi/Public/WhatMakesAnImageMemorable/cvpr_memorability_data.zip"
_FILES = (RemoteFile("cvpr_memorability_data.zip", _URL),)
_PIXELS = "Data/Image data/target_images.mat"
_RESPONSES = "Data/Experiment data/sorted_target_data.mat"
_CATEGORIES = "Data/Image data/SUN_urls.mat"
# 178 more were shown, which are textures; the paper leaves them out.
_N_SCENES = 2222
_WAY_OUT = (
    "Download it with fetch_isola(), after removing what is left of an earlier copy, or unpack "
    f"{_URL} and name the folder that has 'Data'."
)


def fetch_isola(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    **options: Any,
) -> Any:
    """Load the 2,222 scenes of Isola et al., downloading them at first use.

    Parameters
    ----------
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    **options
        Passed to :func:`load_isola`.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_isola`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If the download is damaged.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_isola
    >>> scenes = fetch_isola()  # doctest: +SKIP
    """
    folder = fetch_files("isola", _FILES, data_home, download_if_missing, n_retries, delay)
    return load_isola(folder, **options)


def load_isola(
    folder: PathLike, *, correction: str = "none", return_X_y: bool = False, as_frame: bool = False
) -> Any:
    """Load the 2,222 scenes of Isola et al. from a folder.

    The images come inside a MATLAB file. The first call writes them as PNG files into
    the folder ``images`` beside ``Data``, which takes about a minute.

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
        doesn't have the image), or None without that list; ``consistency``,
        ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If there is no such folder or a file of the archive is missing.
    ValueError
        If ``correction`` is unknown or a file isn't what the archive has.

    Notes
    -----
    Isola et al., "What makes an image memorable?", CVPR 2011. Of the 2,400 images of
    the archive, the first 2,222 are the paper's.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_isola
    >>> scenes = load_isola("cvpr_memorability_data")  # doctest: +SKIP
    """
    score_range = check_correction(correction)
    root = _root(folder)
    names, counts = _read_responses(root)
    return image_set(
        isola_images(root),
        scores_from_counts(counts, correction),
        score_range=score_range,
        groups=_categories(root, names),
        counts=counts,
        consistency=0.75,
        rule=f"The first {len(names):,} images of the archive; the textures after are left out.",
        DESCR=description("isola"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def isola_images(folder: PathLike) -> list[Path]:
    """Return the images of the archive, in its order; the first call writes them as PNG files."""
    root = _root(folder)
    names, _ = _read_responses(root)
    images = root / "images"
    paths = [images / f"{i:04d}_{PurePosixPath(name).stem}.png" for i, name in enumerate(names, 1)]
    if not images.is_dir():
        with locked(images):
            # Another process may have written them meanwhile.
            if not images.is_dir():
                _write_images(root / _PIXELS, images, [path.name for path in paths])
    lacking = [path.name for path in paths if not path.is_file()]
    if lacking:
        raise FileNotFoundError(
            f"{os.fspath(images)!r} lacks {len(lacking):,} images, such as {lacking[0]!r}. "
            "Remove that folder, and they are written again."
        )
    return paths


def _root(folder: PathLike) -> Path:
    archive = "cvpr_memorability_data"
    return folder_with(folder, [_PIXELS, _RESPONSES], [archive, f"{archive}/{archive}"], _WAY_OUT)


def _read_responses(root: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    path = root / _RESPONSES
    variables = read_matlab(path)
    try:
        records = np.atleast_1d(variables["sorted_target_data"])[:_N_SCENES]
        # Windows wrote some of the paths.
        files = [str(record["filepath"]).replace("\\", "/") for record in records]
        counts = {count: [record[count] for record in records] for count in COUNTS}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the archive's: it must have the variable "
            f"sorted_target_data with filepath, {', '.join(COUNTS)} of each image. {_WAY_OUT}"
        ) from error
    names = [PurePosixPath(file).name for file in files]
    return names, {count: read_counts(counts[count], count) for count in COUNTS}


def _write_images(path: Path, folder: Path, names: list[str]) -> None:
    """Write the images of the MATLAB file to a folder, which is whole or not there."""
    pixels = np.asarray(read_matlab(path).get("img", ()))
    if pixels.ndim != 4 or pixels.shape[2] != 3 or pixels.shape[3] < len(names):
        raise ValueError(
            f"{os.fspath(path)!r} has a variable img of shape {pixels.shape}; expected are height "
            f"x width x 3 x at least {len(names):,} images."
        )
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for i, name in enumerate(tqdm(names, desc="Writing images", disable=None)):
        image = np.ascontiguousarray(pixels[..., i], dtype=np.uint8)
        Image.fromarray(image).save(draft / name)
    os.replace(draft, folder)


def _categories(root: Path, names: list[str]) -> np.ndarray | None:
    path = root / _CATEGORIES
    if not path.is_file():
        return None
    variables = read_matlab(path)
    try:
        category_of = {
            f"{PurePosixPath(urlparse(str(url)).path).stem}_crop": str(group["category"])
            for group in np.atleast_1d(variables["SUN"])
            for url in np.atleast_1d(group["images"])
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} isn't the archive's: it must have the variable SUN with "
            "category and images."
        ) from error
    categories = [category_of.get(PurePosixPath(name).stem, "unknown") for name in names]
    return np.array([category.replace("\\", "/") for category in categories])
