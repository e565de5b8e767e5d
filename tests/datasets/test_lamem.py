import numpy as np
import pandas as pd
import pytest

from sklearn_memorability.datasets import load_lamem

# By split: the parts, each image with its score in that split.
SPLITS = {
    1: {"train": {"b.jpg": 0.5, "a.jpg": 0.25}, "val": {"c.jpg": 1.0}, "test": {"d.jpg": 0.0}},
    2: {"train": {"d.jpg": 0.1, "c.jpg": 0.9}, "val": {"a.jpg": 0.35}, "test": {"b.jpg": 0.6}},
    3: {"train": {"a.jpg": 0.3, "b.jpg": 0.4}, "val": {"d.jpg": 0.2}, "test": {"c.jpg": 0.8}},
    4: {"train": {"a.jpg": 0.3, "b.jpg": 0.55}, "val": {"d.jpg": 0.2}, "test": {"c.jpg": 0.8}},
    5: {"train": {"a.jpg": 0.3, "b.jpg": 0.45}, "val": {"d.jpg": 0.5}, "test": {"c.jpg": 1.0}},
}
NAMES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


@pytest.fixture
def folder(tmp_path, put_images):
    put_images(tmp_path / "lamem" / "images", NAMES)
    (tmp_path / "lamem" / "splits").mkdir()
    for number, parts in SPLITS.items():
        for part, scores in parts.items():
            text = "".join(f"{name} {score:.6f}\n" for name, score in scores.items())
            (tmp_path / "lamem" / "splits" / f"{part}_{number}.txt").write_text(text)
    return tmp_path / "lamem"


@pytest.fixture(scope="session")
def lamem(lamem_splits, tmp_path_factory):
    """LaMem as it is, but that its images are empty."""
    root = tmp_path_factory.mktemp("whole")
    (root / "images").mkdir()
    (root / "splits").symlink_to(lamem_splits, target_is_directory=True)
    images = str(root / "images")
    for part in ("train", "val", "test"):
        for line in (lamem_splits / f"{part}_1.txt").read_text().splitlines():
            open(f"{images}/{line.split()[0]}", "xb").close()  # quicker than Path.touch
    return root


def test_all_splits_follow_each_other_with_their_own_scores(folder):
    lamem = load_lamem(folder)
    assert lamem.images == [folder / "images" / name for name in NAMES] * 5
    assert lamem.groups.tolist() == NAMES * 5
    assert lamem.target[:8].tolist() == [0.25, 0.5, 1.0, 0.0, 0.35, 0.6, 0.9, 0.1]
    assert len(lamem.cv) == len(lamem.validation) == 5
    for k, (train, test) in enumerate(lamem.cv, 1):
        for part, rows in (("train", train), ("test", test), ("val", lamem.validation[k - 1])):
            found = {lamem.images[row].name: lamem.target[row] for row in rows}
            assert found == SPLITS[k][part]
    assert lamem.consistency == 0.68
    assert lamem.score_range == (0, 1)
    assert "Khosla" in lamem.DESCR


def test_one_split_has_its_rows_and_its_fold(folder):
    lamem = load_lamem(folder, split=2)
    assert [path.name for path in lamem.images] == NAMES
    assert lamem.target.tolist() == [0.35, 0.6, 0.9, 0.1]
    ((train, test),) = lamem.cv
    assert (train.tolist(), test.tolist()) == ([3, 2], [1])
    assert [rows.tolist() for rows in lamem.validation] == [[0]]
    images, target = load_lamem(folder, split=2, return_X_y=True)
    assert images == lamem.images
    assert np.array_equal(target, lamem.target)


def test_the_mean_has_one_row_an_image_and_all_folds(folder):
    lamem = load_lamem(folder, split="mean")
    assert np.allclose(lamem.target, [0.3, 0.5, 0.9, 0.2])
    assert [(train.tolist(), test.tolist()) for train, test in lamem.cv][:2] == [
        ([1, 0], [3]),
        ([3, 2], [1]),
    ]
    assert "each split's own" in lamem.rule


def test_as_frames(folder):
    lamem = load_lamem(folder, split=1, as_frame=True)
    assert isinstance(lamem.images, pd.Series)
    assert lamem.frame["memorability"].tolist() == [0.25, 0.5, 1.0, 0.0]
    assert lamem.frame["group"].tolist() == NAMES
    # The folder around it will do.
    assert load_lamem(folder.parent, split=1).images[0] == folder / "images" / "a.jpg"


@pytest.mark.parametrize("split", [0, "each", 1.5, None])
def test_unknown_splits_are_refused(folder, split):
    with pytest.raises(ValueError, match=r"is unknown; choose one of \['all', 'mean', 1, 2"):
        load_lamem(folder, split=split)


def test_a_whole_split_can_be_used_where_others_are_missing(folder):
    (folder / "splits" / "val_3.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"split= can.*: 'val_3.txt'.*fetch_lamem"):
        load_lamem(folder)
    assert len(load_lamem(folder, split=1).images) == 4


def test_missing_folders_and_images_tell_the_way_out(folder, tmp_path):
    with pytest.raises(NotADirectoryError, match=r"fetch_lamem\(\)"):
        load_lamem(tmp_path / "nowhere")
    (tmp_path / "bare").mkdir()
    with pytest.raises(FileNotFoundError, match=r"'images' and 'splits'.*fetch_lamem\(\)"):
        load_lamem(tmp_path / "bare")
    (folder / "images" / "c.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"missing from.*images.*'c.jpg'.*fetch_lamem"):
        load_lamem(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train_1.txt", "a.jpg 0.5\n", r"Split 2 .*has not the images of split 1.*'b.jpg'"),
        ("train_1.txt", "a.jpg 0.5\nb.jpg 0.5\nc.jpg 0.5\n", "Split 1.*more than once: 'c.jpg'"),
        ("val_2.txt", "a.jpg\n", r"val_2\.txt.*not a file name and a score: 'a.jpg' in row 1"),
        ("val_2.txt", "a.jpg 1.2\n", r"score of val_2\.txt.*\(0, 1\): 1.2 in row 1"),
        ("val_2.txt", "a.jpg nan\n", r"score of val_2\.txt.*no numbers: 'nan' in row 1"),
        ("test_4.txt", "", r"test_4\.txt' is empty"),
    ],
)
def test_what_is_wrong_with_a_split_is_named(folder, file, text, message):
    (folder / "splits" / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_lamem(folder)


def test_the_real_splits_have_the_published_sizes_and_cross_nowhere(lamem):
    read = load_lamem(lamem)
    assert len(read.images) == 5 * 58_741
    for (train, test), validation in zip(read.cv, read.validation, strict=True):
        assert (len(train), len(validation), len(test)) == (45_000, 3_741, 10_000)
        rows = np.concatenate([train, validation, test])
        # All of one split's block, each image once.
        assert np.ptp(rows) == 58_740
        assert len(np.unique(rows)) == len(np.unique(read.groups[rows])) == 58_741
    assert 0 <= read.target.min() < read.target.max() <= 1
    # Each split has scores of its own.
    scores = read.target.reshape(5, -1)
    ranks = np.corrcoef(pd.DataFrame(scores.T).rank().to_numpy().T)
    assert 0.75 < ranks[np.triu_indices(5, 1)].min() < ranks[np.triu_indices(5, 1)].max() < 0.9
