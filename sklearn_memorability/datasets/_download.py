"""Files of published sets: downloaded once, checked, unpacked, kept in one folder a set."""

import gzip
import hashlib
import io
import os
import re
import shutil
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from sklearn.datasets import get_data_home
from tqdm.auto import tqdm

from sklearn_memorability._utils._extras import import_extra
from sklearn_memorability._utils._files import locked
from sklearn_memorability.datasets._base import PathLike

_OSF = "https://api.osf.io/v2"
_TIMEOUT = (15.0, 60.0)  # seconds, to connect and to read
_CHUNK = 1 << 16  # bytes that a broken connection loses at most


@dataclass(frozen=True)
class RemoteFile:
    """A file of a set: name, address, hash as pooch writes it; an archive may have a password.

    ``osf:<node>`` is the file of this name in a project of the Open Science Framework. A hash
    ``git:<id>`` is the one by which Git knows the content. A zip file in parts is
    ``name.z01``, ... and then ``name.zip``.
    """

    name: str
    url: str
    known_hash: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def kept_as(self) -> str:
        """The file's name, or that of the folder to which an archive is unpacked."""
        return re.sub(r"\.(zip|z\d\d|tar\.gz)$", "", self.name)


def fetch_files(
    dataset: str,
    files: Sequence[RemoteFile],
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
) -> Path:
    """Return the folder with a set's files; download and unpack those that are not there.

    A file gets its name when it is whole and checked, so one that is there needs no second look.
    """
    folder = Path(get_data_home(data_home)) / "memorability" / dataset
    if all((folder / file.kept_as).exists() for file in files):
        return folder
    missing = [
        f"{file.name} from {file.url.replace('osf:', 'https://osf.io/')}"
        for file in files
        if not ((folder / file.kept_as).exists() or (folder / file.name).exists())
    ]
    if missing and not download_if_missing:
        raise OSError(
            f"Files are missing from {os.fspath(folder)!r}. Call with download_if_missing=True, "
            f"or put them there yourself: {'; '.join(missing)}."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        for file in files:
            path, kept = folder / file.name, folder / file.kept_as
            if kept.exists():
                continue
            if not path.exists():
                _download(path, file, n_retries, delay)
            if path.suffix in (".zip", ".gz"):
                unpack(path, kept, file.password)
                for part in _parts(path):
                    part.unlink()
    return folder


def _download(path: Path, file: RemoteFile, n_retries: int, delay: float) -> None:
    """Download a file through pooch, which checks its hash."""
    pooch = import_extra("pooch", "Downloading", "datasets")
    import requests  # which pooch needs

    url, known_hash = file.url, file.known_hash
    try:
        if url.startswith("osf:"):
            url, known_hash = _find_on_osf(url.removeprefix("osf:"), file.name, n_retries, delay)
        git_id = (known_hash or "").partition("git:")[2]
        downloader = _ResumingDownloader(path, n_retries, delay, git_id)
        known_hash = None if git_id else known_hash
        pooch.retrieve(url, known_hash, fname=path.name, path=path.parent, downloader=downloader)
    except requests.RequestException as error:
        raise OSError(
            f"{file.name!r} could not be downloaded from {url} ({error}). Call again, which goes "
            f"on where it broke off, or put the file at {os.fspath(path)!r} yourself."
        ) from error


class _ResumingDownloader:
    """Downloader for pooch: keeps what came in a part file and goes on with it.

    It goes on if the server gives ranges and says, by ETag or date, that the file is the same.
    """

    def __init__(self, path: Path, n_retries: int, delay: float, git_id: str) -> None:
        self.part = path.with_name(f"{path.name}.part")
        self.version = path.with_name(f"{path.name}.part.version")
        self.n_retries, self.delay, self.git_id = n_retries, delay, git_id

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:
        failures, furthest = 0, self._size()
        with _session(self.n_retries, self.delay) as session:
            while (error := self._transfer(session, url)) is not None:
                # Progress earns new attempts: a long download may break off often.
                failures = 1 if self._size() > furthest else failures + 1
                furthest = max(furthest, self._size())
                if failures > self.n_retries:
                    raise error
                time.sleep(min(self.delay * 2 ** (failures - 1), 60))
        os.replace(self.part, output_file)
        self.version.unlink(missing_ok=True)
        if self.git_id and (found := _git_id(Path(output_file))) != self.git_id:
            # pooch removes it.
            raise ValueError(f"{url} has the Git hash {found}; expected git:{self.git_id}.")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _transfer(self, session: Any, url: str) -> Exception | None:
        """Append what is missing to the part; return what broke the connection, if it broke."""
        import requests

        have = self._size()
        version = self.version.read_text(encoding="utf-8") if self.version.exists() else ""
        # Compressed on its way, a file has other bytes than its ranges and its hash.
        headers = {"Accept-Encoding": "identity"}
        if have and version:
            headers |= {"Range": f"bytes={have}-", "If-Range": version}
        with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            given = response.headers.get("Content-Range", "")
            if response.status_code == 416 and given == f"bytes */{have}":
                return None  # broken off after the last byte
            resumed = given.startswith(f"bytes {have}-") and _version(response) in ("", version)
            if response.status_code == 416 or (response.status_code == 206 and not resumed):
                self.part.unlink()
                return requests.ConnectionError(
                    "the server gave another part than the one asked for"
                )
            response.raise_for_status()
            if response.status_code != 206:
                # Emptied first, so that a version never vouches for bytes of another one.
                self.part.write_bytes(b"")
                self.version.write_text(_version(response), encoding="utf-8")
                have = 0
            length = int(response.headers.get("Content-Length", 0))
            progress = tqdm(
                desc=self.part.stem,
                total=have + length or None,
                initial=have,
                unit="B",
                unit_scale=True,
                disable=None,
            )
            with self.part.open("ab") as file, progress:
                try:
                    for chunk in response.iter_content(_CHUNK):
                        file.write(chunk)
                        progress.update(len(chunk))
                except (
                    requests.ConnectionError,
                    requests.exceptions.ChunkedEncodingError,
                ) as error:
                    return error
        if length and self._size() != have + length:
            return requests.ConnectionError(f"ended at {self._size():,} of {have + length:,} bytes")
        return None


def _git_id(path: Path) -> str:
    """Return the hash by which Git knows a file's content."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


def _version(response: Any) -> str:
    """Return what tells this version of a file from others, for If-Range."""
    tag = response.headers.get("ETag", "")
    # A weak tag may stay the same while bytes change.
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _session(n_retries: int, delay: float) -> Any:
    """Return a session that tries again where a server can't be reached or is busy."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retries = Retry(
        n_retries, backoff_factor=delay, status_forcelist=(408, 425, 429, 500, 502, 503, 504)
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retries))
    return session


