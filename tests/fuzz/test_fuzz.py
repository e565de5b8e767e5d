"""Files that were made to do harm: each reader refuses them by an error that names the file.

A short run is part of the suite. ``python tests/fuzz/test_fuzz.py --seconds 600`` looks longer,
and writes what it finds into ``findings``, where each file is a test from then on.
"""

import argparse
import hashlib
import io
import logging
import sys
import tempfile
import time
import warnings
import zipfile
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_memorability.captions import VisualSemanticEmbedding
from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.features import ImageFeatures
from sklearn_memorability.images import ImageReadError, read_image
from sklearn_memorability.model_selection import BayesSearchCV
from sklearn_memorability.persistence import load, read_facts, save
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

FINDINGS = Path(__file__).parent / "findings"
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 4)).astype(np.float32), RNG.random(24)
EVENTS, LAST = [], {}


def _picture(kind, mode="RGB"):
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (9, 7, 3), dtype=np.uint8)).convert(mode).save(
        buffer, kind
    )
    return buffer.getvalue()


def _saved(write, name):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, name))
        return Path(folder, name).read_bytes()


# Each reader: sound files by variant, and what reads one. It may raise ValueError or OSError.


def images():
    kinds = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PCX", "PPM", "SGI", "TGA")
    return {kind.lower(): _picture(kind) for kind in kinds}


def read_images(path):
    try:
        assert read_image(path).mode == "RGB"
    finally:
        with suppress(ImageReadError):  # not another error, and no file's name to tell
            read_image(path.read_bytes())


def tables():
    return {
        "csv": "image,score,place\na.png,0.5,x\nb.png,.25,é\n".encode(),
        "tsv": b"image\tscore\na.png\t0.5\nb.png\t1\n",
    }


def read_table(path):
    for name in ("a.png", "b.png"):
        (path.parent / name).write_bytes(_dot())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is not in UTF-8")
        found = load_image_folder(path.parent, path, duplicates="ignore")
    assert np.isfinite(found.target).all()


_dot = lru_cache(lambda: _picture("PNG"))


@lru_cache
def _shown():
    return [Image.fromarray(RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)) for _ in range(3)]


def models():
    regressor = BalancedQuantileClassifierRegressor(
        2, max_epochs=1, hidden_layer_sizes=(2,), random_state=0, device="cpu"
    )
    fitted = {
        "regressor": make_pipeline(StandardScaler(), regressor),
        "neighbours": KNeighborsRegressor(2),
    }
    return {
        name: _saved(lambda path, m=model: save(m.fit(X, Y), path), "a.skops")
        for name, model in fitted.items()
    }


def read_model(path):
    with suppress(ValueError):
        read_facts(path)
    model = load(path, device="cpu")
    with suppress(Exception):  # an odd model may refuse the rows
        model.predict(X[:2])


def weights():
    return {}  # findings alone


def read_weights(path):
    ImageFeatures("efficientnet_lite0", weights=path).fit(_shown()).transform(_shown())


def embeddings():
    captions = [f"a dog, on <b>é</b> {i % 3}" for i in range(len(X))]

    def write(path, encoder):
        VisualSemanticEmbedding(
            2, text_encoder=encoder, max_epochs=1, device="cpu", network="vgg16"
        ).fit(X, captions).save(path)

    return {
        encoder: _saved(lambda path, e=encoder: write(path, e), "a.safetensors")
        for encoder in ("gru", "bow")
    }


def read_embedding(path):
    space = VisualSemanticEmbedding.load(path)
    space.transform(np.ones((1, space.n_features_in_), np.float32))
    space.transform_captions(["a dog", "é"])


def trials():
    return {"jsonl": _saved(_search, "trials.jsonl")}


def _search(path):
    return BayesSearchCV(
        Ridge(), {"alpha": [0.1, 1.0, 10.0]}, n_iter=3, cv=2, random_state=0, storage=path
    ).fit(X, Y)


def read_trials(path):
    assert len(_search(path).cv_results_["params"]) == 3


