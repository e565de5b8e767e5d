"""What is worked on, what an undisturbed run makes of it, and how results are judged."""

import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna  # noqa: F401 - imported once, not in each child
import torch
from PIL import Image
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torchvision import transforms

from faulting.children import Child
from sklearn_memorability.cli import main as command
from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.model_selection import BayesSearchCV
from sklearn_memorability.persistence import save
from sklearn_memorability.pipelines import svr_regressor

N = 72  # pictures; with fewer than 64, the pace is not measured
N_ITER, N_FOLDS = 8, 3
IS_ROOT = os.geteuid() == 0
YEAR = 365.0 * 86400

SMALL = transforms.Compose(
    [transforms.Resize(16), transforms.CenterCrop(16), transforms.ToTensor()]
)


class Colours(nn.Module):
    """A network of a user's own: colours at sixteen places."""

    def forward(self, x):
        """Return 48 features."""
        return nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


class Slow(RegressorMixin, BaseEstimator):
    """Predicts a weighted mean, slowly, and notes each fit."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def fit(self, X, y):
        """Fit it."""
        Child.note("computed", f"{self.weight!r}")
        time.sleep(0.01)
        self.mean_ = float(np.mean(y)) * self.weight
        return self

    def predict(self, X):
        """Predict."""
        return self.mean_ + 0.1 * np.asarray(X)[:, 0]


class Verdict(NamedTuple):
    """What a fault did that it must not do."""

    wrong: int = 0
    lost: int = 0
    codes: int = 0
    unclear: int = 0
    hung: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: "Verdict") -> "Verdict":  # type: ignore[override]
        return Verdict(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def bad(self) -> bool:
        """Whether anything is not as it must be."""
        return any(self[:5])


def verdict(note: str = "", **counts: int) -> Verdict:
    """Return counts, with the note if any is not 0."""
    return Verdict(**counts, notes=(note,) if any(counts.values()) else ())


class Bench:
    """Pictures, models and what an undisturbed run makes of them."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        chance = np.random.default_rng(seed)
        self.names = self._pictures(root / "pictures", chance)
        self.others = self._pictures(root / "others", chance)
        self.rows: dict[tuple[str, str], np.ndarray] = {}
        self.y = chance.uniform(size=N)
        self.X = chance.normal(size=(N, 6)).astype(np.float32)
        # A process forked later has the network already.
        torch.set_num_threads(1)
        ImageFeatures().fit(self.names)

    def _pictures(self, folder: Path, chance: np.random.Generator) -> list[str]:
        folder.mkdir()
        names = []
        for i in range(N):
            names.append(str(folder / f"{i:02}.png"))
            pixels = chance.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((48, 48)).save(names[-1])
        return names

    def prepare(self) -> None:
        """Compute, in children, what later ones are compared with."""
        for net in ("small", "embedded"):
            for kind, names in (("pictures", self.names), ("others", self.others)):
                child = Child(self.root / f"{net} {kind}", transforming(net, names))
                self.rows[net, kind] = done(child)
            cached = self.root / f"{net}.sqlite"
            done(Child(self.root / f"{net} cached", transforming(net, self.names, cache=cached)))
        done(Child(self.root / "search", self.searching(None)), "scores")
        self.scores = np.load(self.root / "search" / "scores.npy")
        self.model = self.root / "model.skops"
        done(Child(self.root / "model", lambda _: self._make_model()), None)
        done(Child(self.root / "plain", self.predicting(self.root / "plain.csv")), None)
        self.predicted = column(self.root / "plain.csv", "score")

    def _make_model(self) -> None:
        # Rows that are there, as this is a child of its own.
        save(svr_regressor(ImageFeatures()).fit(self.names, self.y), self.model)

    def predicting(self, output: Path, *more: str) -> Callable[[Child], Any]:
        """Return the work of the command ``predict``."""
        pictures = str(Path(self.names[0]).parent)
        return commanding("predict", pictures, "-m", self.model, "-o", output, "--force", *more)

    def extracting(self, output: Path, *more: Any) -> Callable[[Child], Any]:
        """Return the work of the command ``extract``."""
        pictures = str(Path(self.names[0]).parent)
        return commanding("extract", pictures, "-o", output, "--force", *more)

    def fitting(self, output: Path, *more: Any) -> Callable[[Child], Any]:
        """Return the work of the command ``fit``."""
        table = output.with_name("scores.csv")
        names = [Path(name).name for name in self.names]
        lines = [f"{name},{score:.6f}" for name, score in zip(names, self.y, strict=True)]
        table.write_text("\n".join(["image,score", *lines, ""]))
        pictures = str(Path(self.names[0]).parent)
        given = ("--images", pictures, "--scores", table, "-m", "svr", "-o", output, "--force")
        return commanding("fit", *given, *more)

    def searching(self, storage: Path | None) -> Callable[[Child], Any]:
        """Return the work of a search."""

        def work(child: Child) -> None:
            search = BayesSearchCV(
                *(Slow(), {"weight": loguniform(0.1, 10)}),
                n_iter=N_ITER,
                cv=N_FOLDS,
                random_state=0,
                storage=storage,
            )
            try:
                search.fit(self.X, self.y)
            except BaseException:
                Child.note("fitted", str(is_fitted(search)))
                raise
            np.save(child.folder / "scores.npy", search.cv_results_["mean_test_score"])

        return work

    def mistakes(self, child: Child, net: str, kind: str = "pictures") -> Verdict:
        """Return how many of a child's rows are wrong; one that failed has none."""
        if "error" in child.join():
            return Verdict()
        found = np.load(child.folder / "rows.npy")
        return verdict("rows differ", wrong=differing(found, self.rows[net, kind]))


