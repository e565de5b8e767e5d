import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sklearn_memorability.datasets import _download, _osf
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files

CONTENT = np.random.default_rng(0).bytes(3_000_000)
# Whole blocks, as what comes of a block that is broken off is lost.
BREAK = 30 * 65_536
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def fetch(tmp_path):
    def fetched(*files, **options):
        options = {"data_home": tmp_path, "delay": 0.001, "progressbar": False} | options
        return fetch_files("toy", files, **options)

    return fetched


@pytest.fixture
def file(web):
    return RemoteFile("data.bin", web.put("data.bin", CONTENT))


def _zip(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def _run(code, tmp_path, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *arguments])


FETCH = """
import sys
from sklearn_memorability.datasets._remote import RemoteFile, fetch_files
home, url, unpacked = sys.argv[1:]
name = url.rpartition("/")[2]
fetch_files("toy", [RemoteFile(name, url, unpack=unpacked == "yes")], data_home=home)
"""


def test_files_are_downloaded_once_to_the_sets_folder_and_recorded(fetch, file, web, tmp_path):
    folder = fetch(file)
    assert folder == tmp_path / "memorability" / "toy"
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert _left(folder) == ["data.bin", "downloads.json"]
    entry = json.loads((folder / "downloads.json").read_text())["data.bin"]
    assert entry["url"] == file.url
    assert entry["sha256"] == SHA256.removeprefix("sha256:")
    assert entry["size"] == len(CONTENT)
    assert entry["when"].startswith("20")
    fetch(file)
    fetch(file, download_if_missing=False)
    assert len(web.requests) == 1


