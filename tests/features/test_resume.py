"""Features survive whatever ends the process, and folds cost them nothing."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.features._networks import Network
from sklearn_memorability.metrics import spearman_scorer

N_PICTURES = 500
BATCH = 8
KILLS = 10

# Writes how many pictures went through the network before they can be kept, so what is
# written and not kept was lost.
CODE = """
import os, sys
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.features._networks import Network

folder, log = sys.argv[1:]
features = Network.features

def counting(self, views):
    found = features(self, views)
    with open(log, "ab", buffering=0) as file:
        file.write(b"%d\\n" % len(found))
    return found

Network.features = counting
names = sorted(os.path.join(folder, name) for name in os.listdir(folder))
transformer = ImageFeatures(batch_size=8, cache=os.path.join(os.path.dirname(log), "cache"))
transformer.fit_transform(names)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pictures")
    chance = np.random.default_rng(0)
    for i in range(N_PICTURES):
        pixels = chance.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((64, 64)).save(made / f"{i:03}.png")
    return made


def _computed(log):
    # A line that the kill cut short was not followed by anything that was kept.
    return sum(int(line) for line in log.read_bytes().split()) if log.exists() else 0


@pytest.mark.slow
def test_ten_kills_lose_no_more_than_a_batch_each(folder, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", CODE, str(folder), str(log)]
    names = sorted(folder.iterdir())
    expected = ImageFeatures(batch_size=BATCH).fit_transform(names)
    chance = random.Random(0)
    cache = FeatureCache(tmp_path / "cache")
    kills = 0
    while kills < KILLS:
        before = _computed(log)
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        # At a random moment between the first batches and some forty pictures on.
        target = before + chance.randint(1, 4) * BATCH
        while _computed(log) < target and process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.05)
        assert process.poll() is None, "it was to be killed before its end"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        kills += 1
        assert 0 <= _computed(log) - len(cache) <= kills * BATCH
    done = subprocess.run(command, check=False)
    assert done.returncode == 0
    assert len(cache) == N_PICTURES
    assert N_PICTURES <= _computed(log) <= N_PICTURES + KILLS * BATCH
    found = ImageFeatures(cache=cache).fit_transform(names)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_grid_search_computes_every_picture_once(things_images, tmp_path, monkeypatch):
    counts = []
    features = Network.features

    def counting(self, views):
        counts.append(len(views))
        return features(self, views)

    monkeypatch.setattr(Network, "features", counting)
    names = sorted((things_images / "images").glob("*.jpg"))[:200]
    y = np.random.default_rng(0).uniform(size=200)
    pipeline = Pipeline(
        [
            ("features", ImageFeatures(cache=tmp_path / "cache")),
            ("scale", StandardScaler()),
            ("model", SVR()),
        ]
    )
    search = GridSearchCV(
        pipeline,
        {"model__C": [0.01, 0.1, 1.0, 10.0]},
        scoring=spearman_scorer,
        cv=KFold(5, shuffle=True, random_state=0),
    )
    search.fit(names, y)
    assert len(search.cv_results_["params"]) == 4
    assert sum(counts) == 200
    search.predict(names)
    assert sum(counts) == 200
