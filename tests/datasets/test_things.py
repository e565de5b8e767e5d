import base64
import csv

import numpy as np
import pytest

from sklearn_memorability.datasets import (
    fetch_things,
    load_things,
    load_things_concepts,
    load_things_photographs,
)
from sklearn_memorability.features import ImageFeatures

ARCHIVE = "https://files.osf.io/v1/resources/jum2f/providers/osfstorage/images_THINGS.zip"
TABLE = """\
file_path,image_name,image_nr,cr
images/abacus/abacus_01b.jpg,abacus_01b.jpg,1,0.75
images/abacus/abacus_02s.jpg,abacus_02s.jpg,2,
images/zebra/zebra_01b.jpg,zebra_01b.jpg,3,-0.05
"""
NAMES = ["abacus/abacus_01b.jpg", "abacus/abacus_02s.jpg", "zebra/zebra_01b.jpg"]


def test_concepts_are_the_published_table():
    concepts = load_things_concepts()
    assert concepts.data.shape == (1854, 66)
    assert concepts.feature_names[0] == "spose_0"
    assert concepts.feature_names[-1] == "spose_65"
    first = np.flatnonzero(concepts.concepts == "aardvark")
    assert concepts.target[first] == pytest.approx(0.779739082)
    assert concepts.data[first, :3].ravel() == pytest.approx([0.0088, 0.3014, 2.3529])
    assert len(set(concepts.concepts)) == 1854
    assert "Kramer" in concepts.DESCR


def test_photographs_have_names_scores_and_groups():
    photographs = load_things_photographs()
    assert photographs.data.shape == (946, 1280)
    assert photographs.data.dtype == np.float32
    assert np.isfinite(photographs.data).all()
    assert photographs.target.mean() == pytest.approx(0.828, abs=5e-4)
    assert photographs.target.std() == pytest.approx(0.074, abs=5e-4)
    assert len(set(photographs.groups)) == 476
    # Spearman-Brown: two halves that correlate by .45 make a whole reliable to .62.
    assert photographs.ceiling == pytest.approx(np.sqrt(2 * 0.45 / 1.45), abs=0.005)
    assert all(
        name.startswith(f"{concept}_")
        for name, concept in zip(photographs.image_names, photographs.groups, strict=True)
    )


@pytest.mark.parametrize("load", [load_things_concepts, load_things_photographs])
def test_as_in_scikit_learn(load):
    bunch = load()
    X, y = load(return_X_y=True)
    assert np.array_equal(X, bunch.data)
    assert np.array_equal(y, bunch.target)
    assert bunch.frame is None
    framed = load(as_frame=True)
    assert framed.frame.shape == (X.shape[0], X.shape[1] + 1)
    assert np.array_equal(framed.data.to_numpy(), X)
    assert list(framed.data.columns) == bunch.feature_names
    assert framed.target.name == "memorability"


def test_photograph_scores_and_features_are_those_of_the_source(things_images):
    photographs = load_things_photographs()
    with (things_images / "scores.csv").open(newline="", encoding="utf-8") as file:
        published = {r["image_name"]: float(r["memorability"]) for r in csv.DictReader(file)}
    assert dict(zip(photographs.image_names, photographs.target, strict=True)) == published
    rows = [0, 300, 945]
    paths = [things_images / "images" / photographs.image_names[i] for i in rows]
    computed = ImageFeatures("efficientnet_lite0").fit_transform(paths)
    # float16 keeps eleven bits.
    np.testing.assert_allclose(computed, photographs.data[rows], rtol=2e-3, atol=2e-3)


@pytest.fixture
def folder(tmp_path, put_images):
    root = tmp_path / "mine"
    put_images(root / "object_images", NAMES)
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
        ("0.75", "", "has no scores"),
    ],
)
def test_other_tables_are_refused(folder, old, new, message):
    table = TABLE if new else TABLE.replace("-0.05", "nan")
    (folder / "THINGS_Memorability_Scores.csv").write_text(table.replace(old, new))
    with pytest.raises(ValueError, match=message):
        load_things(folder)


# Made by Info-ZIP: zip -X -D -P agreed -r t.zip object_images; each file holds b"image".
ENCRYPTED = base64.b85decode(
    "P)h>@3IGWJ004D#d|h7zJ;f0K000F5001KZ003`dYGq?|UukV&XJvCQVPaupb#pIaVqs%-b6+qqVlHZMXI_^XKaV"
    "+t6H(PNQ(D2*Q>{=-2MAvTJ;f0K000F5002-+0|W{H2><{9b##1PUj#kH5dZ)H1poj5BLDyZZ(?d?V{~6>ZDD6+b"
    "1z|HVPkc3FJWR~V|8<1Ffwy4YH(*`9~EVs*ZB9F6a8Yi4%2NiP)i30Uj#kH5dZ)H1poj5P)h>@3IGWJ004D#d|h7"
    "zJ;f0K000F5001EX003`dYGq?|UukV&XJvCQdSzmAVJ~`RVsc?$Ffn2-YH(+k_rK_#)lURtn{Ex*)W~V{P)i30Uj"
    "#kH5dZ)H1poj5P)h*<9s>#h2><{9b##1PUj#kH5dZ)H1poj5BLDyZ000000RR91q=5hc003`dYGq?|UukV&XJvCQ"
    "VPaupb#pIaVqs%-b6+qqVlHZMXHZK40v-bj00{s90CjYHU0(z}#Ss7i00jU503!eZ00000009610HlFp0001QVrp"
    "e$bYE$0VP|D?FJWR~V|8;cVPaupb#q@ZGIK6!aA#0U0RkQa3IGWJ004D#d|h7zJ;f0K000F5001EX00000000310"
    "05+c!~g&QZ(?d?V{~6>ZDD6+b1!;jVsc?GdSzmAVP7yYVlHZMXHZK81^@s600RI60Pz3-03-nb0000"
)


@pytest.fixture
def on_osf(web):
    web.put_on_osf("5a7z6", {"THINGS_Memorability_Scores.csv": TABLE.encode()})
    web.put_on_osf("jum2f", {"password_images.txt": b"terms", "images_THINGS.zip": ENCRYPTED})
    return web


def test_it_is_downloaded_unpacked_with_the_password_and_read(on_osf, folder, tmp_path):
    fetched = fetch_things(password="agreed", data_home=tmp_path / "home")
    assert np.array_equal(fetched.target, load_things(folder).target)
    assert fetched.images[0].read_bytes() == b"image"
    n_requests = len(on_osf.requests)
    again = fetch_things(data_home=tmp_path / "home", download_if_missing=False)
    assert again.images == fetched.images
    assert fetch_things(data_home=tmp_path / "home").images == fetched.images
    assert len(on_osf.requests) == n_requests


def test_a_password_is_asked_for_and_a_wrong_one_costs_no_second_download(on_osf, tmp_path):
    with pytest.raises(ValueError, match=r"need password=.*password_images\.txt"):
        fetch_things(data_home=tmp_path)
    assert not on_osf.asked(ARCHIVE)
    with pytest.raises(ValueError, match="password"):
        fetch_things(password="guessed", data_home=tmp_path)
    assert len(fetch_things(password="agreed", data_home=tmp_path).images) == 2
    assert len(on_osf.asked(ARCHIVE)) == 1
