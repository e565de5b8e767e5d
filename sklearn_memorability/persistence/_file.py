"""The file: a plain archive of known members, each under its hash."""

import hashlib
import io
import json
import os
import re
import uuid
import zipfile
from pathlib import Path
from typing import Any

FORMAT = "sklearn-memorability model"
FORMAT_VERSION = 1
SUFFIX = ".skops"

SCHEMA = "schema.json"
_FACTS = "facts.json"
_NAMES = re.compile(r"schema\.json|(array-\d{1,6})\.npy|(network|embedding)-\d{1,6}\.safetensors")
_MOST_MEMBERS = 100_000
_LARGEST_FACTS = 50_000_000

# The same model makes the same bytes, whenever it is saved.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def write(path: Path, members: dict[str, bytes], facts: dict[str, Any]) -> None:
    """Write members and facts, so that there is either the whole file or none.

    Parameters
    ----------
    path : pathlib.Path
        The file; it must end in ``.skops``.
    members : dict of str to bytes
        What is in it.
    facts : dict
        What is known of it, as JSON can hold it; the format and the members' hashes are
        added.
    """
    if path.suffix != SUFFIX:
        raise ValueError(f"{str(path)!r} must end in {SUFFIX}, which is what is written.")
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, **facts}
    head["members"] = {name: hash_of(content) for name, content in members.items()}
    content = pack({_FACTS: json.dumps(head, indent=1).encode(), **members})
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        # What fails while it writes doesn't say to which file.
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def pack(members: dict[str, bytes]) -> bytes:
    """Return an archive of members, not compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_DATE), content)
    return buffer.getvalue()


def read_facts(path: Path) -> dict[str, Any]:
    """Read what is known of a file, and nothing else of it.

    Raises
    ------
    FileNotFoundError, ValueError
        As for :func:`read`.
    """
    with _Archive(path) as archive:
        return archive.facts()


def read(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Read what :func:`write` wrote.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    members : dict of str to bytes
        What is in it, each checked against its hash.
    facts : dict
        What is known of it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, another kind of file, or of a newer format.
    """
    with _Archive(path) as archive:
        facts = archive.facts()
        hashes = facts["members"]
        names = archive.names - {_FACTS}
        if names != set(hashes):
            raise archive.error(
                f"it holds {sorted(names ^ set(hashes))[:3]} where its facts say otherwise."
            )
        members = {name: archive.read(name) for name in sorted(names)}
        for name, content in members.items():
            if hash_of(content) != hashes[name]:
                raise archive.error(f"{name} is not what was written (its hash is another).")
    return members, facts


def hash_of(content: bytes) -> str:
    """Return the SHA-256, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(path: Path, reason: object) -> ValueError:
    """Return the error for a file that can't be read as a model."""
    return ValueError(f"{str(path)!r} can't be read as a model: {reason}")


class _Archive:
    """An archive whose table of contents has been checked."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"There is no file of a model at {str(path)!r}.")
        self.path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
            raise self.error(error) from error
        try:
            self.names = self._checked_names()
        except ValueError:
            self._archive.close()
            raise

    def __enter__(self) -> "_Archive":
        return self

    def __exit__(self, *raised: object) -> None:
        self._archive.close()

    def error(self, reason: object) -> ValueError:
        return unreadable(self.path, reason)

    def read(self, name: str) -> bytes:
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError) as error:
            raise self.error(error) from error

    def facts(self) -> dict[str, Any]:
        if _FACTS not in self.names:
            raise self.error(f"it has no {_FACTS}: save from this package did not write it.")
        if self._archive.getinfo(_FACTS).file_size > _LARGEST_FACTS:
            raise self.error(f"its {_FACTS} is too large.")
        try:
            facts = json.loads(self.read(_FACTS))
        except (ValueError, RecursionError) as error:
            raise self.error(f"its {_FACTS} is no JSON ({error}).") from error
        if not isinstance(facts, dict) or facts.get("format") != FORMAT:
            raise self.error("save from this package did not write it.")
        version = facts.get("format_version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise self.error(
                f"its format is {version!r:.20}, and this version of sklearn-memorability reads up "
                f"to {FORMAT_VERSION}. Update: pip install -U sklearn-memorability"
            )
        if not isinstance(facts.get("members"), dict):
            raise self.error("its facts don't list its members.")
        return facts

    def _checked_names(self) -> set[str]:
        infos = self._archive.infolist()
        if len(infos) > _MOST_MEMBERS:
            raise self.error(f"it has {len(infos)} members.")
        names = {info.filename for info in infos}
        if len(names) < len(infos):
            raise self.error("a member is in it twice.")
        for info in infos:
            if info.filename != _FACTS and not _NAMES.fullmatch(info.filename):
                raise self.error(f"{info.filename!r:.80} is no member of a model.")
            # What is not compressed can't be larger than the file that it is in.
            if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
                raise self.error(f"{info.filename} is compressed or encrypted; no model is.")
        if (
            sum(max(info.file_size, info.compress_size) for info in infos)
            > os.stat(self.path).st_size
        ):
            raise self.error("its members are larger than the file.")
        return names
