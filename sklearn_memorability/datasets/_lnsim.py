"""LNSIM: 2,632 outdoor natural scenes, with the scores of random halves of the people."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_memorability._utils._files import locked
from sklearn_memorability.datasets._base import PathLike, description, image_set, read_matlab
from sklearn_memorability.datasets._download import RemoteFile, fetch_files, unpack
from sklearn_memorability.datasets._tables import need_columns, read_scores
from sklearn_memorability.images import list_images

_REPOSITORY = "JiaxinLu-home/Natural-Scene-Memorability-Dataset"
_URL = f"https://raw.githubusercontent.com/{_REPOSITORY}/3795c0ba0c1193238e78a5ae14d537156bb2c861"
_FILES = tuple(
    RemoteFile(path.rpartition("/")[2], f"{_URL}/{path}", f"git:{git_id}")
    for path, git_id in (
        ("Random_splits/subject_hrs1.mat", "3ca4fb17596c8057955f0655734ba2e962cf88b1"),
        ("Random_splits/subject_hrs2.mat", "65cc69bc63e147f65f265a018604147144b23233"),
        ("Image_data/images.z01", "a0bd99d58383ca0999ee709ea988dc26ea671e33"),
        ("Image_data/images.zip", "da2b9054aa6a26edf97939ab9b5732821bc726af"),
    )
)
_WAY_OUT = (
    "Download it with fetch_lnsim(), after removing what is left of an earlier copy, or name "
    f"the folder with a copy of https://github.com/{_REPOSITORY}."
)


def fetch_lnsim(
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    **options: Any,
) -> Any:
    """Load the 2,632 outdoor scenes of LNSIM, downloading them at first use.

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
        Passed to :func:`load_lnsim`.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        As of :func:`load_lnsim`.

    Raises
    ------
    OSError
        If it can't be downloaded, or the disk is full. The next call goes on.
    ValueError
        If a download is not the authors' file, by the hash that Git gave it.

    Examples
    --------
    >>> from sklearn_memorability.datasets import fetch_lnsim
    >>> scenes = fetch_lnsim()  # doctest: +SKIP
    """
    folder = fetch_files("lnsim", _FILES, data_home, download_if_missing, n_retries, delay)
    return load_lnsim(folder, **options)


def load_lnsim(folder: PathLike, *, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the outdoor scenes of LNSIM from a folder.

    The authors' repository has the images as a zip file in two parts. Where those lie in the
    folder, the first call unpacks them into ``images`` beside them.

    Parameters
    ----------
    folder : str or path-like
        The folder with ``subject_hrs1.mat``, ``subject_hrs2.mat`` and the images
        ``0001.jpg`` to ``2632.jpg``, or ``images.zip`` and ``images.z01`` with them, at any
        depth, such as a copy of the repository.
    return_X_y : bool, default=False
        Whether to return ``(images, target)`` alone.
    as_frame : bool, default=False
        Whether ``images`` and ``target`` are pandas Series, and ``frame`` a DataFrame.

    Returns
    -------
    sklearn.utils.Bunch or tuple
        With ``images`` in the order of their numbers, those that are not there left out;
        ``target``, the hit rate of each: the mean of both halves over all splits;
        ``halves``, two arrays of shape (25, n_images): the scores of each split's two
        random halves of the people, for
        :func:`~sklearn_memorability.metrics.split_half_consistency`; ``consistency``,
        ``ceiling``, ``score_range``, ``rule`` and ``DESCR``.

    Raises
    ------
    FileNotFoundError
        If a file of scores or all images are missing.
    ValueError
        If a file isn't the authors'.

    Notes
    -----
    Lu, Xu, Yang and Wang, "Understanding and predicting the memorability of outdoor natural
    scenes", IEEE Transactions on Image Processing 29, 2020.

    Examples
    --------
    >>> from sklearn_memorability.datasets import load_lnsim
    >>> from sklearn_memorability.metrics import split_half_consistency
    >>> scenes = load_lnsim("lnsim")  # doctest: +SKIP
    >>> round(split_half_consistency(halves=scenes.halves).consistency, 3)  # doctest: +SKIP
    0.779
    """
    root = Path(folder)
    halves = [_read_half(root, f"subject_hrs{i}") for i in (1, 2)]
    for archive in root.rglob("images.zip"):
        images = archive.with_suffix("")
        with locked(images):
            if not images.exists():
                unpack(archive, images)
    found = {path.name: path for path in list_images(root)}
    names = [f"{number:04d}.jpg" for number in range(1, halves[0].shape[1] + 1)]
    here = [i for i, name in enumerate(names) if name in found]
    if not here:
        raise FileNotFoundError(f"{os.fspath(root)!r} has no image {names[0]!r}. {_WAY_OUT}")
    rule = f"{len(here):,} of {len(names):,} images are here." if len(here) < len(names) else ""
    halves = [half[:, here] for half in halves]
    return image_set(
        [found[names[i]] for i in here],
        read_scores(np.mean(halves, axis=(0, 1)), "hit rate", (0.0, 1.0)),
        halves=halves,
        consistency=0.78,
        rule=rule,
        DESCR=description("lnsim"),
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _read_half(root: Path, name: str) -> np.ndarray:
    """Return one half's hit rates, of shape (n_splits, n_images)."""
    path = next(root.rglob(f"{name}.mat"), None)
    if path is None:
        raise FileNotFoundError(f"{os.fspath(root)!r} doesn't have '{name}.mat'. {_WAY_OUT}")
    variables = read_matlab(path)
    need_columns(path, variables, [name], _WAY_OUT)
    return np.atleast_2d(variables[name])