def differing(found: np.ndarray, expected: np.ndarray) -> int:
    """Return how many rows are not what they should be; NaN is wrong."""
    if found.shape != expected.shape:
        return len(expected)
    close = np.isclose(found, expected, rtol=1e-4, atol=1e-4)
    return int((~close.all(axis=1)).sum())


def extractor(net: str, **params: Any) -> ImageFeatures:
    """Return a transformer with one of the networks."""
    if net == "small":
        return ImageFeatures(Colours(), preprocessing=SMALL, **params)
    return ImageFeatures(**params)


def transforming(
    net: str,
    names: list[str],
    *,
    before: Callable[[Child], None] | None = None,
    threads: int = 1,
    pause: float = 0.0,
    **params: Any,
) -> Callable[[Child], Any]:
    """Return the work of a transform; ``before`` comes between it and fit."""

    def work(child: Child) -> None:
        torch.set_num_threads(threads)
        transformer = extractor(net, verbose=1, **params).fit(names)
        if pause:
            Child.hook = lambda: time.sleep(pause)
        if before is not None:
            before(child)
        with open(child.folder / "rows.npy", "wb") as file:
            Child.note("began", "")
            np.save(file, transformer.transform(names))

    return work


def commanding(*argv: Any) -> Callable[[Child], Any]:
    """Return the work of the command, which comes to its exit code."""

    def work(child: Child) -> int:
        Child.note("began", "")
        code = command([str(argument) for argument in argv])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            sys.stdout.flush()  # as Python does at its end, with this exit code
        except OSError:
            return 120
        return code

    return work


def done(child: Child, name: str | None = "rows") -> Any:
    """Return the array that a child left; it must have ended well."""
    found = child.join()
    if "error" in found or found.get("result"):
        raise RuntimeError(f"{child.folder.name}: {found} {child.err}")
    return None if name is None else np.load(child.folder / f"{name}.npy")


def column(path: Path, name: str) -> np.ndarray:
    """Return a column of a CSV file as numbers."""
    header, *lines = path.read_text().splitlines()
    at = header.split(",").index(name)
    return np.array([float(line.split(",")[at] or "nan") for line in lines])