def test_by_default_sets_are_kept_in_scikit_learns_data_home(file, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    folder = fetch_files("toy", [file], progressbar=False)
    assert folder == tmp_path / "home" / "memorability" / "toy"


@pytest.mark.parametrize("known", [SHA256, MD5, SHA256.upper().replace("SHA256", "sha256")])
def test_a_right_hash_is_accepted(fetch, web, known):
    url = web.put("data.bin", CONTENT)
    assert (fetch(RemoteFile("data.bin", url, known)) / "data.bin").stat().st_size == len(CONTENT)


def test_a_wrong_hash_names_the_file_and_both_hashes_and_removes_it(fetch, web, tmp_path):
    file = RemoteFile("data.bin", web.put("data.bin", CONTENT), "sha256:" + "0" * 64)
    with pytest.raises(ValueError, match=f"data.bin.*expected.*{'0' * 64}.*{SHA256[7:]}"):
        fetch(file)
    assert _left(tmp_path / "memorability" / "toy") == []


def test_a_later_download_is_held_to_the_first_ones_hash(fetch, file, web):
    folder = fetch(file)
    (folder / "data.bin").unlink()
    web.put("data.bin", b"another", etag='"2"')
    with pytest.raises(ValueError, match="first download.*downloads.json.*remove its entry"):
        fetch(file)
    web.put("data.bin", CONTENT)
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT


def test_a_broken_connection_is_gone_on_with(fetch, file, web):
    web.files["/data.bin"].faults = [("break", BREAK)]
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT
    first, second = web.requests
    assert "Range" not in first["headers"]
    assert second["headers"]["Range"] == f"bytes={BREAK}-"
    assert second["headers"]["If-Range"] == '"1"'
    assert first["bytes"] + second["bytes"] == len(CONTENT)


def test_the_next_call_goes_on_where_an_earlier_one_gave_up(fetch, file, web, tmp_path):
    web.files["/data.bin"].faults = [("break", BREAK)]
    with pytest.raises(OSError, match=r"'data.bin' could not be downloaded(.|\n)*goes on"):
        fetch(file, n_retries=0)
    assert _left(tmp_path / "memorability" / "toy") == [
        "data.bin.part",
        "data.bin.part.json",
    ]
    folder = fetch(file, n_retries=0)
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert sum(request["bytes"] for request in web.requests) == len(CONTENT)
    assert _left(folder) == ["data.bin", "downloads.json"]


@pytest.mark.parametrize("options", [{"ranges": False}, {"etag": None}, {"etag": 'W/"1"'}])
def test_without_ranges_or_a_sure_mark_of_the_version_it_starts_anew(fetch, web, options):
    file = RemoteFile("data.bin", web.put("data.bin", CONTENT, **options))
    web.files["/data.bin"].faults = [("break", 1_000_000)]
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT
    assert web.requests[1]["bytes"] == len(CONTENT)


def test_a_file_that_changed_between_attempts_is_downloaded_whole(fetch, file, web):
    web.files["/data.bin"].faults = [("break", 1_000_000)]
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(file, n_retries=0)
    changed = CONTENT[::-1]
    web.put("data.bin", changed, etag='"2"')
    assert (fetch(file) / "data.bin").read_bytes() == changed


def test_a_server_that_goes_on_with_another_version_is_not_believed(fetch, file, web):
    web.files["/data.bin"].faults = [("break", 1_000_000)]
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(file, n_retries=0)
    part = web.files["/data.bin"]
    part.content, part.etag = CONTENT[::-1], '"2"'

    class Agreeable(str):
        def __eq__(self, other):
            return True

        __hash__ = str.__hash__

    part.etag = Agreeable('"2"')
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT[::-1]


def test_a_part_broken_off_after_its_last_byte_needs_no_more_bytes(fetch, file, web, tmp_path):
    web.files["/data.bin"].faults = [("break", 1_000_000)]
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(file, n_retries=0)
    (tmp_path / "memorability" / "toy" / "data.bin.part").write_bytes(CONTENT)
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT
    assert len(web.requests) == 1


def test_a_part_longer_than_the_file_is_thrown_away(fetch, file, web, tmp_path):
    web.files["/data.bin"].faults = [("break", 1_000_000)]
    with pytest.raises(OSError, match="could not be downloaded"):
        fetch(file, n_retries=0)
    (tmp_path / "memorability" / "toy" / "data.bin.part").write_bytes(CONTENT + b"more")
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT


def test_a_part_of_which_nothing_is_known_is_thrown_away(fetch, file, tmp_path):
    folder = tmp_path / "memorability" / "toy"
    folder.mkdir(parents=True)
    (folder / "data.bin.part").write_bytes(b"something else")
    (folder / "data.bin.part.json").write_text("{damaged")
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT


def test_passing_troubles_are_tried_again(fetch, file, web):
    web.files["/data.bin"].faults = [503, ("break", 0), 500]
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT
    assert len(web.requests) == 4


def test_many_breaks_are_borne_as_long_as_there_is_progress(fetch, file, web):
    web.files["/data.bin"].faults = [("break", 300_000)] * 9
    assert (fetch(file, n_retries=1) / "data.bin").read_bytes() == CONTENT
    assert len(web.requests) == 10


def test_lasting_trouble_ends_after_the_retries(fetch, file, web):
    web.files["/data.bin"].faults = [503] * 10
    with pytest.raises(OSError, match="503"):
        fetch(file, n_retries=2)
    assert len(web.requests) == 3


def test_a_missing_file_is_not_tried_again(fetch, web, tmp_path):
    address = f"{web.address}/no.bin"
    with pytest.raises(OSError, match=rf"404(.|\n)*from:\s+{address}(.|\n)*put at:.*no\.bin"):
        fetch(RemoteFile("no.bin", address))
    assert len(web.requests) == 1


def test_redirects_are_followed_and_gone_on_with(fetch, web):
    web.redirects["/old.bin"] = web.put("data.bin", CONTENT)
    web.files["/data.bin"].faults = [("break", BREAK)]
    folder = fetch(RemoteFile("data.bin", f"{web.address}/old.bin"))
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert web.asked("data.bin")[1]["bytes"] == len(CONTENT) - BREAK


def test_a_server_that_tells_no_length(fetch, web):
    url = web.put("data.bin", CONTENT, tells_length=False)
    assert (fetch(RemoteFile("data.bin", url)) / "data.bin").read_bytes() == CONTENT


def test_a_file_of_another_size_than_recorded_is_downloaded_again(fetch, file):
    folder = fetch(file)
    (folder / "data.bin").write_bytes(CONTENT[:1000])
    with pytest.raises(OSError, match="not those expected: data.bin"):
        fetch(file, download_if_missing=False)
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT


def test_missing_files_and_where_to_get_them_are_named(fetch, web, tmp_path):
    files = [
        RemoteFile("a.csv", "https://example.org/a.csv"),
        RemoteFile("b.zip", "osf:abcde", unpack=True),
    ]
    with pytest.raises(OSError, match=r"a.csv, b.zip.*=True.*https://osf.io/abcde") as caught:
        fetch(*files, download_if_missing=False)
    assert str(tmp_path / "memorability" / "toy") in str(caught.value)
    assert not web.requests


def test_files_put_there_by_hand_are_taken_if_their_hash_is_right(fetch, web, tmp_path):
    folder = tmp_path / "memorability" / "toy"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(CONTENT)
    (folder / "set.zip").write_bytes(_zip({"a.txt": b"a"}))
    files = [
        RemoteFile("data.bin", "http://127.0.0.1:9/data.bin", SHA256),
        RemoteFile("set.zip", "http://127.0.0.1:9/set.zip", unpack=True),
    ]
    fetch(*files, download_if_missing=False)
    assert (folder / "set" / "a.txt").read_bytes() == b"a"
    (folder / "downloads.json").unlink()
    (folder / "data.bin").write_bytes(b"another")
    with pytest.raises(OSError, match="not those expected"):
        fetch(*files, download_if_missing=False)


@pytest.mark.parametrize("name", ["../a", "a/b", "a\\b", "..", "", "C:a"])
def test_names_that_lead_elsewhere_are_refused(fetch, name):
    with pytest.raises(ValueError, match="no plain file name"):
        fetch(RemoteFile(name, "https://example.org/a"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "/etc/passwd"])
def test_only_the_web_is_downloaded_from(fetch, url):
    with pytest.raises(ValueError, match="no address on the web"):
        fetch(RemoteFile("a", url))


def test_without_pooch_the_extra_is_named(fetch, file, monkeypatch):
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "pooch", None)
        with pytest.raises(ImportError, match=r"sklearn-memorability\[datasets\]"):
            fetch(file)
    fetch(file)
    monkeypatch.setitem(sys.modules, "pooch", None)
    fetch(file)


