"""Files that are whole or not there, and locks between processes."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to; it gets the name ``path`` when the block ends.

    If the block fails, ``path`` is as it was before. Errors name ``path``.
    """
    # Through a link, the file that it points to is replaced, not the link.
    target = Path(os.path.realpath(path))
    # The suffix is kept, as writers choose a format by it.
    draft = target.with_name(f".{target.stem}.{uuid.uuid4().hex}{target.suffix}")
    try:
        yield draft
        os.replace(draft, target)
    except OSError as error:
        # An error in writing doesn't say to which file, one in opening names the draft.
        if error.errno is not None and error.filename in (None, str(draft), draft):
            error.filename = os.fspath(path)
        raise
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write bytes, or text in UTF-8, to a file in one piece."""
    with whole_file(path) as draft:
        draft.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def locked(path: str | os.PathLike[str], *, wait: float = -1) -> Iterator[None]:
    """Keep other processes out while the block runs; a killed process lets go of its lock.

    ``wait`` is in seconds, -1 for as long as it takes. Then a BlockingIOError names ``path``.
    """
    path = Path(path)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=wait):
            yield
    except Timeout as error:
        raise BlockingIOError(
            f"Another process is using {str(path)!r}. Wait for it, or give another path."
        ) from error
