"""Whether readers of files and texts withstand what is made to harm them.

    python benchmarks/fuzz.py [--minutes 10] [--reader NAME ...] [--seed N] [--log FILE]
    python benchmarks/fuzz.py --repeat FINDING

Valid files are damaged, in their bytes and, with check sums set right, in their parts; inputs
that reach new lines of the package or new errors are damaged further. Each reader works in a
process of its own with a limit of address space (5 GiB more than at its start) and of CPU time
(10 s a case). A finding is a crash, a hang, an error that the reader does not document, an error
of another package that does not name the file, more than 512 MiB in use, and whatever no reader
may do: start a program, open a connection, run or import foreign code, write outside its
folder. Each is printed once with the command that repeats it. Time spent in SIGSTOP counts for
nothing.

The exit code is 1 if there are findings. ``--log`` appends a line of JSON with the seconds and
cases of each reader every minute.
"""

import argparse
import hashlib
import json
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy: threads would not survive a fork

import torch  # noqa: E402
from fuzzing.reader import Reader  # noqa: E402
from fuzzing.readers import READERS  # noqa: E402
from fuzzing.worker import Board, Finding, Turn, judged, work  # noqa: E402

TURN = 5.0  # seconds
_POLL = 0.02
_STALLED = 3000  # polls without a new case or any CPU time, a minute
_MOST_KEPT = 400  # inputs a reader


@dataclass
class Run:
    """A reader, and what came of it so far."""

    reader: Reader
    corpus: list[tuple[str, bytes]] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    cases: int = 0
    accepted: int = 0
    allowed: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    logged: tuple[float, float, int] = (0.0, 0.0, 0)

    def prepare(self) -> None:
        """Make the valid inputs and read them, which imports all that reading needs."""
        seeds = dict(self.reader.seeds())
        for variant, data in seeds.items():
            folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
            try:
                finding, error = judged(self.reader, variant, data, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            if finding is not None or error is not None:
                raise RuntimeError(f"{self.reader.name}: {variant} is not read") from error
        self.corpus = list(seeds.items())


class Fuzzer:
    """Gives the readers their turns."""

    def __init__(self, runs: list[Run], seed: int, keep: Path) -> None:
        self.runs = runs
        self.chance = random.Random(seed)
        self.keep = keep
        self.board = Board()
        self.known: set[tuple[str, str, str]] = set()

    def turn(self, run: Run, seconds: float) -> None:
        """Let a process work for a while, and take what it found."""
        if not run.corpus:
            run.prepare()
        home = Path(tempfile.mkdtemp(prefix="fuzz-")).resolve()
        reading, writing = os.pipe()
        self.board.put(0, "", b"")
        seed = self.chance.randrange(1 << 48)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._child(run, seed, seconds, home, writing)
        os.close(writing)
        chunks: list[bytes] = []
        status, spent, stalled = self._wait(pid, reading, chunks)
        run.seconds += spent
        answer = b"".join(chunks)
        number, variant, case = self.board.get()
        if answer and not stalled and status == 0:
            self._take(run, pickle.loads(answer))
        else:
            run.cases += number
            trace = (home / "trace").read_text() if (home / "trace").exists() else ""
            found = _crash(run.reader.name, variant, case, status, stalled, trace)
            self._tell(run, found)
        shutil.rmtree(home, ignore_errors=True)

    def _child(self, run: Run, seed: int, seconds: float, home: Path, writing: int) -> None:
        code = 70
        try:
            turn = work(run.reader, run.corpus, self.known, seed, seconds, self.board, home)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(pickle.dumps(turn))
            code = 0
        except BaseException:
            with (home / "trace").open("a") as file:
                traceback.print_exc(file=file)
        finally:
            os._exit(code)

    def _wait(self, pid: int, reading: int, chunks: list[bytes]) -> tuple[int, float, bool]:
        """Wait for a worker; return its status, the seconds it ran, and whether it stalled."""
        os.set_blocking(reading, False)
        spent, idle, before, last = 0.0, 0, (0, 0), time.monotonic()
        stalled = False
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            now = time.monotonic()
            spent += min(now - last, 0.5)  # more is a pause
            last = now
            try:
                while chunk := os.read(reading, 1 << 16):
                    chunks.append(chunk)
            except BlockingIOError:
                pass
            if done:
                os.close(reading)
                return status, spent, stalled
            seen = self.board.get()[0], _ticks(pid)
            idle = 0 if seen != before else idle + 1
            before = seen
            if idle > _STALLED:
                stalled = True
                os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL)

    def _take(self, run: Run, turn: Turn) -> None:
        run.cases += turn.cases
        run.accepted += turn.accepted
        run.cpu += turn.cpu
        new = [name for name in turn.allowed if name not in run.allowed]
        run.allowed.update(turn.allowed)
        run.corpus += turn.kept if new or self.chance.random() < 0.3 else turn.kept[:2]
        while len(run.corpus) > _MOST_KEPT:
            del run.corpus[self.chance.randrange(len(run.corpus))]
        for finding in turn.findings:
            self._tell(run, finding)

    def _tell(self, run: Run, finding: Finding) -> None:
        if finding.key in self.known:
            return
        self.known.add(finding.key)
        run.findings.append(finding)
        digest = hashlib.sha256(finding.case).hexdigest()[:12]
        self.keep.mkdir(parents=True, exist_ok=True)
        path = self.keep / f"{finding.reader}--{finding.variant}--{digest}.bin"
        path.write_bytes(finding.case)
        print(
            f"FINDING {finding.reader}, {finding.variant}: {finding.kind} in {finding.where}\n"
            f"    {finding.told}\n    python benchmarks/fuzz.py --repeat {path}",
            flush=True,
        )


