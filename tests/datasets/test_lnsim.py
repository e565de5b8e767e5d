import lzma
import os
from base64 import b85decode

import numpy as np
import pytest
import scipy.io
from scipy.stats import spearmanr

from sklearn_memorability.datasets import fetch_lnsim, load_lnsim
from sklearn_memorability.metrics import split_half_consistency

URL = (
    "https://raw.githubusercontent.com/JiaxinLu-home/Natural-Scene-Memorability-Dataset/"
    "3795c0ba0c1193238e78a5ae14d537156bb2c861"
)
CONTENT = {"0001.jpg": b"one", "0002.jpg": bytes(65_500), "0004.jpg": b"four"}
# What Info-ZIP 3.0 makes of them: "zip -0 -X -s 64k images.zip images/*.jpg".
PARTS = b85decode(
    b"T>t<81poj4|NsC0{{Scwyx>p%$N*NO6agn?mtC3=Js1)*)x3=#65M>jjab{~&R7?06=PsKH+d+P1tt-hXKSZqDh46~xq"
    b"4}wukQ&ONvngWZ7u7h@vQ%kMz1O*VRP886H0*shW8hlCR^LDSR<<0SZrUt2r1&Yh$YeA<Dk?LBcR=$l@EMqn!I4Od`ia"
    b"7pP6)Q^4|s@BnNihKz(c7TJy{j`4K&-!Z%P-$aIA;+=iAkNUl7)D)}&g)Lfng8cm_he)Ty0u~!4vH?#Y?xzZ5|#{j6OF"
    b"aw?Tn2R3!e3xb"
)
HALVES = np.random.default_rng(0).uniform(size=(2, 25, 4))


def _put(folder, archive, halves=HALVES):
    for i, half in enumerate(halves, 1):
        scipy.io.savemat(folder / f"subject_hrs{i}.mat", {f"subject_hrs{i}": half})
    if archive is not None:
        archive.mkdir(exist_ok=True)
        (archive / "images.z01").write_bytes(lzma.decompress(PARTS)[:65_536])
        (archive / "images.zip").write_bytes(lzma.decompress(PARTS)[65_536:])


def test_a_copy_of_the_repository_is_read_as_it_is(tmp_path):
    (tmp_path / "Random_splits").mkdir()
    _put(tmp_path / "Random_splits", tmp_path / "Image_data")
    for _ in range(2):
        lnsim = load_lnsim(tmp_path)
        # The second image begins in the first part and ends in the other.
        assert {path.name: path.read_bytes() for path in lnsim.images} == CONTENT
    here = [0, 1, 3]
    assert lnsim.rule == "3 of 4 images are here."
    assert lnsim.target.tolist() == pytest.approx([HALVES[:, :, i].mean() for i in here])
    np.testing.assert_array_equal(lnsim.halves, HALVES[:, :, here])
    assert (lnsim.consistency, lnsim.score_range) == (0.78, (0, 1))
    scipy.io.savemat(tmp_path / "Random_splits" / "subject_hrs2.mat", {"other": 1})
    with pytest.raises(ValueError, match=r"hrs2.mat' has no column 'subject_hrs2'.*fetch_lnsim\("):
        load_lnsim(tmp_path)


def test_files_put_there_by_hand_are_unpacked_once(web, tmp_path):
    place = tmp_path / "memorability" / "lnsim"
    place.mkdir(parents=True)
    given = {"data_home": tmp_path, "download_if_missing": False, "return_X_y": True}
    _put(place, None)
    with pytest.raises(FileNotFoundError, match=r"no image '0001.jpg'.*github.com/JiaxinLu-home"):
        load_lnsim(place)
    with pytest.raises(OSError, match=rf"z01 from {URL}/Image_data/images.z01; images.zip from"):
        fetch_lnsim(**given)
    _put(place, place)
    for _ in range(2):
        assert {path.name: path.read_bytes() for path in fetch_lnsim(**given)[0]} == CONTENT
    assert not [name for name in os.listdir(place) if ".z" in name]
    assert not web.requests


def test_downloads_are_checked_by_the_hash_that_git_gave_them(web, tmp_path):
    web.put(f"{URL}/Random_splits/subject_hrs1.mat", b"hello\n")
    # As "git hash-object" prints it.
    with pytest.raises(ValueError, match=r"hrs1.mat has the Git hash ce013625030b.*git:3ca4fb17"):
        fetch_lnsim(data_home=tmp_path)
    assert os.listdir(tmp_path / "memorability" / "lnsim") == []


def test_the_authors_halves_of_1842_images_agree(lnsim, tmp_path):
    given = np.load(lnsim / "halves.npz")
    halves = np.full((2, 25, 2632), np.nan)
    halves[:, :, [int(name[:4]) - 1 for name in given["image_name"]]] = (
        given["half1"],
        given["half2"],
    )
    _put(tmp_path, None, halves)
    (tmp_path / "images").symlink_to(lnsim / "images")
    scenes = load_lnsim(tmp_path)
    table = np.genfromtxt(lnsim / "scores.csv", delimiter=",", skip_header=1, usecols=1)
    np.testing.assert_allclose(scenes.target, table, atol=1e-6)
    found = split_half_consistency(halves=scenes.halves)
    pairs = zip(given["half1"], given["half2"], strict=True)
    assert found.consistency == pytest.approx(np.mean([spearmanr(*p).statistic for p in pairs]))
    # Of all 2,632 images it is .7785.
    assert found.consistency == pytest.approx(0.7704, abs=0.0001)
