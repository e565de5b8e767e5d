"""What a million pictures take, and a hundred million: measured here, then multiplied.

    python benchmarks/plan.py [FOLDER] [--pictures 600] [--rows 100000] [--machines 100]

FOLDER holds pictures (default: the photographs of MEMORABILITY_TEST_DATA). Measured on
this machine, each with one process and all its cores:

- pictures a second, from files to rows on disk (``write_features``), for the network
  that ``--backbone`` names;
- bytes a picture, of the pictures and of the rows;
- rows a second of an epoch, of what comes before the first and of predicting, with the
  paper's regressor trained from a file on disk (``mlp_regressor``), its rows as wide as
  the network's; rows a second of the recommended regressor's whole fit, which ends by
  itself.

Then the arithmetic for 10^6 and 10^8 pictures, on one such machine and on
``--machines`` of them: what is done once a picture is divided among them; a fit runs on
one machine, on all rows and on a million of them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count

from sklearn_memorability.features import ImageFeatures, StoredFeatures, write_features
from sklearn_memorability.images import list_images
from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor

_HOUR = 3600.0
_EPOCHS = 10  # the paper's
_SAMPLE = 1e6


def main() -> None:
    """Measure, then multiply."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    options = parser.parse_args()
    paths = list_images(options.folder or _photographs())[: options.pictures]
    with tempfile.TemporaryDirectory() as folder:
        extraction = _extraction(paths, options.backbone, Path(folder))
        training = _training(options.rows, int(extraction["width"]), Path(folder))
    print(f"measured, on {cpu_count()} cores without a GPU ({options.backbone}):")
    for name, value in {**extraction, **training}.items():
        print(f"  {name:30} {value:12,.0f}")
    for n_pictures in (1e6, 1e8):
        _plan(n_pictures, options.machines, {**extraction, **training})


def _extraction(paths: list[Path], backbone: str, folder: Path) -> dict[str, float]:
    extractor = ImageFeatures(backbone).fit(paths[:1])
    extractor.transform(paths[:32])
    begun = time.perf_counter()
    rows = write_features(extractor, paths, folder / "features.npy")
    seconds = time.perf_counter() - begun
    return {
        "pictures a second": len(paths) / seconds,
        "bytes of a picture": sum(os.path.getsize(path) for path in paths) / len(paths),
        "bytes of a row": os.path.getsize(folder / "features.npy") / len(paths),
        "width": rows.shape[1],
    }


def _training(n_rows: int, width: int, folder: Path) -> dict[str, float]:
    chance = np.random.default_rng(0)
    path = folder / "rows.npy"
    written = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, width))
    for start in range(0, n_rows, 10_000):
        part = written[start : start + 10_000]
        part[:] = chance.standard_normal(part.shape, dtype=np.float32)
    y = np.clip(0.75 + 0.05 * written[:, 0] + 0.05 * chance.standard_normal(n_rows), 0, 1)
    written.flush()
    del written
    X = StoredFeatures(path)
    model = mlp_regressor(max_epochs=1, random_state=0)
    model.fit(X[:1000], y[:1000])  # what is loaded once
    short = _seconds(lambda: model.fit(X, y))
    model.set_params(model__max_epochs=5)
    epoch = (_seconds(lambda: model.fit(X, y)) - short) / 4
    recommended = recommended_regressor(random_state=0)
    return {
        "rows a second, an epoch": n_rows / epoch,
        # The means for scaling and the quantiles: little beside an epoch.
        "rows a second, before it": n_rows / max(short - epoch, 0.05 * epoch),
        "rows a second, predicting": n_rows / _seconds(lambda: model.predict(X)),
        "rows a second, recommended fit": n_rows / _seconds(lambda: recommended.fit(X, y)),
    }


def _seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _plan(n_pictures: float, machines: int, rate: dict[str, float]) -> None:
    print(f"\n{n_pictures:,.0f} pictures")
    extraction = n_pictures / rate["pictures a second"] / _HOUR
    predicting = n_pictures / rate["rows a second, predicting"] / _HOUR
    for what, hours in {"pictures to rows": extraction, "predicting": predicting}.items():
        print(f"  {what:22} {_time(hours)}; on {machines} machines{_time(hours / machines)}")
    for what, n_rows in {
        "a fit, all rows": n_pictures,
        "a fit, a million rows": min(n_pictures, _SAMPLE),
    }.items():
        once = n_rows / rate["rows a second, before it"]
        hours = (once + _EPOCHS * n_rows / rate["rows a second, an epoch"]) / _HOUR
        print(f"  {what:22} {_time(hours)} ({_EPOCHS} epochs)")
        hours = n_rows / rate["rows a second, recommended fit"] / _HOUR
        print(f"  {'  recommended':22} {_time(hours)}")
    for what in ("picture", "row"):
        total = n_pictures * rate[f"bytes of a {what}"] / 1e9
        print(f"  {what + 's on disk':22} {total:12,.0f} GB")


def _time(hours: float) -> str:
    return f"{hours:10,.1f} hours" if hours >= 1 else f"{60 * hours:10,.1f} minutes"


def _photographs() -> Path:
    data = os.environ.get("MEMORABILITY_TEST_DATA")
    if not data:
        raise SystemExit("Give a folder of pictures, or set MEMORABILITY_TEST_DATA.")
    return Path(data) / "things_images" / "images"


if __name__ == "__main__":
    main()
