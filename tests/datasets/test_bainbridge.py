import numpy as np
import pytest
import scipy.io

from sklearn_memorability.datasets import load_bainbridge

NAMES = ["Google_1_A Person_5_oval.jpg", "Google_1_B, C_1_oval.jpg", "Yahoo_7_oval.jpg"]
COUNTS = {
    "hits": [60, 20, 81],
    "misses": [20, 60, 0],
    "false_alarms": [10, 5, 0],
    "correct_rejections": [90, 95, 100],
}
HIT_RATES = [0.75, 0.25, 1.0]


def _write_matlab(folder, variables, lines=None):
    scores = folder / "Memorability Scores"
    columns = {
        name: np.array(values)[:, None] if np.ndim(values) else values
        for name, values in variables.items()
    }
    scipy.io.savemat(scores / "memorability-scores.mat", columns)
    if lines is None:
        lines = ["Image #,Filename", *(f"{i},{name}" for i, name in enumerate(NAMES, 1))]
    (scores / "target-filenames.txt").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path, put_images):
    put_images(tmp_path / "10k US Adult Faces Database" / "Face Images", [*NAMES, "a filler.jpg"])
    (tmp_path / "Memorability Scores").mkdir()
    return tmp_path


def _check(faces, folder):
    images = folder / "10k US Adult Faces Database" / "Face Images"
    assert faces.images == [images / name for name in NAMES]
    assert faces.target == pytest.approx(HIT_RATES)
    assert faces.score_range == (0, 1)
    assert {name: count.tolist() for name, count in faces.counts.items()} == COUNTS
    assert faces.weights.tolist() == [80, 80, 81]
    # Spearman-Brown's reliability of .68 is .810; its root is .900.
    assert faces.ceiling == pytest.approx(0.9, abs=5e-4)
    assert faces.rule == "3 images are here; the paper has 2,222."
    assert "may not be redistributed" in faces.DESCR


def test_the_matrices_are_read_by_the_images_numbers(folder):
    _write_matlab(folder, COUNTS)
    _check(load_bainbridge(folder), folder)
    corrected = load_bainbridge(folder, correction="difference")
    assert corrected.target == pytest.approx([0.65, 0.2, 1.0])
    assert corrected.score_range == (-1, 1)
    assert corrected.ceiling is None


def test_structures_are_read(folder, structs):
    names = ("Hits", "Misses", "FalseAlarms", "CorrectRejections")
    columns = [np.array(counts)[:, None] for counts in COUNTS.values()]
    of_matrices = structs([dict(zip(names, columns, strict=True))])
    in_a_row = structs([{name: COUNTS[name][i] for name in COUNTS} for i in range(3)])
    for structure in (of_matrices, in_a_row):
        _write_matlab(folder, {})
        path = folder / "Memorability Scores/memorability-scores.mat"
        scipy.io.savemat(path, {"scores": structure})
        _check(load_bainbridge(folder), folder)


def test_names_without_a_header_and_with_odd_bytes(folder):
    name = "Google_Zo\udcebl_oval.jpg"  # As written by a system of the nineties.
    images = folder / "10k US Adult Faces Database" / "Face Images"
    (images / NAMES[2]).rename(images / name)
    _write_matlab(folder, COUNTS)
    text = "\n".join(f"{i},{name}" for i, name in enumerate([*NAMES[:2], name], 1))
    path = folder / "Memorability Scores/target-filenames.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert load_bainbridge(folder).images[2] == images / name


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,a.jpg", "3,b.jpg", "2,c.jpg"], "not the next number.*'3,b.jpg' in row 2"),
        (["1,a.jpg", "2,b.jpg"], "names 2 images, but the file of scores has: 3 hits, 3 misses"),
        (["1,a.jpg", "2,a.jpg", "3,b.jpg"], "more than once: 'a.jpg' in rows 1 and 2"),
        (["1,../../x.jpg", "2,a.jpg", "3,b.jpg"], r"outside the folder: '\.\./\.\./x\.jpg'"),
    ],
)
def test_bad_lists_of_names_are_refused(folder, lines, message):
    _write_matlab(folder, COUNTS, lines)
    with pytest.raises(ValueError, match=message):
        load_bainbridge(folder)


def test_matlab_files_that_are_none_are_refused(folder):
    _write_matlab(folder, COUNTS)
    path = folder / "Memorability Scores/memorability-scores.mat"
    content = path.read_bytes()
    for damaged in (b"", b"x" * 300, content[:200]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"scores\.mat' can't be read as a MATLAB file"):
            load_bainbridge(folder)
    _write_matlab(folder, {"scores": np.zeros((3, 4))})
    with pytest.raises(ValueError, match=r"memorability-scores\.mat' has no column 'hits'"):
        load_bainbridge(folder)
    _write_matlab(folder, COUNTS | {"hits": [60, 20.5, 81]})
    with pytest.raises(ValueError, match="'hits' has counts that.* in row 2"):
        load_bainbridge(folder)


def test_what_is_missing_is_named_with_the_place_to_ask(folder, tmp_path):
    with pytest.raises(NotADirectoryError, match=r"no folder.*form at https://wilmabainbridge"):
        load_bainbridge(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"memorability-scores\.mat.*wilmabainbridge"):
        load_bainbridge(folder)
    _write_matlab(folder, COUNTS)
    names = folder / "Memorability Scores/target-filenames.txt"
    names.rename(folder / "names.txt")
    with pytest.raises(FileNotFoundError, match=r"no file.*target-filenames\.txt.*bainbridge"):
        load_bainbridge(folder)
    (folder / "names.txt").rename(names)
    (folder / "10k US Adult Faces Database" / "Face Images" / NAMES[2]).unlink()
    with pytest.raises(FileNotFoundError, match=r"'Yahoo_7_oval\.jpg' in row 3.*wilmabainbridge"):
        load_bainbridge(folder)