def test_archives_are_unpacked_and_removed(fetch, web):
    file = RemoteFile("set.zip", web.put("set.zip", _zip({"a/b.txt": b"b"})), unpack=True)
    folder = fetch(file)
    assert (folder / "set" / "a" / "b.txt").read_bytes() == b"b"
    assert _left(folder) == ["downloads.json", "set"]
    fetch(file, download_if_missing=False)
    assert len(web.requests) == 1


def test_a_users_own_folder_in_an_archives_place_is_left_alone(fetch, web, tmp_path):
    own = tmp_path / "memorability" / "toy" / "set"
    own.mkdir(parents=True)
    file = RemoteFile("set.zip", web.put("set.zip", _zip({"a": b""})), unpack=True)
    with pytest.raises(FileExistsError, match="was not unpacked by this function"):
        fetch(file)
    assert own.is_dir()
    assert not web.requests


def test_a_damaged_download_of_no_known_hash_is_removed_and_can_be_had_again(fetch, web):
    whole = _zip({"a.txt": b"a" * 1000})
    file = RemoteFile("set.zip", web.put("set.zip", whole[:500]), unpack=True)
    with pytest.raises(ValueError, match=r"set\.zip.*damaged"):
        fetch(file)
    web.put("set.zip", whole)
    assert (fetch(file) / "set" / "a.txt").read_bytes() == b"a" * 1000


