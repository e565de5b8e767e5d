"""One file over HTTP, broken off and gone on with: a downloader for pooch."""

import errno
import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

_CONNECT, _READ = 15.0, 60.0  # seconds
# What a broken connection loses at most.
_CHUNK = 1 << 16
_LONGEST_DELAY = 60.0
# Too many requests, and a server's own passing troubles.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_FULL = {errno.ENOSPC, errno.EDQUOT}


class ResumingDownloader:
    """Download to ``<name>.part``, going on where an earlier attempt was broken off.

    pooch calls it with an address and a temporary file, which it checks and moves to its
    place. The part is only gone on with if the server says that the file is still the
    same (an ``ETag``, or the date of its last change) and gives ranges of it.

    Parameters
    ----------
    part : pathlib.Path
        Where the part is kept; what is known of it goes to ``<name>.part.json`` beside.
    size : int, optional
        The size that the whole should have, where the server doesn't tell.
    n_retries : int, default=3
        How often to try again after a broken connection or a server's passing trouble.
    delay : float, default=1.0
        Seconds to wait before that, doubled each time.
    progressbar : bool, default=True
        Whether to show progress where the output is a terminal.
    """

    def __init__(
        self,
        part: Path,
        *,
        size: int | None = None,
        n_retries: int = 3,
        delay: float = 1.0,
        progressbar: bool = True,
    ) -> None:
        self.part = part
        self.note = part.with_name(part.name + ".json")
        self.size = size
        self.n_retries = n_retries
        self.delay = delay
        self.progressbar = progressbar

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:
        """Put the whole file at ``output_file``.

        Raises
        ------
        requests.RequestException
            If the server refuses, or the connection fails once too often.
        OSError
            If the disk is full. What was downloaded is kept and gone on with.
        """
        import requests

        failures, furthest = 0, self._have()
        while True:
            try:
                self._transfer(url)
                break
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                # Progress earns new attempts: a long download may break off often.
                failures = 1 if self._have() > furthest else failures + 1
                furthest = max(furthest, self._have())
                if failures > self.n_retries:
                    raise
                pause = min(self.delay * 2 ** (failures - 1), _LONGEST_DELAY)
                logger.info("%s; trying %s again in %g s", error, url, pause)
                time.sleep(pause)
        os.replace(self.part, output_file)
        self.note.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _known(self, url: str) -> dict[str, Any]:
        """Return what is known of the part: nothing, if it can't be gone on with."""
        try:
            known = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) and known.get("url") == url else {}

    def _transfer(self, url: str) -> None:
        import requests

        have, known = self._have(), self._known(url)
        if have and have == known.get("total"):
            return  # broken off after the last byte
        # Compressed on its way, a file has other bytes than its ranges and its hash.
        headers = {"Accept-Encoding": "identity"}
        if have and known.get("validator"):
            headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
        with requests.get(url, headers=headers, stream=True, timeout=(_CONNECT, _READ)) as response:
            if response.status_code in _PASSING:
                raise requests.ConnectionError(f"{response.status_code} {response.reason}")
            start = _start(response)
            same = start == have and _validator(response) in {None, known.get("validator")}
            if response.status_code == 416 or (start and not same):
                self.part.unlink()
                raise requests.ConnectionError("the server gave another part than asked for")
            response.raise_for_status()
            total = _total(response, start)
            try:
                self._write(url, response, start, total)
            except OSError as error:
                if error.errno in _FULL:
                    raise self._full(total or self.size) from error
                raise
            if total is not None and self._have() != total:
                raise requests.ConnectionError(f"ended at {self._have():,} of {total:,} bytes")

    def _write(self, url: str, response: Any, start: int, total: int | None) -> None:
        self._refuse_full_disk((total or self.size or 0) - start)
        if not start:
            # Emptied before it is described: whenever this stops, the note never
            # vouches for bytes of an earlier file.
            self.part.write_bytes(b"")
            self.note.write_text(
                json.dumps({"url": url, "validator": _validator(response), "total": total}),
                encoding="utf-8",
            )
        with (
            self.part.open("ab") as file,
            tqdm(
                total=total or self.size,
                initial=start,
                desc=self.part.stem,
                unit="B",
                unit_scale=True,
                disable=None if self.progressbar else True,
            ) as progress,
        ):
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                progress.update(len(chunk))

    def _refuse_full_disk(self, needed: int) -> None:
        if needed > shutil.disk_usage(self.part.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _full(self, total: int | None) -> OSError:
        needed = f"{total:,} bytes" if total else "a size that the server doesn't tell"
        free = shutil.disk_usage(self.part.parent).free
        return OSError(
            errno.ENOSPC,
            f"The disk of {os.fspath(self.part.parent)!r} is full: {self.part.stem!r} has "
            f"{needed}, {self._have():,} bytes are there and {free:,} are free. Make room and "
            "call again, which goes on from there, or choose another place with data_home",
        )


def _start(response: Any) -> int:
    """Return at which byte the answer begins."""
    if response.status_code != 206:
        return 0
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdigit() else -1


def _total(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _validator(response: Any) -> str | None:
    """Return what tells this version of the file from others, for If-Range."""
    tag = response.headers.get("ETag")
    # A weak tag may stay the same while bytes change.
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")
