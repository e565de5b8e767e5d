"""Forked processes that do a piece of work, and what they leave behind."""

import contextlib
import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import tqdm.std

from sklearn_memorability.features._networks import Network

TIMEOUT = 120.0  # seconds until a child counts as hung


class Child:
    """A forked process that does one piece of work, and what it left behind."""

    here: "Child | None" = None  # in the child, itself
    hook: Callable[[], None] | None = None  # before a batch is computed, and when it is told

    def __init__(self, folder: Path, work: Callable[["Child"], Any]) -> None:
        self.folder = folder
        folder.mkdir()
        folder.chmod(0o777)
        self.status: int | None = None
        self.hung = False
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._live(work)

    def _live(self, work: Callable[["Child"], Any]) -> None:
        Child.here = self
        os.setsid()
        for descriptor, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o666), descriptor)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - lives as long as the child
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        found: dict[str, Any] = {}
        # Opened now, as later there may be no right, or no room, to open it.
        outcome = (self.folder / "outcome").open("w")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found["result"] = work(self)
            except BaseException as error:
                found["error"] = type(error).__name__
                found["text"] = str(error)
                found["trace"] = traceback.format_exc()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        found["warnings"] = [f"{one.category.__name__}: {one.message}" for one in caught]
        for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_AS):
            resource.setrlimit(limit, (resource.getrlimit(limit)[1],) * 2)
        json.dump(found, outcome)
        outcome.close()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(0)

    @staticmethod
    def note(kind: str, text: str) -> None:
        """Write a line to a file of the running child; all of it or nothing."""
        if Child.here is not None:
            with open(Child.here.folder / kind, "ab", buffering=0) as file:
                file.write(text.encode() + b"\n")

    def noted(self, kind: str) -> list[str]:
        """Return the lines that it wrote."""
        path = self.folder / kind
        return path.read_text().split("\n")[:-1] if path.exists() else []

    @property
    def told(self) -> int:
        """How many images it told as done."""
        return sum(map(int, self.noted("told")))

    def runs(self) -> bool:
        """Return whether it has not ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is None

    def until(self, progress: int, kind: str = "computed") -> bool:
        """Wait until it has got so far; return whether it still runs."""
        end = time.monotonic() + TIMEOUT
        while self.runs() and len(self.noted(kind)) < progress and time.monotonic() < end:
            time.sleep(0.002)
        return self.runs()

    def send(self, number: int) -> bool:
        """Send it a signal; return whether it came before its end."""
        if not self.runs():
            return False
        os.kill(self.pid, number)
        return True

    def join(self) -> dict[str, Any]:
        """Wait for its end and return what it came to."""
        end = time.monotonic() + TIMEOUT
        while self.runs():
            if time.monotonic() > end:
                self.hung = True
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(0.002)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # workers of its own
        try:
            return json.loads((self.folder / "outcome").read_text())
        except (OSError, ValueError):
            return {"error": f"died, status {self.status}", "text": self.err}

    @property
    def err(self) -> str:
        """What it wrote to stderr."""
        return (self.folder / "err").read_text(errors="replace")


_features, _update = Network.features, tqdm.std.tqdm.update


def _counting(self: Network, views: torch.Tensor) -> torch.Tensor:
    if Child.hook is not None:
        Child.hook()
    found = _features(self, views)
    for view in views:
        Child.note("computed", hashlib.sha1(view.numpy().tobytes()).hexdigest()[:16])
    return found


def _telling(self: Any, n: float | None = 1) -> bool | None:
    if not self.disable:
        Child.note("told", str(n))
        if Child.hook is not None:
            Child.hook()
    return _update(self, n)


Network.features = _counting  # type: ignore[method-assign]
tqdm.std.tqdm.update = _telling
