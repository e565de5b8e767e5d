"""The recipe for MLflow in docs/sharing.md. MLflow is not among the packages for tests."""

import numpy as np
import pytest
import skops.io

from sklearn_memorability import ImageFeatures
from sklearn_memorability.persistence import ModelCard, load, save
from sklearn_memorability.pipelines import mlp_regressor


@pytest.mark.filterwarnings("ignore")  # of MLflow's own
def test_a_model_goes_through_mlflow_without_pickle(photographs, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", minversion="3.9")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    model = mlp_regressor(ImageFeatures(), n_classes=2, max_epochs=1, device="cpu")
    model.fit(photographs, [0.6, 0.8])
    save(model, "to-upload", card=ModelCard(title="Images"))
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            model, name="model", serialization_format="skops", skops_trusted_types=trusted
        )
        mlflow.log_artifacts("to-upload", "shared")
    assert not list(tmp_path.rglob("*.pkl"))
    folder = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="shared")
    for loaded in (mlflow.sklearn.load_model(info.model_uri), load(folder)):
        np.testing.assert_array_equal(loaded.predict(photographs), model.predict(photographs))
