import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from sklearn_memorability.datasets import _osf
from sklearn_memorability.datasets._things_images import fetch_things, load_things

TABLE = """\
file_path,image_name,image_nr,cr
images/abacus/abacus_01b.jpg,abacus_01b.jpg,1,0.75
images/abacus/abacus_02s.jpg,abacus_02s.jpg,2,
images/zebra/zebra_01b.jpg,zebra_01b.jpg,3,-0.05
"""
NAMES = ["abacus/abacus_01b.jpg", "abacus/abacus_02s.jpg", "zebra/zebra_01b.jpg"]


def _picture():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "mine"
    for name in NAMES:
        path = root / "object_images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_picture())
    (root / "THINGS_Memorability_Scores.csv").write_text(TABLE)
    return root


def test_photographs_with_a_score_are_read(folder):
    things = load_things(folder)
    assert things.images == [folder / "object_images" / NAMES[i] for i in (0, 2)]
    assert things.target.tolist() == [0.75, -0.05]
    assert things.groups.tolist() == ["abacus", "zebra"]
    assert things.score_range == (-1, 1)
    assert things.consistency == 0.45
    assert things.rule == "Photographs without a score are left out: 1."
    assert "Kramer" in things.DESCR


@pytest.mark.parametrize("place", ["images_THINGS/object_images", "images_THINGS", "images"])
def test_the_other_places_of_the_photographs_are_found(folder, place):
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / "object_images").rename(folder / place)
    assert load_things(folder).images[0] == folder / place / NAMES[0]


def test_missing_files_tell_where_the_password_and_the_terms_are(folder):
    message = r"osf.io/jum2f.*password_images\.txt"
    with pytest.raises(NotADirectoryError, match=message):
        load_things(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match=rf"THINGS_Memorability_Scores\.csv.*{message}"):
        load_things(folder / "object_images")
    (folder / "object_images" / NAMES[2]).unlink()
    with pytest.raises(FileNotFoundError, match="missing.*'zebra/zebra_01b.jpg' in row 2"):
        load_things(folder)
    (folder / "object_images" / NAMES[0]).unlink()
    with pytest.raises(FileNotFoundError, match=message):
        load_things(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",cr", ",score", "no column 'cr'"),
        ("0.75", "7.5", "cr.*7.5 in row 1"),
        ("0.75", "many", "cr.*'many' in row 1"),
    ],
)
def test_other_tables_are_refused(folder, old, new, message):
    (folder / "THINGS_Memorability_Scores.csv").write_text(TABLE.replace(old, new))
    with pytest.raises(ValueError, match=message):
        load_things(folder)


def test_a_table_without_any_scores_is_refused(folder):
    rows = TABLE.replace("0.75", "NA").replace("-0.05", "nan")
    (folder / "THINGS_Memorability_Scores.csv").write_text(rows)
    with pytest.raises(ValueError, match="has no scores"):
        load_things(folder)


@pytest.fixture
def on_osf(web, encrypted_zip, monkeypatch):
    files = {f"object_images/{name}": _picture() for name in NAMES}
    archive = encrypted_zip(files, "agreed")
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")
    web.put_on_osf("5a7z6", {"THINGS_Memorability_Scores.csv": TABLE.encode()})
    web.put_on_osf("jum2f", {"password_images.txt": b"terms", "images_THINGS.zip": archive})
    return web


def test_it_is_downloaded_unpacked_with_the_password_and_read(on_osf, folder, tmp_path):
    fetched = fetch_things(password="agreed", data_home=tmp_path / "home")
    assert np.array_equal(fetched.target, load_things(folder).target)
    assert fetched.images[0].read_bytes() == _picture()
    n_requests = len(on_osf.requests)
    again = fetch_things(data_home=tmp_path / "home", download_if_missing=False)
    assert again.images == fetched.images
    assert fetch_things(data_home=tmp_path / "home").images == fetched.images
    assert len(on_osf.requests) == n_requests


def test_the_password_is_asked_for_before_the_photographs_are_downloaded(on_osf, tmp_path):
    with pytest.raises(ValueError, match=r"need password=.*password_images\.txt"):
        fetch_things(data_home=tmp_path)
    assert not on_osf.asked("jum2f/images_THINGS.zip")


def test_a_wrong_password_costs_no_second_download(on_osf, tmp_path):
    with pytest.raises(ValueError, match="password"):
        fetch_things(password="guessed", data_home=tmp_path)
    fetch_things(password="agreed", data_home=tmp_path)
    assert len(on_osf.asked("jum2f/images_THINGS.zip")) == 1


def test_an_archive_of_photographs_that_is_a_plain_zip_is_read_too(web, monkeypatch, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in NAMES:
            archive.writestr(f"object_images/{name}", _picture())
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")
    web.put_on_osf("5a7z6", {"THINGS_Memorability_Scores.csv": TABLE.encode()})
    web.put_on_osf("jum2f", {"images_THINGS.zip": buffer.getvalue()})
    assert len(fetch_things(password="agreed", data_home=tmp_path).images) == 2