def _ticks(pid: int) -> int:
    """Return a process's CPU time; a new number for one that is stopped."""
    try:
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return -1
    return time.monotonic_ns() if parts[0] in "Tt" else int(parts[11]) + int(parts[12])


def _crash(
    reader: str, variant: str, case: bytes, status: int, stalled: bool, trace: str
) -> Finding:
    if stalled:
        kind = "hang without work"
    elif os.WIFSIGNALED(status):
        kind = signal.Signals(os.WTERMSIG(status)).name
        kind = {"SIGPROF": "hang", "SIGKILL": "SIGKILL (out of memory?)"}.get(kind, kind)
    else:
        kind = f"exit {os.WEXITSTATUS(status)}"
    ours = [line for line in trace.splitlines() if "sklearn_memorability" in line]
    where = ours[0].strip().rpartition("sklearn_memorability/")[2] if ours else "elsewhere"
    return Finding(reader, variant, kind, where, trace.strip()[:2000], case)


def _log(path: Path | None, runs: list[Run], seed: int) -> None:
    if path is None:
        return
    with path.open("a") as file:
        for run in runs:
            seconds, cpu, cases = run.logged
            line = {
                "reader": run.reader.name,
                "seed": seed,
                "seconds": round(run.seconds - seconds, 2),
                "cpu": round(run.cpu - cpu, 2),
                "cases": run.cases - cases,
                "findings": len(run.findings),
            }
            run.logged = run.seconds, run.cpu, run.cases
            file.write(json.dumps(line) + "\n")


def _table(runs: list[Run]) -> str:
    lines = [f"{'reader':14} {'seconds':>8} {'cases':>10} {'a second':>9} {'accepted':>9}"]
    lines[0] += f" {'errors':>7} {'findings':>9}"
    lines += [
        f"{run.reader.name:14} {run.seconds:8.0f} {run.cases:10,} "
        f"{run.cases / max(run.seconds, 1e-9):9.0f} {run.accepted / max(run.cases, 1):9.0%} "
        f"{len(run.allowed):7} {len(run.findings):9}"
        for run in runs
    ]
    total = sum(run.seconds for run in runs), sum(run.cases for run in runs)
    lines.append(f"{'all':14} {total[0]:8.0f} {total[1]:10,}")
    return "\n".join(lines)


def _repeat(path: Path) -> int:
    """Give a reader a finding once more, without any limit."""
    name, variant, _ = path.name.split("--")
    reader = next(reader for reader in READERS if reader.name == name)
    reader.seeds()
    with tempfile.TemporaryDirectory() as folder:
        finding, error = judged(reader, variant, path.read_bytes(), Path(folder).resolve())
    if error is not None:
        traceback.print_exception(error)
    print("No finding." if finding is None else f"FINDING {finding.kind}: {finding.told}")
    return int(finding is not None)


def main() -> int:
    """Fuzz, and print what was found."""
    names = [reader.name for reader in READERS]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--reader", nargs="+", choices=names, default=names)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "fuzz-findings"))
    parser.add_argument("--repeat", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.repeat is not None:
        return _repeat(options.repeat)
    runs = [Run(reader) for reader in READERS if reader.name in options.reader]
    fuzzer = Fuzzer(runs, options.seed, options.keep)
    end = 60 * options.minutes
    length = min(TURN, end / len(runs))
    minute = time.monotonic()
    try:
        while sum(run.seconds for run in runs) < end - 0.1:
            # The one that had the least time is next, so all come to the same.
            fuzzer.turn(min(runs, key=lambda run: run.seconds), length)
            if time.monotonic() - minute > 60:
                minute = time.monotonic()
                _log(options.log, runs, options.seed)
    except KeyboardInterrupt:
        print("Interrupted.")
    _log(options.log, runs, options.seed)
    print(_table(runs))
    return int(any(run.findings for run in runs))


if __name__ == "__main__":
    sys.exit(main())
