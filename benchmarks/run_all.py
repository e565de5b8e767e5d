"""Run the benchmarks one after the other and keep what each prints.

    python benchmarks/run_all.py [--full] [--only NAME ...] [--output build/benchmarks]

Each script runs with ``--quick`` if it has that option, with ``--full`` as it is by default.
Scripts that make files (``make_*.py``) are left out. The exit code is 1 if a script failed.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="hours instead of minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="such as fit_speed")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"))
    arguments = parser.parse_args()
    scripts = {
        path.stem: path
        for path in sorted(HERE.glob("*.py"))
        if not path.stem.startswith(("make_", "_", "run_all"))
    }
    unknown = set(arguments.only or []) - set(scripts)
    if unknown:
        parser.error(f"no such benchmark: {sorted(unknown)}; there are {sorted(scripts)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("benchmarks")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    failed = []
    for name in arguments.only or scripts:
        quick = not arguments.full and '"--quick"' in scripts[name].read_text(encoding="utf-8")
        started = time.monotonic()
        path = arguments.output / f"{name}.txt"
        with path.open("w", encoding="utf-8") as output:
            done = subprocess.run(
                [sys.executable, str(scripts[name]), *(["--quick"] if quick else [])],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"OMP_NUM_THREADS": "1", **os.environ},
                check=False,
            )
        log.info("%s\n%s", name, path.read_text(encoding="utf-8"))
        log.info("%s: %.0f s, exit code %d\n", name, time.monotonic() - started, done.returncode)
        if done.returncode:
            failed.append(name)
    if failed:
        log.error("failed: %s", ", ".join(failed))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
