import numpy as np
import pytest
import scipy.io

from sklearn_memorability.datasets._matlab import read_matlab


def test_variables_come_without_dimensions_of_length_one(tmp_path):
    records = np.empty((1, 2), dtype=[("name", object), ("hits", object)])
    records[0, 0], records[0, 1] = ("a.jpg", 3), ("b.jpg", 4)
    path = tmp_path / "set.mat"
    scipy.io.savemat(path, {"records": records, "column": np.array([[1.5], [2.5]])})
    variables = read_matlab(path)
    assert set(variables) == {"records", "column"}
    assert variables["column"].tolist() == [1.5, 2.5]
    assert [(str(row["name"]), int(row["hits"])) for row in variables["records"]] == [
        ("a.jpg", 3),
        ("b.jpg", 4),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a MATLAB file, but text that is long enough for a header" * 10,
        b"\x89HDF\r\n\x1a\n" + bytes(600),  # version 7.3 is another format
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "set.mat"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"set\.mat' can't be read as a MATLAB file"):
        read_matlab(path)


def test_damaged_files_are_refused_by_name(tmp_path):
    path = tmp_path / "set.mat"
    scipy.io.savemat(path, {"column": np.arange(500.0)}, do_compression=True)
    content = path.read_bytes()
    for i in range(130, len(content), 97):
        path.write_bytes(content[:i])
        with pytest.raises(ValueError, match=r"set\.mat' can't be read"):
            read_matlab(path)
        path.write_bytes(content[:i] + bytes([content[i] ^ 255]) + content[i + 1 :])
        with pytest.raises(ValueError, match=r"set\.mat' can't be read"):
            read_matlab(path)
