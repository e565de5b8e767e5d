"""Files of published sets: downloaded once, checked, and kept in a folder a set."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlparse

from sklearn.datasets import get_data_home

from sklearn_memorability.datasets._download import ResumingDownloader
from sklearn_memorability.datasets._osf import osf_files
from sklearn_memorability.datasets._record import (
    RECORD,
    alone,
    file_hash,
    record,
    recorded,
    recorded_hash,
)
from sklearn_memorability.datasets._unpack import (
    MARKER,
    ArchiveError,
    PasswordError,
    unpack,
    unpacked_name,
)

logger = logging.getLogger(__name__)

_OSF = "osf"


@dataclass(frozen=True)
class RemoteFile:
    """A file that a set needs.

    Attributes
    ----------
    name : str
        Its name in the set's folder.
    url : str
        Its address, http or https; or ``osf:<node>`` for the file of this name in a
        project on the Open Science Framework, which tells its hash and size.
    known_hash : str or None
        Its hash, as pooch writes it: ``"sha256:..."`` or ``"md5:..."``. Where it isn't
        known, the hash of the first download is recorded and holds for later ones.
    size : int or None
        Its size in bytes, if known.
    unpack : bool
        Whether it is an archive to be unpacked into a folder of its name without the
        ending. The archive is then removed.
    password : str or None
        The archive's, if it is encrypted.
    """

    name: str
    url: str
    known_hash: str | None = None
    size: int | None = None
    unpack: bool = False
    password: str | None = field(default=None, repr=False)

    @property
    def kept_as(self) -> str:
        """The name of the file or folder that is there in the end."""
        return unpacked_name(self.name) if self.unpack else self.name


def fetch_files(
    dataset: str,
    files: Sequence[RemoteFile],
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    progressbar: bool = True,
) -> Path:
    """Return the folder with a set's files, downloading those that are not there.

    Parameters
    ----------
    dataset : str
        The set's name, which is its folder's.
    files : sequence of RemoteFile
        What it needs.
    data_home : str or path-like, optional
        Where sets are kept; by default scikit-learn's own data home. The folder is
        ``memorability/<dataset>`` in it.
    download_if_missing : bool, default=True
        Whether to download what is missing; otherwise that is an error.
    n_retries : int, default=3
        How often to try again after a broken connection or a server's passing trouble.
    delay : float, default=1.0
        Seconds to wait before the first such attempt, doubled for each further one.
    progressbar : bool, default=True
        Whether to show progress where the output is a terminal.

    Returns
    -------
    pathlib.Path
        The folder. A broken download leaves ``<name>.part`` there, with which the next
        call goes on.

    Raises
    ------
    OSError
        If a file is missing and may not be downloaded, the download fails, or the disk is
        full.
    ValueError
        If a file isn't the one that was expected, by its hash, or an archive can't be
        unpacked safely.
    ImportError
        If something must be downloaded and pooch is not installed.
    """
    folder = Path(get_data_home(data_home)) / "memorability" / dataset
    for file in files:
        _check(file)
    needed = [file for file in files if not _is_there(folder, file)]
    if not needed:
        return folder
    if not download_if_missing:
        _refuse_missing(folder, [file for file in needed if not (folder / file.name).is_file()])
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        for file in needed:
            if _is_there(folder, file):
                continue  # another process has brought it meanwhile
            path = folder / file.name
            trusted = _is_right(path, file)
            if not trusted:
                if not download_if_missing:
                    _refuse_missing(folder, [file])
                trusted = _download(
                    path, file, n_retries=n_retries, delay=delay, progressbar=progressbar
                )
            if file.unpack:
                try:
                    unpack(
                        path, folder / file.kept_as, password=file.password, progressbar=progressbar
                    )
                except PasswordError:
                    raise
                except ArchiveError:
                    # Where no hash was known, only this tells that the download is no good.
                    if not trusted:
                        path.unlink()
                    raise
            record(path, file.url)
            if file.unpack:
                path.unlink()
    return folder


def _check(file: RemoteFile) -> None:
    if file.name in {"", ".", ".."} or any(mark in file.name for mark in "/\\:"):
        raise ValueError(f"{file.name!r} is no plain file name.")
    if urlparse(file.url).scheme not in {"http", "https", _OSF}:
        raise ValueError(f"{file.url!r} is no address on the web (http or https).")


def _page(file: RemoteFile) -> str:
    address = urlparse(file.url)
    return f"https://osf.io/{address.path}" if address.scheme == _OSF else file.url


def _refuse_missing(folder: Path, missing: list[RemoteFile]) -> None:
    if missing:
        raise OSError(
            f"These files are missing from {os.fspath(folder)!r} or are not those expected: "
            f"{', '.join(file.name for file in missing)}. Call with download_if_missing=True, "
            "or put them there yourself: "
            + "; ".join(f"{file.name} from {_page(file)}" for file in missing)
            + "."
        )


def _is_there(folder: Path, file: RemoteFile) -> bool:
    path = folder / file.kept_as
    if not file.unpack:
        # Hashing gigabytes at each call would be slow: a file whose hash was right when it
        # was recorded is known by its size.
        size = recorded(path).get("size")
        return path.is_file() and path.stat().st_size == size
    if path.exists() and not (path / MARKER).is_file():
        raise FileExistsError(
            f"{os.fspath(path)!r} is there, but was not unpacked by this function. To use it, "
            f"pass its folder to the load_... function; to download {file.name!r}, move it away."
        )
    return path.exists()


def _is_right(path: Path, file: RemoteFile) -> bool:
    """Say whether what lies there, say put there by hand, can be taken for the file."""
    if not path.is_file():
        return False
    expected = file.known_hash or recorded_hash(path)
    if expected is None or file_hash(path, expected.partition(":")[0]) == expected.lower():
        return True
    logger.warning("%s is not the file expected (%s) and is downloaded anew", path, expected)
    return False


def _download(
    path: Path, file: RemoteFile, *, n_retries: int, delay: float, progressbar: bool
) -> bool:
    """Download a file and say whether its hash was known beforehand."""
    try:
        import pooch
        import requests
    except ImportError as error:
        raise ImportError(
            'Downloading needs pooch: pip install "sklearn-memorability[datasets]"'
        ) from error
    first_hash = None
    # A process that was killed has left pooch's temporary files behind.
    incoming = path.parent / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        if urlparse(file.url).scheme == _OSF:
            file = _on_osf(file, n_retries=n_retries, delay=delay)
        first_hash = None if file.known_hash else recorded_hash(path)
        logger.info("Downloading %s to %s", file.url, path)
        with _quiet(pooch.get_logger()):
            whole = pooch.retrieve(
                file.url,
                known_hash=file.known_hash or first_hash,
                fname=path.name,
                path=incoming,
                downloader=ResumingDownloader(
                    path.with_name(path.name + ".part"),
                    size=file.size,
                    n_retries=n_retries,
                    delay=delay,
                    progressbar=progressbar,
                ),
            )
        os.replace(whole, path)
        return (file.known_hash or first_hash) is not None
    except requests.RequestException as error:
        raise OSError(
            f"{file.name!r} could not be downloaded ({error}).\n"
            f"  from:         {_page(file)}\n"
            f"  to be put at: {path}\n"
            "Call again, which goes on where it was broken off, or download it elsewhere "
            "and put it there."
        ) from error
    except ValueError as error:
        if first_hash is None:
            raise
        raise ValueError(
            f"{error} This hash is of the first download, from {path.parent / RECORD}; if the "
            f"publishers have changed {file.name!r} since, remove its entry there."
        ) from error
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _on_osf(file: RemoteFile, *, n_retries: int, delay: float) -> RemoteFile:
    node = urlparse(file.url).path
    listed = osf_files(node, n_retries=n_retries, delay=delay)
    # Names differ in case between the service and what its archives unpack to.
    names = {name.casefold(): name for name in listed}
    if file.name.casefold() not in names:
        raise FileNotFoundError(
            f"https://osf.io/{node} has no file {file.name!r}; it has {sorted(listed)[:20]}."
        )
    found = listed[names[file.name.casefold()]]
    return replace(file, **{**found, "known_hash": file.known_hash or found["known_hash"]})


@contextmanager
def _quiet(theirs: logging.Logger) -> Iterator[None]:
    """Keep pooch from advising on hashes, which users of this package have no use for."""
    level = theirs.level
    theirs.setLevel(logging.WARNING)
    try:
        yield
    finally:
        theirs.setLevel(level)