def _find_on_osf(node: str, name: str, n_retries: int, delay: float) -> tuple[str, str]:
    """Return the address and hash of a file of a project on the Open Science Framework."""
    pages = [f"{_OSF}/nodes/{node}/files/osfstorage/?page[size]=100"]
    with _session(n_retries, delay) as session:
        while pages:
            response = session.get(pages.pop(), timeout=_TIMEOUT)
            response.raise_for_status()
            page = response.json()
            for entry in page["data"]:
                attributes = entry["attributes"]
                if attributes["kind"] == "folder":
                    pages.append(entry["relationships"]["files"]["links"]["related"]["href"])
                # Names differ in case between the service and what its archives unpack to.
                elif attributes["name"].casefold() == name.casefold():
                    sha256 = attributes["extra"]["hashes"]["sha256"]
                    return entry["links"]["download"], f"sha256:{sha256}"
            if page["links"]["next"]:
                pages.append(page["links"]["next"])
    raise FileNotFoundError(f"https://osf.io/{node} has no file {name!r}.")


def unpack(archive: Path, folder: Path, password: str | None = None) -> None:
    """Unpack a ``.zip`` or ``.tar.gz`` into a new folder, which is whole or not there.

    Earlier parts of a split ``.zip``, ``.z01`` and on, lie beside it.
    """
    draft = folder.with_name(f"{folder.name}.unpacking")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        if archive.suffix == ".zip":
            _unzip(archive, draft, password)
        else:
            _untar(archive, draft)
        os.replace(draft, folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        # A zip file's own check of its password lets one wrong one in 256 pass.
        doubt = "" if password is None else " Or the password is wrong."
        raise ValueError(
            f"The archive {os.fspath(archive)!r} can't be unpacked: {error}. Remove it, and the "
            f"next call downloads it again.{doubt}"
        ) from error
    except RuntimeError as error:  # of an encrypted zip file
        raise ValueError(
            f"The archive {os.fspath(archive)!r} needs its password, or another one: {error}"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unzip(archive: Path, folder: Path, password: str | None) -> None:
    """Unpack a zip file; zipfile makes plain files and folders inside ``folder`` of all members."""
    pwd = None if password is None else password.encode()
    parts = _parts(archive)
    with zipfile.ZipFile(archive if len(parts) == 1 else _joined(parts)) as file:
        for member in tqdm(file.infolist(), f"Unpacking {archive.name}", disable=None):
            file.extract(member, folder, pwd)


def _parts(archive: Path) -> list[Path]:
    """Return all parts of a zip file, of which ``archive`` is the last."""
    return [*sorted(archive.parent.glob(f"{archive.stem}.z[0-9][0-9]")), archive]


def _joined(parts: list[Path]) -> io.BytesIO:
    """Return a zip file in parts as one, in which places no longer count from a part's start."""
    starts = [0, *accumulate(part.stat().st_size for part in parts)]
    data = bytearray().join(part.read_bytes() for part in parts)
    end = data.rfind(b"PK\5\6")
    n_members, size = struct.unpack_from("<HL", data, end + 10)
    at = end - size
    struct.pack_into("<4H2L", data, end + 4, 0, 0, n_members, n_members, size, at)
    for _ in range(n_members):
        number, kind, mode, place = struct.unpack_from("<2H2L", data, at + 34)
        struct.pack_into("<2H2L", data, at + 34, 0, kind, mode, starts[number] + place)
        at += 46 + sum(struct.unpack_from("<3H", data, at + 28))
    return io.BytesIO(data)


def _untar(archive: Path, folder: Path) -> None:
    """Unpack a tar file; a member that is a link or would leave ``folder`` is an error."""
    with tarfile.open(archive, "r:gz") as file:
        for member in tqdm(file, f"Unpacking {archive.name}", disable=None):
            if not (member.isreg() or member.isdir()):
                raise tarfile.TarError(f"its member {member.name!r} is a link or a device")
            file.extract(member, folder, filter="data")
        # gzip compares its checksum only when its end is read, which tarfile doesn't do.
        while file.fileobj and file.fileobj.read(1 << 20):
            pass
