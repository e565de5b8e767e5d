"""Downloads of the open sets: broken off, changed, damaged, hostile, killed, on a full disk."""

import errno
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from sklearn_memorability.datasets import fetch_figrim, fetch_isola, fetch_lamem, fetch_memcat

LAMEM = "http://memorability.csail.mit.edu/lamem.tar.gz"
ISOLA = "https://web.mit.edu/phillipi/Public/WhatMakesAnImageMemorable/cvpr_memorability_data.zip"
CONTENT = np.random.default_rng(0).bytes(3_000_000)
SPLITS = {"train": "a.jpg 0.5\n", "val": "b.jpg 0.25\n", "test": "c.jpg 1\n"}


def _tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, content in members.items():
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _zip(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _lamem(images):
    splits = {f"lamem/splits/{part}_1.txt": text.encode() for part, text in SPLITS.items()}
    return _tar(splits | {f"lamem/images/{name}": content for name, content in images.items()})


ARCHIVE = _lamem({"a.jpg": CONTENT, "b.jpg": b"b", "c.jpg": b"c"})
# Whole blocks, as what comes of a block that is broken off is lost.
BREAK = 30 * 65_536


@pytest.fixture
def served(web):
    return web.put(LAMEM, ARCHIVE)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "memorability" / "lamem"


@pytest.fixture
def fetch(tmp_path):
    def fetched(**options):
        options = {"split": 1, "data_home": tmp_path, "delay": 0.001} | options
        return fetch_lamem(**options)

    return fetched


def _is_whole(lamem, place):
    assert lamem.images[0] == place / "lamem" / "lamem" / "images" / "a.jpg"
    assert lamem.images[0].read_bytes() == CONTENT
    return sorted(os.listdir(place)) == ["lamem"]


def _run(tmp_path):
    code = (
        "import sys; from sklearn_memorability.datasets import fetch_lamem\n"
        "fetch_lamem(split=1, data_home=sys.argv[1])"
    )
    return subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])


def test_a_set_is_downloaded_once_into_scikit_learns_data_home(fetch, web, place, monkeypatch):
    web.put(LAMEM, ARCHIVE, tells_length=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(place.parents[1]))
    assert _is_whole(fetch(data_home=None), place)
    fetch()
    fetch(download_if_missing=False)
    assert len(web.requests) == 1
    # An archive that was put there by hand is unpacked.
    shutil.rmtree(place / "lamem")
    (place / "lamem.tar.gz").write_bytes(ARCHIVE)
    assert _is_whole(fetch(download_if_missing=False), place)
    assert len(web.requests) == 1


def test_a_broken_connection_is_resumed_after_a_redirect_too(fetch, web, place):
    web.redirect(LAMEM, "http://example.org/moved")
    web.put("http://example.org/moved", ARCHIVE, faults=[("break", BREAK)])
    assert _is_whole(fetch(), place)
    first, second = web.asked("http://example.org/moved")
    assert "Range" not in first["headers"]
    assert second["headers"]["Range"] == f"bytes={BREAK}-"
    assert second["headers"]["If-Range"] == '"1"'
    assert first["bytes"] + second["bytes"] == len(ARCHIVE)


def test_the_next_call_resumes_where_an_earlier_one_gave_up(fetch, served, web, place):
    served.faults = [("break", BREAK)]
    with pytest.raises(OSError, match=r"'lamem.tar.gz' could not be downloaded.*goes on.*put"):
        fetch(n_retries=0)
    assert (place / "lamem.tar.gz.part").stat().st_size == BREAK
    assert _is_whole(fetch(n_retries=0), place)
    assert sum(request["bytes"] for request in web.requests) == len(ARCHIVE)


@pytest.mark.parametrize("options", [{"ranges": False}, {"etag": None}, {"etag": 'W/"1"'}])
def test_without_ranges_or_a_sure_version_the_download_starts_anew(fetch, web, place, options):
    web.put(LAMEM, ARCHIVE, faults=[("break", BREAK)], **options)
    assert _is_whole(fetch(), place)
    assert web.requests[1]["bytes"] == len(ARCHIVE)


@pytest.mark.parametrize("part", [ARCHIVE[::-1][:BREAK], ARCHIVE + b"more"])
def test_a_part_of_another_version_or_too_long_is_downloaded_anew(fetch, web, place, part):
    web.put(LAMEM, ARCHIVE, faults=[("break", BREAK)])
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(n_retries=0)
    (place / "lamem.tar.gz.part").write_bytes(part)
    web.put(LAMEM, ARCHIVE, etag='"2"' if len(part) == BREAK else '"1"')
    assert _is_whole(fetch(), place)
    assert sum(request["bytes"] for request in web.requests[1:]) == len(ARCHIVE)


def test_passing_troubles_are_tried_again(fetch, served, web, place):
    served.faults = [503, ("break", 0), 500, *[("break", 300_000)] * 9]
    assert _is_whole(fetch(n_retries=1), place)
    assert len(web.requests) == 13
    shutil.rmtree(place)
    served.faults = [503] * 10
    with pytest.raises(OSError, match="503"):
        fetch(n_retries=2)
    assert len(web.requests) == 16
    # A file that is gone is not asked for again.
    web.files.clear()
    with pytest.raises(OSError, match=rf"from {LAMEM} .*404.*put the file at '{place}"):
        fetch()
    assert len(web.requests) == 17


