"""Kills and Ctrl-C, of one process or of one among several."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from faulting.bench import (
    N_FOLDS,
    N_ITER,
    Bench,
    N,
    Verdict,
    differing,
    ended,
    fault,
    is_fitted,
    n_kept,
    output_of,
    recomputed,
    resumed,
    search_resumed,
    settings,
    some_command,
    transforming,
    verdict,
)
from faulting.children import TIMEOUT, Child
from faulting.damage import flip
from sklearn_memorability.persistence import load, save
from sklearn_memorability.pipelines import svr_regressor
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor


def _stopped(bench: Bench, chance: random.Random, box: Path, number: int) -> Verdict:
    how, cache = settings(chance), box / "cache.sqlite"
    result, told = Verdict(), 0
    if chance.random() < 0.25:
        # With some rows there already, batches and what is read together differ.
        some = chance.sample(bench.names, N // 3)
        result += ended(Child(box / "some", transforming(names=some, cache=cache, **how)))
    for i in range(chance.randint(1, 2)):
        child = Child(box / f"{i}", transforming(names=bench.names, cache=cache, **how))
        child.until(1, "began")
        child.until(chance.randint(0, N // 2))
        time.sleep(chance.random() * 0.02)
        sent = child.send(number)
        found = child.join()
        if (
            sent
            and number == signal.SIGINT
            and found.get("error") not in {None, "KeyboardInterrupt"}
        ):
            result += verdict(f"{found}", unclear=1)
        told = max(told, child.told)
        # Of an empty cache's rows, all that were told must be there, whatever comes later.
        kept = n_kept(cache)
        result += verdict(f"{told} told as done, {kept} kept", lost=max(0, told - kept))
    return result + resumed(bench, box, how, cache, told)


@fault("killed: transform")
def killed_transform(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGKILL, once or twice, and go on."""
    return _stopped(bench, chance, box, signal.SIGKILL)


