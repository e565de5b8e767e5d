import io
import zipfile

import numpy as np
import pytest

from sklearn_memorability.datasets import fetch_memcat, load_memcat

# The table has its row's number in a first column without a name.
TABLE = """\
,image_file,category,subcategory,source,H,FA,n_resp,\
memorability_w_fa_correction,memorability_wo_fa_correction
0,bear_1.jpg,animal,bear,imagenet,80,10,100,0.7,0.8
1,bear_2.jpg,animal,bear,coco,60,20,100,0.4,0.6
2,pie_1.jpg,food,pie,imagenet,20,30,100,-0.1,0.2
"""
NAMES = ["animal/bear/bear_1.jpg", "animal/bear/bear_2.jpg", "food/pie/pie_1.jpg"]


@pytest.fixture
def folder(tmp_path, put_images):
    root = tmp_path / "mine"
    put_images(root / "MemCat", NAMES)
    (root / "memcat_image_data.csv").write_text(TABLE)
    return root


def test_the_images_are_read_with_their_hit_rates(folder):
    memcat = load_memcat(folder)
    assert memcat.images == [folder / "MemCat" / name for name in NAMES]
    assert memcat.target.tolist() == [0.8, 0.6, 0.2]
    assert memcat.groups.tolist() == ["bear", "bear", "pie"]
    assert memcat.weights.tolist() == [100, 100, 100]
    assert memcat.consistency == 0.78
    assert memcat.score_range == (0, 1)
    assert "PeerJ" in memcat.DESCR
    # The authors' own correction is taken.
    corrected = load_memcat(folder, correction="difference", group_by="category")
    assert np.allclose(corrected.target, [0.7, 0.4, -0.1])
    assert corrected.score_range == (-1, 1)
    assert corrected.groups.tolist() == ["animal", "animal", "food"]
    (folder / "memcat_image_data.csv").write_text(TABLE.replace("n_resp", "other"))
    assert load_memcat(folder).weights is None


@pytest.mark.parametrize("place", ["MemCat/MemCat", "MemCat_images/MemCat", "images"])
def test_the_other_places_of_the_images_are_found(folder, place):
    (folder / "MemCat").rename(folder / "inner")
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / "inner").rename(folder / place)
    (folder / "MemCat_data").mkdir()
    (folder / "memcat_image_data.csv").rename(folder / "MemCat_data" / "memcat_image_data.csv")
    assert load_memcat(folder).images[0] == folder / place / NAMES[0]


def test_missing_files_tell_the_way_out(folder):
    with pytest.raises(NotADirectoryError, match=r"fetch_memcat\(\)"):
        load_memcat(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"memcat_image_data\.csv.*osf.io/kvghu"):
        load_memcat(folder / "MemCat")
    (folder / "MemCat" / NAMES[1]).unlink()
    with pytest.raises(FileNotFoundError, match="missing.*'animal/bear/bear_2.jpg' in row 2"):
        load_memcat(folder)


def test_bad_arguments_are_refused_by_name(folder):
    for given in ({"correction": "all"}, {"group_by": "concept"}):
        with pytest.raises(ValueError, match=r"=.* is unknown"):
            load_memcat(folder, **given)


def test_it_is_found_on_the_open_science_framework_and_downloaded(web, folder, jpeg, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in NAMES:
            archive.writestr(f"MemCat/{name}", jpeg)
    # Names differ in case there.
    files = {"MemCat_image_data.csv": TABLE.encode(), "MemCat.zip": buffer.getvalue()}
    web.put_on_osf("kvghu", files, folder="MemCat_images")
    fetched = fetch_memcat(data_home=tmp_path / "home")
    assert np.array_equal(fetched.target, load_memcat(folder).target)
    assert all(path.is_file() for path in fetched.images)
    n_requests = len(web.requests)
    fetch_memcat(data_home=tmp_path / "home", download_if_missing=False)
    assert len(web.requests) == n_requests