READERS = {
    "images": (images, read_images),
    "tables": (tables, read_table),
    "models": (models, read_model),
    "weights": (weights, read_weights),
    "embedding": (embeddings, read_embedding),
    "trials": (trials, read_trials),
}
sound = lru_cache(lambda name: READERS[name][0]())


def check(name, variant, content):
    """Read a file; fail if it does what no reader may do."""
    LAST[name] = variant, content
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, f"given.{variant}")
        path.write_bytes(content)
        EVENTS.clear()
        EVENTS.append("watched")
        try:
            READERS[name][1](path)
        except (ValueError, OSError) as error:
            named = "given" in str(error) or folder in str(error)
            if not named and name != "tables":  # those name the column or the row
                pytest.fail(f"the error does not name the file: {error!r}")
            return error
        finally:
            seen = EVENTS[1:]
            EVENTS.clear()
            assert not seen, seen
    return None


def _watch(event, _):
    if EVENTS and event in FORBIDDEN:
        EVENTS.append(event)


sys.addaudithook(_watch)


@st.composite
def damaged(draw, name):
    """Return a variant and a sound file of it with some changes, also inside a zip's members."""
    variant = draw(st.sampled_from(sorted(sound(name))))
    content = sound(name)[variant]
    if zipfile.is_zipfile(io.BytesIO(content)) and draw(st.booleans()):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
        at = draw(st.integers(0, len(members) - 1))
        members[at] = members[at][0], draw(changed(members[at][1]))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for info, member in members:
                archive.writestr(info.filename, member)
        return variant, buffer.getvalue()
    return variant, draw(changed(content))


@st.composite
def changed(draw, content):
    """Return bytes with up to four places overwritten, removed, doubled or cut off."""
    odd = [b"\0", b"\xff" * 4, b"-1", b"1e999", b"NaN", b"null", b"[" * 2000, b"../"]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(content) - 1, 0)))
        stop = start + draw(st.integers(0, 40))
        twice = st.just(content[start:stop] * 2)
        new = draw(st.sampled_from(odd) | st.binary(max_size=8) | st.just(b"") | twice)
        rest = draw(st.sampled_from([content[stop:], content[start + len(new) :], b""]))
        content = content[:start] + new + rest
    return content


def fuzz(name, n_examples, derandomize=False):
    """Read so many damaged files."""

    @settings(
        max_examples=n_examples,
        derandomize=derandomize,
        deadline=timedelta(seconds=20),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(case=damaged(name))
    def run(case):
        check(name, *case)

    run()


@pytest.mark.parametrize("name", [name for name in READERS if name != "weights"])
def test_a_reader_withstands_damaged_files(name):
    for variant, content in sound(name).items():
        assert check(name, variant, content) is None
    # The same cases each time: a change is not stopped by what another one left.
    fuzz(name, 200 if name == "images" else 40, derandomize=True)


@pytest.mark.parametrize("path", sorted(FINDINGS.iterdir()), ids=lambda path: path.stem)
def test_a_file_that_was_found_is_refused(path):
    name, variant, _ = path.stem.split("--")
    assert isinstance(check(name, variant, path.read_bytes()), ValueError | OSError)


def main():
    """Fuzz for a time, keep what is found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--reader", nargs="+", choices=READERS, default=list(READERS))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    readers = [name for name in arguments.reader if name != "weights"]
    until, code = time.monotonic() + arguments.seconds, 0
    while time.monotonic() < until and readers:
        for name in list(readers):
            try:
                fuzz(name, 100)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                variant, content = LAST[name]  # the smallest that hypothesis found
                digest = hashlib.sha256(content).hexdigest()[:12]
                path = FINDINGS / f"{name}--{variant}--{digest}.bin"
                path.write_bytes(content)
                logging.exception("FINDING %s", path)
                readers.remove(name)
                code = 1
            logging.info("%s: read", name)
    return code


if __name__ == "__main__":
    sys.exit(main())
