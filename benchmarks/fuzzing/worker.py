"""A process that gives a reader one damaged file after the other, and watches it."""

import faulthandler
import logging
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sklearn_memorability
from fuzzing.mutate import LARGEST, damaged
from fuzzing.reader import Reader

ROOM = 5 << 30  # bytes of memory that a case may ask for: sizes of 32 bits are let pass
CPU_SECONDS = 10  # after which a case hangs
SMALL = 512 << 20  # bytes of memory that no case needs in fact

_OURS = str(Path(sklearn_memorability.__file__).parent)
_HOMES = tuple({str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix, _OURS)})
# What a reader may import while it works; all that is needed is imported with the seeds.
_PACKAGES = frozenset(
    {"PIL", "encodings", "joblib", "numpy", "python_calamine", "safetensors", "scipy", "skops"}
    | {"sklearn", "sklearn_memorability", "skorch", "torch", "torchvision", "zarr"}
)
_FORBIDDEN = frozenset(
    {"os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill"}
    | {"subprocess.Popen", "pty.spawn", "socket.connect", "socket.bind", "socket.getaddrinfo"}
    | {"pickle.find_class", "marshal.loads", "code.__new__", "ctypes.dlopen", "webbrowser.open"}
    | {
        "urllib.Request",
        "ftplib.connect",
        "smtplib.connect",
        "http.client.connect",
        "winreg.OpenKey",
    }
)
_WRITES = frozenset(
    {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
    | {"os.chmod", "os.chown", "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"}
    | {"sqlite3.connect", "os.setxattr", "os.mkfifo"}
)
_NAMES_OF_HANDLERS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Finding:
    """What a reader must not do."""

    reader: str
    variant: str
    kind: str
    where: str
    told: str
    case: bytes

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other findings."""
        return self.reader, self.kind, self.where


@dataclass
class Turn:
    """What came of the cases of one turn."""

    cases: int = 0
    accepted: int = 0
    cpu: float = 0.0
    allowed: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    kept: list[tuple[str, bytes]] = field(default_factory=list)


class Board:
    """Memory that parent and worker share: the case under way, and how many there were."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, LARGEST + 4096)

    def put(self, number: int, variant: str, case: bytes) -> None:
        """Show a case before it runs."""
        name = variant.encode().ljust(64)
        head = number.to_bytes(8, "little") + len(case).to_bytes(8, "little") + name
        self._map[: len(head) + len(case)] = head + case

    def get(self) -> tuple[int, str, bytes]:
        """Return the number, the variant and the bytes of the last case."""
        number, size = (int.from_bytes(self._map[i : i + 8], "little") for i in (0, 8))
        return number, self._map[16:80].decode().strip(), self._map[80 : 80 + size]


class Watch:
    """Hears of what Python does, and notes what no reader may do."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: list[tuple[str, str]] = []
        self._busy = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or self._busy:
            return
        self._busy = True
        try:
            if self._is_bad(event, arguments):
                self.seen.append((f"{event} {arguments!r:.200}", where_ours(sys._getframe(1))))
        except RecursionError:  # the reader's own, which is told
            pass
        except Exception as error:  # an odd argument is worth a look, too
            self.seen.append((f"{event} {error!r:.200}", "audit"))
        finally:
            self._busy = False

    def _is_bad(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event in _FORBIDDEN:
            return event != "marshal.loads" or not _imports()
        if event == "open":
            path, mode, flags = arguments
            writes = bool(flags & _NAMES_OF_HANDLERS) if flags is not None else "r" not in mode
            decoy = isinstance(path, str | bytes) and os.fsencode(path).endswith(b"outside.txt")
            return decoy or (writes and not self._is_inside(path))
        if event in _WRITES:
            at = arguments[-1] if isinstance(arguments[-1], int) else -1
            names = [a for a in arguments if isinstance(a, str | bytes | Path)]
            # shutil.rmtree names what it removes from an open folder on.
            base = os.readlink(f"/proc/self/fd/{at}") if at > 2 and event != "os.mkdir" else ""
            return any(not self._is_inside(os.path.join(base, os.fsdecode(n))) for n in names)
        if event == "exec":
            name = getattr(arguments[0], "co_filename", "")
            return not name.startswith((*_HOMES, "<frozen")) and not _imports()
        if event == "import":
            return arguments[0].partition(".")[0] not in _PACKAGES | sys.stdlib_module_names
        return False

    def _is_inside(self, path: Any) -> bool:
        if isinstance(path, int) or path in (":memory:", "", os.devnull):
            return True
        name = os.fsdecode(path).removeprefix("file://").partition("?")[0]
        return "\0" in name or Path(os.path.realpath(name)).is_relative_to(self.folder)


def _imports() -> bool:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def where_ours(frame: Any) -> str:
    """Return the innermost line of this package above a frame."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OURS):
            return f"{frame.f_code.co_filename[len(_OURS) + 1 :]}:{frame.f_code.co_name}"
        frame = frame.f_back
    return "elsewhere"


def judged(reader: Reader, variant: str, case: bytes, folder: Path, watch: Watch | None = None):
    """Give a reader one case; return what is wrong, and the error that came.

    Parameters
    ----------
    reader : Reader
        The reader.
    variant : str
        Which of its inputs.
    case : bytes
        The input.
    folder : pathlib.Path
        An empty folder.
    watch : Watch, optional
        Hears of what happens meanwhile.

    Returns
    -------
    finding : Finding or None
    error : Exception or None
    """
    error: BaseException | None = None
    if watch is not None:
        watch.seen.clear()
        watch.folder = folder
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(variant, case, folder)
    except Exception as caught:
        error = caught
    except SystemExit as caught:
        error = caught
    finally:
        if watch is not None:
            watch.folder = None
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    kind = where = told = None
    if watch is not None and watch.seen:
        told, where = watch.seen[0]
        kind = "event " + told.partition(" ")[0]
    elif grown > SMALL:
        kind, where, told = "memory", "any", f"{grown >> 20} MiB of memory taken"
    elif error is not None:
        where, told = _where(error), f"{type(error).__name__}: {error!s:.300}"
        kind = _fault(reader, error, folder)
    if kind is None:
        return None, error
    return Finding(reader.name, variant, kind, where, told, case), error


def _fault(reader: Reader, error: BaseException, folder: Path) -> str | None:
    """Return what is wrong with an error, None for one that is documented."""
    if not isinstance(error, reader.allowed):
        return type(error).__name__
    last = traceback.extract_tb(error.__traceback__)[-1]
    # What others say is only understood with the name of the file.
    if not last.filename.startswith(_OURS) and str(folder) not in str(error):
        return f"{type(error).__name__} without the file's name"
    return None


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(_OURS)]
    last = ours[-1] if ours else frames[-1]
    return f"{last.filename.removeprefix(_OURS + os.sep)}:{last.name}"