def is_fitted(estimator: Any) -> bool:
    """Return whether scikit-learn takes an estimator for fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def n_kept(path: Path) -> int:
    """Return how many rows a cache has."""
    return len(FeatureCache(path))


def ended(child: Child, *, fine: bool = True, words: str = "") -> Verdict:
    """Check how a child ended: well, or, where that is allowed, with a clear error."""
    found = child.join()
    if child.hung:
        return verdict("hung", hung=1)
    if "error" not in found:
        return Verdict()
    said = f"{found['error']}: {found['text']}"
    is_clear = bool(words) and re.search(words, said, re.I) is not None
    if fine or not is_clear:
        return verdict(f"{said}\n{found.get('trace', '')}", unclear=1)
    return Verdict()


def recomputed(child: Child, kept: int, told: int = 0) -> Verdict:
    """Check that nothing was computed that was kept, or told as done, before."""
    n = len(child.noted("computed"))
    lost = max(0, n - (N - max(kept, told)))
    return verdict(f"{n} computed, {kept} kept, {told} told as done", lost=lost)


Fault = Callable[[Bench, random.Random, Path], Verdict]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    """Enter a fault under its name, "fault: subject"."""

    def enter(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return enter


def settings(chance: random.Random) -> dict[str, Any]:
    """Return how a transform is done this time."""
    net = chance.choice(["small", "small", "embedded"])
    return {
        "net": net,
        # Two threads for one batch wait for each other where the machine is busy.
        "threads": chance.choice([1, 2]) if net == "small" else 1,
        "batch_size": chance.choice([1, 2, 4, 8, "auto"]),
        "pause": 0.004,
    }


def resumed(bench: Bench, box: Path, how: dict[str, Any], cache: Path, told: int) -> Verdict:
    """Go on with a cache: all right, and nothing computed twice."""
    kept = n_kept(cache)
    result = verdict(f"{told} told as done, {kept} kept", lost=max(0, told - kept))
    child = Child(box / "resumed", transforming(names=bench.names, cache=cache, **how))
    result += ended(child) + bench.mistakes(child, how["net"]) + recomputed(child, kept, told)
    return result + verdict("rows missing in the cache", lost=N - n_kept(cache))


def search_resumed(bench: Bench, box: Path, storage: Path) -> Verdict:
    """Go on with a search: all right, and no kept candidate fitted again."""
    lines = storage.read_bytes().split(b"\n")[:-1] if storage.exists() else []
    finished = sum(line.startswith(b'{"searched"') for line in lines)
    child = Child(box / "resumed", bench.searching(storage))
    result = ended(child)
    if result.bad:
        return result
    n = len(child.noted("computed"))
    most = (N_ITER - finished) * N_FOLDS + 1 + (N_FOLDS if finished == N_ITER else 0)
    scores = np.load(child.folder / "scores.npy")
    result += verdict("scores differ", wrong=differing(scores[:, None], bench.scores[:, None]))
    return result + verdict(f"{n} fits, {finished} candidates kept", lost=max(0, n - most))


def some_command(bench: Bench, chance: random.Random, box: Path) -> tuple[Path, Any]:
    """Return an output file, and what makes the work of a command that writes it."""
    if chance.random() < 0.5:
        return box / "out.csv", bench.predicting
    return box / "out.npz", bench.extracting


def output_of(bench: Bench, output: Path, n: int | None = N) -> Verdict:
    """Check a finished command's file; with ``n=None``, one that may have fewer rows."""
    if output.suffix == ".csv":
        found, expected = column(output, "score")[:, None], bench.predicted[:, None]
    else:
        with np.load(output, allow_pickle=False) as arrays:
            found, expected = arrays["features"], bench.rows["embedded", "pictures"]
    expected = expected[: len(found)] if n is None else expected
    return verdict("the file's rows differ", wrong=differing(found, expected))
