"""Equal things have one fingerprint, in any process; others have another."""

import subprocess
import sys

import numpy as np
from scipy.stats import loguniform
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability._utils._fingerprint import fingerprint


def test_values_decide():
    X = np.arange(6.0).reshape(2, 3)
    model = make_pipeline(StandardScaler(), SVR(C=2))
    known = fingerprint(X, model, {"C": loguniform(1e-3, 1)})
    again = make_pipeline(StandardScaler(), SVR(C=2))
    assert fingerprint(X.copy(), again, {"C": loguniform(1e-3, 1)}) == known
    assert fingerprint(X, model, {"C": loguniform(1e-3, 2)}) != known
    assert fingerprint(X + 1, model, {"C": loguniform(1e-3, 1)}) != known
    assert fingerprint(X.astype(np.float32), model, {"C": loguniform(1e-3, 1)}) != known


def test_other_processes_find_the_same():
    code = (
        "import numpy as np\n"
        "from scipy.stats import loguniform\n"
        "from sklearn.svm import SVR\n"
        "from sklearn_memorability._utils._fingerprint import fingerprint\n"
        "print(fingerprint(np.arange(3), SVR(C=2), {'C': loguniform(.1, 1)}, ['a', 'b']))\n"
    )
    done = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert done[0].stdout == done[1].stdout != ""


def test_a_file_that_was_written_anew_is_another_one(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    known = fingerprint([str(path)])
    assert fingerprint([str(path)]) == known
    path.write_bytes(b"another")
    assert fingerprint([str(path)]) != known


def test_what_cannot_be_pickled_is_never_taken_for_anything():
    assert fingerprint(lambda: 1) != fingerprint(lambda: 1)