def work(
    reader: Reader,
    corpus: list[tuple[str, bytes]],
    known: set[tuple[str, str, str]],
    seed: int,
    seconds: float,
    board: Board,
    home: Path,
) -> Turn:
    """Run cases for a while, in a process of its own.

    Parameters
    ----------
    reader : Reader
        The reader.
    corpus : list of (str, bytes)
        Variants and files to damage.
    known : set
        Keys of findings that need not be told again.
    seed : int
        Of what is done.
    seconds : float
        For how long.
    board : Board
        Where the case under way is shown.
    home : pathlib.Path
        A folder to work in.

    Returns
    -------
    Turn
    """
    watch = Watch()
    _limit(home)
    chance, turn, lines = random.Random(seed), Turn(), set()
    end, start_cpu = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        variant, base = chance.choice(corpus)
        others = [data for name, data in corpus if name == variant]
        case = damaged(base, chance, others)
        board.put(turn.cases + 1, variant, case)
        folder = home / "fuzzed"
        folder.mkdir()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        traced = chance.random() < 0.2
        if traced:
            here: set[tuple[str, int]] = set()
            sys.settrace(_tracer(here))
        try:
            finding, error = judged(reader, variant, case, folder, watch)
        finally:
            sys.settrace(None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        shutil.rmtree(folder, ignore_errors=True)
        turn.cases += 1
        new = traced and not here <= lines
        if traced:
            lines |= here
        if error is None:
            turn.accepted += 1
        else:
            name = f"{type(error).__name__} {_where(error)}"
            new = new or name not in turn.allowed
            turn.allowed[name] += 1
        if new and len(case) < LARGEST // 8:
            turn.kept.append((variant, case))
            corpus.append((variant, case))
        if finding is not None and finding.key not in known:
            known.add(finding.key)
            turn.findings.append(_smaller(finding, reader, home, watch))
    turn.cpu = time.process_time() - start_cpu
    return turn


def _limit(home: Path) -> None:
    scratch = home / "fuzzed" / "scratch"
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch.parent)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What C libraries print of damaged files is of no interest.
    os.dup2(os.open(home / "stderr", os.O_WRONLY | os.O_CREAT), 2)
    logging.disable()
    trace = (home / "trace").open("w")
    faulthandler.enable(trace)
    # CPU time, so that neither a busy machine nor a pause makes a hang.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    faulthandler.register(signal.SIGPROF, trace, chain=True)


def _tracer(lines: set[tuple[str, int]]) -> Any:
    def local(frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            lines.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def called(frame: Any, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(_OURS) else None

    return called


def _smaller(finding: Finding, reader: Reader, home: Path, watch: Watch) -> Finding:
    """Leave out what a finding does not need, as far as a second goes."""
    end = time.process_time() + 1
    size = max(1, len(finding.case) // 2)
    while size >= 1 and time.process_time() < end:
        at = 0
        while at < len(finding.case) and time.process_time() < end:
            case = finding.case[:at] + finding.case[at + size :]
            folder = home / "fuzzed"
            folder.mkdir()
            again, _ = judged(reader, finding.variant, case, folder, watch)
            shutil.rmtree(folder, ignore_errors=True)
            if again is not None and again.key == finding.key:
                finding = again
            else:
                at += size
        size //= 2
    return finding
