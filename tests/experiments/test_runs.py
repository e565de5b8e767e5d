"""Predictions that are kept."""

import numpy as np
import pytest

from sklearn_memorability.experiments._runs import Runs


def test_predictions_are_found_again_by_their_fingerprint(tmp_path):
    runs = Runs(tmp_path / "new" / "folder")
    assert runs.get("row", "a" * 64) is None
    runs.put("row", "a" * 64, np.array([0.1, 0.2], dtype=np.float32))
    assert runs.get("row", "a" * 64).tolist() == pytest.approx([0.1, 0.2])
    assert runs.get("row", "b" * 64) is None
    assert runs.get("other", "a" * 64) is None


def test_nothing_is_kept_without_a_folder():
    runs = Runs(None)
    runs.put("row", "a" * 64, np.zeros(2))
    assert runs.get("row", "a" * 64) is None


def test_a_name_does_not_lead_out_of_the_folder(tmp_path):
    runs = Runs(tmp_path / "predictions")
    runs.put("../../mine/:*?", "a" * 64, np.zeros(2))
    (kept,) = (tmp_path / "predictions").iterdir()
    assert [path.name for path in tmp_path.iterdir()] == ["predictions"]
    assert kept.suffix == ".npy"