def test_a_full_disk_is_foreseen(fetch, file, monkeypatch, tmp_path):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(OSError, match=r"full: 'data.bin' has 3,000,000.*1,000 are free.*data_home"):
        fetch(file)
    monkeypatch.undo()
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_disk_that_fills_up_is_told_and_nothing_is_taken_for_whole(fetch, file, tmp_path):
    folder = tmp_path / "memorability" / "toy"
    folder.mkdir(parents=True)
    (folder / "data.bin.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="is full: 'data.bin' has 3,000,000 bytes.*goes on"):
        fetch(file)
    assert not (folder / "data.bin").exists()
    (folder / "data.bin.part").unlink()
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT


def test_an_interrupt_keeps_the_part(fetch, file, web, monkeypatch, tmp_path):
    web.files["/data.bin"].faults = [("break", BREAK)]

    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(_download.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(file)
    part = tmp_path / "memorability" / "toy" / "data.bin.part"
    assert part.stat().st_size == BREAK
    assert (fetch(file) / "data.bin").read_bytes() == CONTENT
    assert web.requests[1]["bytes"] == len(CONTENT) - BREAK


def test_after_a_killed_download_the_next_call_completes_it(fetch, file, web, tmp_path, wait_until):
    web.files["/data.bin"].faults = [("hang", 2_097_152)]
    process = _run(FETCH, tmp_path, file.url, "no")
    part = tmp_path / "memorability" / "toy" / "data.bin.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 1_000_000)
    process.kill()
    process.wait()
    assert not part.with_name("data.bin").exists()
    folder = fetch(file)
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert web.requests[1]["bytes"] < 2_000_001
    assert _left(folder) == ["data.bin", "downloads.json"]


def test_after_a_killed_unpacking_the_next_call_completes_it(fetch, web, tmp_path, wait_until):
    members = {f"{i:04d}.txt": str(i).encode() for i in range(4000)}
    file = RemoteFile("set.zip", web.put("set.zip", _zip(members)), unpack=True)
    process = _run(FETCH, tmp_path, file.url, "yes")
    folder = tmp_path / "memorability" / "toy"
    wait_until(lambda: (folder / "set.unpacking" / "0010.txt").exists())
    process.kill()
    process.wait()
    assert not (folder / "set").exists()
    fetch(file)
    found = {
        path.name: path.read_bytes() for path in (folder / "set").iterdir() if path.suffix == ".txt"
    }
    assert found == members
    assert len(web.requests) == 1
    assert _left(folder) == ["downloads.json", "set"]


def test_two_processes_at_once_download_a_file_once(web, tmp_path):
    url = web.put("data.bin", CONTENT)
    processes = [_run(FETCH, tmp_path, url, "no") for _ in range(2)]
    assert [process.wait(30) for process in processes] == [0, 0]
    folder = tmp_path / "memorability" / "toy"
    assert (folder / "data.bin").read_bytes() == CONTENT
    assert len(web.requests) == 1


def test_files_of_the_open_science_framework_are_found_by_name(fetch, web, monkeypatch):
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")
    web.put_on_osf("abcde", {"other.csv": b"x", "Table.CSV": b"y", "more.csv": b"z"}, "Folder")
    web.files["/v2/nodes/abcde/files/osfstorage/"].faults = [500]
    folder = fetch(RemoteFile("table.csv", "osf:abcde"))
    assert (folder / "table.csv").read_bytes() == b"y"
    with pytest.raises(FileNotFoundError, match=r"osf.io/abcde has no file 'no.csv'.*'Table.CSV'"):
        fetch(RemoteFile("no.csv", "osf:abcde"))


def test_the_open_science_frameworks_hashes_are_checked(fetch, web, monkeypatch):
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")
    web.put_on_osf("abcde", {"table.csv": b"right"})
    web.put("abcde/table.csv", b"wrong")
    with pytest.raises(ValueError, match="does not match"):
        fetch(RemoteFile("table.csv", "osf:abcde"))


@pytest.mark.parametrize("answer", [b"not json", b"[]", b'{"data": [{}], "links": {}}'])
def test_other_answers_of_the_open_science_framework_are_told(fetch, web, monkeypatch, answer):
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")
    web.put("v2/nodes/abcde/files/osfstorage/", answer)
    with pytest.raises(OSError, match=r"osf.io/abcde can't be read|could not be downloaded"):
        fetch(RemoteFile("table.csv", "osf:abcde"))


def test_a_list_without_an_end_is_given_up(fetch, web, monkeypatch):
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")
    monkeypatch.setattr(_osf, "_MOST_PAGES", 5)
    again = {"data": [], "links": {"next": f"{web.address}/v2/nodes/abcde/files/osfstorage/"}}
    web.put("v2/nodes/abcde/files/osfstorage/", json.dumps(again).encode())
    with pytest.raises(OSError, match="doesn't end"):
        fetch(RemoteFile("table.csv", "osf:abcde"))


def test_tar_archives_are_unpacked_too(fetch, web):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("a/b.txt")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"b"))
    file = RemoteFile("set.tar.gz", web.put("set.tar.gz", buffer.getvalue()), unpack=True)
    assert Path(fetch(file), "set", "a", "b.txt").read_bytes() == b"b"
