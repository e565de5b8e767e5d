"""Files are whole or not there; locks keep other processes out."""

import subprocess
import sys

import pytest

from sklearn_memorability._utils._files import locked, whole_file, write_whole


def test_a_file_is_replaced_in_one_piece(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole_file(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
        assert draft.suffix == ".csv"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as draft:
        draft.write_text(str(1 / 0))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    write_whole(link, "ñ")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "ñ"


def test_a_lock_keeps_another_process_out_and_ends_with_a_killed_one(tmp_path):
    path = tmp_path / "features.npy"
    holder = (
        "import sys, time\n"
        "from sklearn_memorability._utils._files import locked\n"
        "with locked(sys.argv[1]):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(BlockingIOError, match=r"features\.npy"), locked(path, wait=0):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with locked(path, wait=5):
        pass
