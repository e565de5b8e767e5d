"""Archives unpacked as a whole or not at all, and never outside their folder."""

import errno
import json
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from tqdm.auto import tqdm

# Written into a folder last: what has it is whole.
MARKER = ".unpacked.json"

_ENDINGS = re.compile(r"\.(zip|tar|tar\.gz|tgz)$", re.IGNORECASE)
_DRIVE = re.compile(r"^[A-Za-z]:")
_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError)


class ArchiveError(ValueError):
    """An archive is damaged, encrypted, or holds what must not be unpacked."""


class PasswordError(ArchiveError):
    """An archive is encrypted, and its password is missing or another."""


@dataclass(frozen=True)
class _Member:
    name: str
    parts: tuple[str, ...]
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes]]


def unpacked_name(archive: str) -> str:
    """Return the name of an archive without ``.zip``, ``.tar``, ``.tar.gz`` or ``.tgz``.

    Raises
    ------
    ValueError
        If it has no such ending.
    """
    name = _ENDINGS.sub("", archive)
    if name in {"", archive}:
        raise ValueError(f"{archive!r} is no archive by its name (.zip, .tar, .tar.gz, .tgz).")
    return name


def unpack(
    archive: Path, folder: Path, *, password: str | None = None, progressbar: bool = True
) -> None:
    """Unpack an archive into a new folder.

    Everything is written to a temporary folder beside, which is moved to its place when
    it is whole. One process at a time may unpack to the same folder.

    Parameters
    ----------
    archive : pathlib.Path
        A zip or tar file, the latter as it is or compressed by gzip.
    folder : pathlib.Path
        The folder, which must not be there yet.
    password : str, optional
        The password of an encrypted zip file.
    progressbar : bool, default=True
        Whether to show progress where the output is a terminal.

    Raises
    ------
    ArchiveError
        If the archive is damaged or encrypted, or a member is a link or a device, would
        lie outside the folder, or on top of another member. A :class:`ValueError`.
    OSError
        If the disk has no room.

    Notes
    -----
    Owners, dates and permissions are not taken from the archive.
    """
    temporary = folder.with_name(folder.name + ".unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _members(archive, password) as members:
            _refuse_overlaps(archive, members)
            total = sum(member.size for member in members)
            if total > shutil.disk_usage(folder.parent).free:
                raise _full(archive, folder, total)
            try:
                _write(archive, members, temporary, total, progressbar)
            except OSError as error:
                if error.errno in _FULL:
                    raise _full(archive, folder, total) from error
                raise
        os.replace(temporary, folder)
    except _DAMAGES as error:
        # The format's own check of a password lets one wrong one in 256 pass.
        doubt = "" if password is None else ", or its password is another"
        raise ArchiveError(
            f"The archive {os.fspath(archive)!r} is damaged or not complete ({error}){doubt}. "
            "Remove it and download it again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _members(archive: Path, password: str | None) -> Iterator[list[_Member]]:
    with ExitStack() as stack:
        with _damage_told(archive):
            if archive.suffix.lower() == ".zip":
                file = stack.enter_context(zipfile.ZipFile(archive))
                members = [_zip_member(archive, file, info, password) for info in file.infolist()]
            else:
                tape = stack.enter_context(tarfile.open(archive, "r:*", tarinfo=_TarInfo))
                members = [_tar_member(archive, tape, info) for info in tape.getmembers()]
                _read_to_the_end(tape)
        yield members


@contextmanager
def _damage_told(archive: Path) -> Iterator[None]:
    """Let whatever a damaged archive leads its reader to be one error."""
    try:
        yield
    except (ArchiveError, *_DAMAGES):
        raise
    except Exception as error:
        # zipfile, tarfile and what they decompress with have errors of many kinds for it,
        # some of them an OSError that isn't the system's.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            error.filename = os.fspath(archive)
            raise
        raise tarfile.ReadError(str(error) or type(error).__name__) from error


class _TarInfo(tarfile.TarInfo):
    """A member of a tar file; what describes one may not be large, as it is held in memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if not (info.isreg() or info.isdir()) and info.size > _CHUNK:
            raise tarfile.ReadError(f"the description of a member has {info.size:,} bytes")
        return info


def _read_to_the_end(tape: tarfile.TarFile) -> None:
    """Find out that a tar file is whole, which tarfile leaves open in two ways."""
    file: Any = tape.fileobj
    file.seek(tape.offset)
    # A file cut off between two members, or with a damaged member, looks whole but for the
    # mark of the end, a block of zeros.
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("its end is missing")
    # gzip compares its check sum when it comes to the end of the file.
    while file.read(_CHUNK):
        pass


def _zip_member(
    archive: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo, password: str | None
) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise _refused(archive, info.filename, "is a link or a device")
    if info.flag_bits & 0x1 and password is None:
        raise PasswordError(f"The archive {os.fspath(archive)!r} is encrypted: give its password.")

    def opened() -> IO[bytes]:
        try:
            return file.open(info, pwd=None if password is None else password.encode())
        except RuntimeError as error:
            if isinstance(error, NotImplementedError):
                raise
            raise PasswordError(
                f"The password of {os.fspath(archive)!r} is not the one given."
            ) from error

    name = info.filename
    return _Member(name, _parts(archive, name), name.endswith("/"), info.file_size, opened)


def _tar_member(archive: Path, tape: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    if not (info.isreg() or info.isdir()):
        raise _refused(archive, info.name, "is a link or a device")

    def opened() -> IO[bytes]:
        file = tape.extractfile(info)
        if file is None:
            raise tarfile.ReadError(f"{info.name!r} can't be read")
        return file

    return _Member(info.name, _parts(archive, info.name), info.isdir(), info.size, opened)


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    plain = name.replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in {"", "."})
    if plain.startswith("/") or _DRIVE.match(plain) or ".." in parts or "\0" in plain:
        raise _refused(archive, name, "would lie outside the folder")
    return parts


def _refuse_overlaps(archive: Path, members: list[_Member]) -> None:
    files: set[tuple[str, ...]] = {(MARKER,)}
    folders: set[tuple[str, ...]] = {()}
    for member in members:
        deeper = [member.parts[:depth] for depth in range(1, len(member.parts))]
        if member.is_folder:
            deeper.append(member.parts)
        elif member.parts in files or member.parts in folders:
            raise _refused(archive, member.name, "is there twice")
        else:
            files.add(member.parts)
        folders.update(deeper)
        if not files.isdisjoint(deeper):
            raise _refused(archive, member.name, "wants a folder where there is a file")


def _write(
    archive: Path, members: list[_Member], folder: Path, total: int, progressbar: bool
) -> None:
    folder.mkdir()
    with tqdm(
        total=total,
        desc=f"Unpacking {archive.name}",
        unit="B",
        unit_scale=True,
        disable=None if progressbar else True,
    ) as progress:
        for member in members:
            path = folder.joinpath(*member.parts)
            if member.is_folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            written = 0
            with path.open("xb") as target:
                for chunk in _content(archive, member):
                    written += len(chunk)
                    if written > member.size:
                        break
                    target.write(chunk)
                    progress.update(len(chunk))
            if written != member.size:
                raise tarfile.ReadError(f"{member.name!r} has not the {member.size:,} bytes stated")
    (folder / MARKER).write_text(
        json.dumps({"archive": archive.name, "members": len(members), "bytes": total}),
        encoding="utf-8",
    )


def _content(archive: Path, member: _Member) -> Iterator[bytes]:
    with _damage_told(archive), member.open() as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def _refused(archive: Path, member: str, why: str) -> ArchiveError:
    return ArchiveError(
        f"The archive {os.fspath(archive)!r} is not unpacked: its member {member!r} {why}."
    )


def _full(archive: Path, folder: Path, total: int) -> OSError:
    free = shutil.disk_usage(folder.parent).free
    return OSError(
        errno.ENOSPC,
        f"The disk of {os.fspath(folder.parent)!r} is full: {archive.name!r} needs {total:,} "
        f"bytes unpacked, {free:,} are free. Make room and call again, or choose another "
        "place with data_home",
    )