@fault("Ctrl-C: transform")
def interrupted_transform(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT, once or twice, and go on."""
    return _stopped(bench, chance, box, signal.SIGINT)


def _search_stopped(bench: Bench, chance: random.Random, box: Path, number: int) -> Verdict:
    storage = box / "trials.jsonl"
    child = Child(box / "stopped", bench.searching(storage))
    child.until(chance.randint(0, N_ITER * N_FOLDS))
    time.sleep(chance.random() * 0.02)
    child.send(number)
    child.join()
    result = verdict("an interrupted search is fitted", wrong=child.noted("fitted").count("True"))
    return result + search_resumed(bench, box, storage)


@fault("killed: search")
def killed_search(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGKILL, and go on from the storage."""
    return _search_stopped(bench, chance, box, signal.SIGKILL)


@fault("Ctrl-C: search")
def interrupted_search(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT, and go on from the storage."""
    return _search_stopped(bench, chance, box, signal.SIGINT)


@fault("Ctrl-C: regressor")
def interrupted_fit(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT during a fit, which leaves the estimator unfitted."""

    def work(child: Child) -> None:
        model = BalancedQuantileClassifierRegressor(n_classes=3, max_epochs=300, random_state=0)
        Child.note("began", "")
        try:
            model.fit(bench.X, bench.y)
        finally:
            Child.note("fitted", str(is_fitted(model)))

    child = Child(box / "fit", work)
    child.until(1, "began")
    time.sleep(chance.random())
    sent = child.send(signal.SIGINT)
    found = child.join()
    if not sent or "error" not in found:
        return ended(child)
    result = ended(child, fine=False, words="KeyboardInterrupt")
    return result + verdict("it is fitted", wrong=child.noted("fitted").count("True"))


def _command_stopped(bench: Bench, chance: random.Random, box: Path, number: int) -> Verdict:
    output, make = some_command(bench, chance, box)
    cache = box / "cache.sqlite"
    child = Child(box / "stopped", make(output, "--cache", cache))
    child.until(1, "began")
    child.until(chance.randint(0, N))
    time.sleep(chance.random() * 0.03)
    sent = child.send(number)
    found = child.join()
    result = Verdict()
    if number == signal.SIGINT:
        expected = {130, 0} if sent else {0}
        if found.get("result") not in expected:
            result += verdict(f"{found} {child.err}", codes=1)
        if "Traceback" in child.err:
            result += verdict(child.err, unclear=1)
    if output.exists():
        result += output_of(bench, output, None)
    kept = n_kept(cache)
    again = Child(box / "again", make(output, "--cache", cache))
    result += ended(again)
    if again.join().get("result") != 0:
        return result + verdict(f"{again.join()} {again.err}", codes=1)
    return result + output_of(bench, output) + recomputed(again, kept)


@fault("killed: command")
def killed_command(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGKILL the command, and give it again."""
    return _command_stopped(bench, chance, box, signal.SIGKILL)


@fault("Ctrl-C: command")
def interrupted_command(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT the command, and give it again."""
    return _command_stopped(bench, chance, box, signal.SIGINT)


@fault("Ctrl-C: command fit")
def interrupted_fitting(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT the command that fits, over a model that is there already."""
    output = box / "model.skops"
    shutil.copy(bench.model, output)
    child = Child(box / "fit", bench.fitting(output, "--cv", "3", "--cache", box / "cache.sqlite"))
    child.until(1, "began")
    child.until(chance.randint(0, N))
    time.sleep(chance.random() * 0.3)
    sent = child.send(signal.SIGINT)
    found = child.join()
    result = verdict(child.err, unclear=int("Traceback" in child.err))
    if found.get("result") not in ({130, 0} if sent else {0}):
        result += verdict(f"{found} {child.err}", codes=1)
    left = sorted(
        path.name for path in box.iterdir() if path.name.startswith((".", "model.skops."))
    )
    result += verdict(f"{left} left over", wrong=len(left))
    # Whole, whichever it is.
    again = Child(box / "again", lambda _: float(load(output).predict(bench.names[:2]).sum()))
    return result + ended(again)


@fault("Ctrl-C: command that starts")
def interrupted_start(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGINT a real process that may be importing still."""
    argv = [sys.executable, "-c", "import sys; from sklearn_memorability.cli import main\n"]
    argv[-1] += "sys.stdout.write('began\\n'); sys.stdout.flush(); sys.exit(main())"
    argv += ["predict", str(Path(bench.names[0]).parent), "-m", str(bench.model)]
    argv += ["-o", str(box / "out.csv")]
    with subprocess.Popen(argv, stdout=-1, stderr=-1, text=True) as process:
        process.stdout.readline()
        time.sleep(chance.random() * 3)
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            return verdict("hung", hung=1)
    result = verdict(said, unclear=int("Traceback" in said))
    bad = process.returncode not in {130, 0}
    return result + verdict(f"exit code {process.returncode}: {said}", codes=int(bad))


@fault("killed: save over a model")
def killed_save(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """SIGKILL while one model replaces another: one of both is there."""
    path = box / "model.skops"
    # Large enough for a kill to come while it is written.
    numbers = np.random.default_rng(chance.getrandbits(32))
    X, y = numbers.normal(size=(500, 400)), numbers.uniform(size=500)
    models = [svr_regressor().set_params(model__C=c) for c in (0.1, 10.0)]
    for model in models:
        model.fit(X, y)
    save(models[0], path)

    def saving(child: Child) -> None:
        Child.note("began", "")
        while True:
            for model in models:
                save(model, path)

    child = Child(box / "saving", saving)
    child.until(1, "began")
    time.sleep(chance.random() * 0.3)
    child.send(signal.SIGKILL)
    child.join()
    try:
        found = load(path).predict(X)
    except (OSError, ValueError) as error:
        return verdict(f"the file holds neither model: {error}", wrong=1)
    right = any(np.array_equal(found, model.predict(X)) for model in models)
    return verdict("the file holds neither model", wrong=int(not right))


@fault("killed beside others: transform")
def together(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """Two or three processes on one cache, which may be damaged; one is killed."""
    how, cache = settings(chance), box / "cache.sqlite"
    if damaged := chance.random() < 0.3:
        shutil.copy(bench.root / f"{how['net']}.sqlite", cache)
        flip(chance, cache, 30)
    children = []
    for i in range(chance.choice([2, 3])):
        names = bench.names[:: -1 if i % 2 else 1]
        children.append(Child(box / f"{i}", transforming(names=names, cache=cache, **how)))
    children[0].until(chance.randint(0, N // 2))
    time.sleep(chance.random() * 0.02)
    children[0].send(signal.SIGKILL)
    children[0].join()
    result, expected = Verdict(), bench.rows[how["net"], "pictures"]
    for i, child in enumerate(children[1:], 1):
        well = ended(child)
        result += well
        if not well.bad:
            found = np.load(child.folder / "rows.npy")
            wrong = differing(found, expected[:: -1 if i % 2 else 1])
            result += verdict("rows differ", wrong=wrong)
    if damaged:
        again = Child(box / "again", transforming(names=bench.names, cache=cache, **how))
        return result + ended(again) + bench.mistakes(again, how["net"])
    return result + resumed(bench, box, how, cache, max(child.told for child in children))


@fault("dying worker: transform")
def dying_worker(bench: Bench, chance: random.Random, box: Path) -> Verdict:
    """One of joblib's workers is killed."""
    cache = box / "cache.sqlite"
    child = Child(
        box / "workers",
        transforming("embedded", bench.names, cache=cache, n_jobs=2, batch_size=2),
    )
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    time.sleep(3 + 4 * chance.random())
    if child.runs():
        workers = [
            int(pid)
            for pid in children.read_text().split()
            if b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
    result = ended(child) + bench.mistakes(child, "embedded")
    how = {"net": "embedded", "batch_size": 2}
    return result + resumed(bench, box, how, cache, child.told)