def test_missing_files_and_where_to_get_them_are_named(fetch, web, tmp_path, place):
    with pytest.raises(OSError, match=rf"missing from '{place}'.*=True.*lamem.tar.gz from {LAMEM}"):
        fetch(download_if_missing=False)
    with pytest.raises(OSError, match=r"data.csv from https://osf.io/kvghu; MemCat.zip from"):
        fetch_memcat(data_home=tmp_path, download_if_missing=False)
    assert not web.requests


def test_a_file_with_another_hash_is_refused_and_removed(web, tmp_path):
    web.put("http://figrim.mit.edu/Targets.zip", b"another")
    with pytest.raises(ValueError, match="Targets.zip.*expected md5:2ad3a42ebc377efe4b39064"):
        fetch_figrim(data_home=tmp_path)
    web.put_on_osf("kvghu", {"memcat_image_data.csv": b"right"})
    web.put(
        "https://files.osf.io/v1/resources/kvghu/providers/osfstorage/memcat_image_data.csv",
        b"wrong",
    )
    with pytest.raises(ValueError, match="memcat_image_data.csv.*does not match"):
        fetch_memcat(data_home=tmp_path)
    web.put_on_osf("kvghu", {"other.csv": b""}, folder="data")
    with pytest.raises(FileNotFoundError, match="osf.io/kvghu has no file 'memcat_image_data.csv'"):
        fetch_memcat(data_home=tmp_path)
    for name in ("figrim", "memcat"):
        assert os.listdir(tmp_path / "memorability" / name) == []


def test_without_pooch_the_extra_is_named(fetch, served, monkeypatch):
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "pooch", None)
        with pytest.raises(ImportError, match=r"sklearn-memorability\[datasets\]"):
            fetch()
    fetch()
    monkeypatch.setitem(sys.modules, "pooch", None)
    fetch()


def _special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        "../out.txt",
        "a/../../../out.txt",
        _special("link", tarfile.SYMTYPE, "/etc/passwd"),
        _special("link", tarfile.LNKTYPE, "a.txt"),
        _special("pipe", tarfile.FIFOTYPE),
    ],
)
def test_a_tar_file_can_neither_leave_its_folder_nor_hold_links(fetch, web, place, member):
    web.put(LAMEM, _tar({"a.txt": b"a", member: b""}))
    with pytest.raises(ValueError, match=r"lamem.tar.gz' can't be unpacked.*(out.txt|is a link)"):
        fetch()
    assert os.listdir(place) == ["lamem.tar.gz"]


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_a_zip_file_can_not_leave_its_folder(web, tmp_path, name):
    web.put(ISOLA, _zip({name: b"out"}))
    with pytest.raises(FileNotFoundError, match="doesn't have 'Data"):
        fetch_isola(data_home=tmp_path)
    inside = tmp_path / "memorability" / "isola" / "cvpr_memorability_data"
    out = [path for path in tmp_path.rglob("*") if "out" in path.name]
    assert [path.is_relative_to(inside) for path in out] == [True]


DAMAGED = {
    "cut off": ARCHIVE[:1_000_000],
    "with another checksum": ARCHIVE[:-8] + bytes(8),
    "with a damaged member": ARCHIVE[:2000] + bytes(100) + ARCHIVE[2100:],
    "no archive": b"<html>Not found</html>" * 100,
    "empty": b"",
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_archive_is_named_and_leaves_nothing(fetch, web, place, what):
    web.put(LAMEM, DAMAGED[what])
    with pytest.raises(ValueError, match=r"lamem.tar.gz' can't be unpacked.*Remove it"):
        fetch()
    assert os.listdir(place) == ["lamem.tar.gz"]
    (place / "lamem.tar.gz").unlink()
    web.put(LAMEM, ARCHIVE, etag='"2"')
    assert _is_whole(fetch(), place)


def test_a_damaged_zip_file_is_named(web, tmp_path):
    whole = _zip({"a.bin": CONTENT[:50_000]})
    web.put(ISOLA, whole[:20_000] + bytes(100) + whole[20_100:])
    with pytest.raises(ValueError, match=r"data.zip' can't be unpacked"):
        fetch_isola(data_home=tmp_path)


def test_a_disk_that_fills_up_while_unpacking_leaves_nothing(
    fetch, served, web, place, monkeypatch
):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(tarfile, "copyfileobj", full)
        with pytest.raises(OSError, match="No space left"):
            fetch()
    assert os.listdir(place) == ["lamem.tar.gz"]
    assert _is_whole(fetch(), place)
    assert len(web.requests) == 1


def test_after_a_killed_download_the_next_call_completes_it(
    fetch, served, web, tmp_path, place, wait_until
):
    served.faults = [("hang", 2_097_152)]
    process = _run(tmp_path)
    part = place / "lamem.tar.gz.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    process.kill()
    process.wait()
    assert not (place / "lamem.tar.gz").exists()
    fetched = fetch()
    assert fetched.images[0].read_bytes() == CONTENT
    assert web.requests[1]["bytes"] < 2_000_001


def test_after_a_killed_unpacking_the_next_call_completes_it(
    fetch, web, tmp_path, place, wait_until
):
    names = [*(f"{i:04d}.jpg" for i in range(1000)), "a.jpg", "b.jpg", "c.jpg"]
    web.put(LAMEM, _lamem(dict.fromkeys(names, b"x")))
    process = _run(tmp_path)
    wait_until(lambda: (place / "lamem.unpacking/lamem/images/0010.jpg").exists())
    process.kill()
    process.wait()
    assert not (place / "lamem").exists()
    assert len(os.listdir(fetch().images[0].parent)) == 1003
    assert len(web.requests) == 1


def test_two_processes_at_once_download_a_set_once(served, web, tmp_path):
    processes = [_run(tmp_path) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(web.requests) == 1
