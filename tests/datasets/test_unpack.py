import errno
import io
import json
import os
import re
import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from sklearn_memorability.datasets import _unpack
from sklearn_memorability.datasets._unpack import (
    ArchiveError,
    PasswordError,
    unpack,
    unpacked_name,
)

FILES = {"top.txt": b"top", "a/b/deep.txt": b"deep", "a/empty.txt": b""}


def _member(name, kind=tarfile.REGTYPE, target="", content=b"x", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    return info, content


def _tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def _archive(folder, name):
    """FILES and an empty folder in an archive of any kind."""
    path = folder / name
    if name.endswith(".zip"):
        return _zip(path, [*FILES.items(), ("bare/", b"")])
    members = [_member(name, content=content) for name, content in FILES.items()]
    members.append(_member("bare", tarfile.DIRTYPE))
    return _tar(path, members, "w" if name.endswith(".tar") else "w:gz")


@pytest.fixture
def refused(tmp_path):
    """Check that an archive is refused and leaves nothing, not even outside."""

    def check(archive, message, error=ArchiveError):
        inside = tmp_path / "inside"
        inside.mkdir(exist_ok=True)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(error, match=message) as caught:
            unpack(archive, inside / "set")
        assert sorted(tmp_path.rglob("*")) == before
        return caught.value

    return check


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz", "set.tgz"])
def test_all_files_are_unpacked_and_marked_as_whole(tmp_path, name):
    folder = tmp_path / "set"
    unpack(_archive(tmp_path, name), folder)
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    marker = json.loads(found.pop(".unpacked.json"))
    assert found == FILES
    assert (folder / "bare").is_dir()
    assert marker == {"archive": name, "members": 4, "bytes": 7}
    assert sorted(os.listdir(tmp_path)) == sorted(["set", name])


def test_names_of_folders_are_those_of_the_archives():
    assert unpacked_name("lamem.tar.gz") == "lamem"
    assert unpacked_name("Targets.ZIP") == "Targets"
    for name in ("table.csv", ".zip"):
        with pytest.raises(ValueError, match="no archive by its name"):
            unpacked_name(name)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (_member("../out.txt"), "outside"),
        (_member("a/../../out.txt"), "outside"),
        (_member("/out.txt"), "outside"),
        (_member("C:/out.txt"), "outside"),
        (_member("..\\out.txt"), "outside"),
        (_member("link", tarfile.SYMTYPE, "/etc/passwd"), "a link or a device"),
        (_member("link", tarfile.SYMTYPE, "top.txt"), "a link or a device"),
        (_member("link", tarfile.LNKTYPE, "top.txt"), "a link or a device"),
        (_member("device", tarfile.CHRTYPE), "a link or a device"),
        (_member("device", tarfile.BLKTYPE), "a link or a device"),
        (_member("pipe", tarfile.FIFOTYPE), "a link or a device"),
        (_member("top.txt"), "there twice"),
        (_member("./top.txt"), "there twice"),
        (_member("a"), "there twice"),
        (_member("top.txt/below.txt"), "wants a folder where there is a file"),
        (_member("top.txt", tarfile.DIRTYPE), "wants a folder where there is a file"),
        (_member(".unpacked.json"), "there twice"),
    ],
)
def test_what_must_not_be_unpacked_is_refused_by_name(tmp_path, refused, member, why):
    first = [_member("top.txt"), _member("a/b.txt")]
    archive = _tar(tmp_path / "set.tar.gz", [*first, member])
    error = refused(archive, why)
    assert repr(member[0].name) in str(error)
    assert str(archive) in str(error)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "C:\\out.txt"])
def test_zip_files_that_leave_their_folder_are_refused(tmp_path, refused, name):
    refused(_zip(tmp_path / "set.zip", [("a.txt", b"a"), (name, b"out")]), "outside the folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_zip_files_are_refused(tmp_path, refused, kind):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    refused(_zip(tmp_path / "set.zip", [(info, b"/etc/passwd")]), "'link' is a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_the_same_name_in_a_zip_file_are_refused(tmp_path, refused):
    refused(_zip(tmp_path / "set.zip", [("a", b"1"), ("a", b"2")]), "'a' is there twice")


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
@pytest.mark.parametrize("share", [0, 0.3, 0.8])
def test_truncated_archives_are_named_and_leave_nothing(tmp_path, refused, name, share):
    content = np.random.default_rng(0).bytes(50_000)
    path = tmp_path / name
    if name.endswith(".zip"):
        _zip(path, [("a.bin", content)])
    else:
        _tar(path, [_member("a.bin", content=content)], "w:gz" if name.endswith("gz") else "w")
    os.truncate(path, int(path.stat().st_size * share))
    refused(path, re.escape(str(path)) + ".*damaged or not complete")


def test_a_tar_file_that_ends_between_two_members_is_not_whole(tmp_path, refused):
    path = _tar(tmp_path / "set.tar", [_member("a"), _member("b")], "w")
    os.truncate(path, 2 * tarfile.BLOCKSIZE)
    refused(path, "its end is missing")


def test_a_damaged_member_of_a_tar_file_is_not_taken_for_its_end(tmp_path, refused):
    path = _tar(tmp_path / "set.tar", [_member("a"), _member("b")], "w")
    damaged = bytearray(path.read_bytes())
    damaged[2 * tarfile.BLOCKSIZE + 150] ^= 0xFF
    path.write_bytes(damaged)
    refused(path, "its end is missing")


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_damaged_archives_are_named_and_leave_nothing(tmp_path, refused, name):
    content = np.random.default_rng(0).bytes(50_000)
    path = tmp_path / name
    if name.endswith(".zip"):
        _zip(path, [("a.bin", content)])
    else:
        _tar(path, [_member("a.bin", content=content)])
    damaged = bytearray(path.read_bytes())
    damaged[20_000:20_100] = bytes(100)
    path.write_bytes(damaged)
    refused(path, "damaged")


def test_a_text_is_no_archive(tmp_path, refused):
    for name in ("set.zip", "set.tar.gz"):
        (tmp_path / name).write_text("<html>Not found</html>" * 100)
        refused(tmp_path / name, "damaged")


def test_permissions_are_not_taken_over(tmp_path):
    members = [
        _member("shut", mode=0),
        _member("program", mode=0o6777),
        _member("closed", tarfile.DIRTYPE, mode=0),
    ]
    unpack(_tar(tmp_path / "set.tar.gz", members), tmp_path / "set")
    for name in ("shut", "program", "closed"):
        mode = (tmp_path / "set" / name).stat().st_mode
        assert mode & (stat.S_IRUSR | stat.S_IWUSR) == stat.S_IRUSR | stat.S_IWUSR
        assert not mode & (stat.S_ISUID | stat.S_ISGID)
    assert not (tmp_path / "set" / "program").stat().st_mode & stat.S_IXUSR


def test_an_archive_larger_than_the_disk_is_refused_before_anything_is_written(
    tmp_path, refused, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(_unpack.shutil, "disk_usage", lambda _: usage._replace(free=5))
    error = refused(
        _archive(tmp_path, "set.zip"), "full: 'set.zip' needs 7 bytes.*5 are free", OSError
    )
    assert error.errno == errno.ENOSPC


def test_a_disk_that_fills_up_is_told_and_nothing_is_left(tmp_path, refused, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_unpack, "_write", full)
    refused(_archive(tmp_path, "set.tar.gz"), "full: 'set.tar.gz' needs 7 bytes", OSError)


def test_more_bytes_than_stated_are_not_written(tmp_path, refused, monkeypatch):
    # zipfile and tarfile stop at the stated size themselves; a reader that doesn't:
    whole = _unpack._zip_member

    def endless(*arguments):
        member = whole(*arguments)
        return _unpack._Member(
            member.name, member.parts, member.is_folder, member.size, lambda: io.BytesIO(b"x" * 99)
        )

    monkeypatch.setattr(_unpack, "_zip_member", endless)
    refused(_archive(tmp_path, "set.zip"), "'top.txt' has not the 3 bytes stated")


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    left = tmp_path / "set.unpacking"
    left.mkdir()
    (left / "half.txt").write_text("half")
    unpack(_archive(tmp_path, "set.zip"), tmp_path / "set")
    assert not left.exists()
    assert not (tmp_path / "set" / "half.txt").exists()


def test_an_encrypted_archive_needs_its_password(tmp_path, refused, encrypted_zip):
    archive = tmp_path / "set.zip"
    archive.write_bytes(encrypted_zip({"a/b.txt": b"secret"}, "open sesame"))
    refused(archive, "is encrypted: give its password", PasswordError)
    with pytest.raises(ArchiveError, match=r"password.*is not the one given|password is another"):
        unpack(archive, tmp_path / "set", password="shut")
    assert not (tmp_path / "set").exists()
    unpack(archive, tmp_path / "set", password="open sesame")
    assert (tmp_path / "set" / "a" / "b.txt").read_bytes() == b"secret"
