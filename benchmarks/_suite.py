"""What ``run_all.py`` runs: each script with its options, and about how long it takes."""

import importlib.util
import os
import shlex
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
DATA = "MEMORABILITY_TEST_DATA"


class Entry(NamedTuple):
    """One script with the options of each mode, None where it is no part of the mode.

    A script runs in a folder of its own, where it may leave what lets it go on; paths in
    options are relative to that. Minutes are on two idle cores without a GPU.
    """

    name: str
    script: str
    about: str
    quick: tuple[str, ...] | None
    full: tuple[str, ...] | None
    minutes: tuple[float, float]  # of quick and full
    data: str | None = None  # what must be in MEMORABILITY_TEST_DATA
    module: str | None = None  # an optional package that it can't do without

    @property
    def path(self) -> Path:
        """Where the script is."""
        return FOLDER / self.script

    def options(self, mode: str) -> tuple[str, ...] | None:
        """Return the options of ``quick`` or ``full``."""
        return self.quick if mode == "quick" else self.full

    def command(self, mode: str) -> str:
        """Return the command as a person types it."""
        return shlex.join(["python", f"benchmarks/{self.script}", *(self.options(mode) or ())])

    def writes_figures(self) -> bool:
        """Tell whether the script takes ``--json``."""
        text = self.path.read_text(encoding="utf-8")
        return "add_json_option" in text or '"--json"' in text

    def why_not(self, mode: str) -> str | None:
        """Return why the script can't be run here, None if it can."""
        if self.options(mode) is None:
            return f"not part of --{mode}"
        if not self.path.is_file():
            return f"benchmarks/{self.script} is missing"
        if self.data and not os.environ.get(DATA):
            return f"{DATA} is not set: name the folder that holds {self.data}"
        if self.data and not Path(os.environ[DATA], self.data).exists():
            return f"the folder named by {DATA} holds no {self.data}"
        if self.module and importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed"
        return None


SUITE = (
    Entry(
        "accuracy",
        "accuracy.py",
        "Spearman correlation and squared error beside tuned baselines",
        ("--sets", "concepts", "--results", "results.json"),
        ("--results", "results.json"),
        (1.2, 60),
    ),
    Entry(
        "table1_small",
        "table1_small.py",
        "the rows of the paper's Table 1 on 946 photographs",
        None,
        (),
        (0, 15),
    ),
    Entry(
        "calibration",
        "calibration.py",
        "bias, and what intervals hold",
        None,
        (),
        (0, 5),
    ),
    Entry(
        "warm_start",
        "warm_start.py",
        "what a small set of one's own adds to a model of many rows",
        ("--sets", "concepts", "--own", "50", "--draws", "2"),
        (),
        (0.3, 10),
    ),
    Entry(
        "consistency",
        "consistency.py",
        "simulated responses: adjusted scores, consistency, intervals",
        ("--repeats", "4"),
        (),
        (0.2, 1.5),
    ),
    Entry(
        "comparison",
        "comparison.py",
        "folds' distance from the whole, false alarms of comparisons",
        ("--studies", "40"),
        (),
        (0.4, 2),
    ),
    Entry(
        "fit_speed",
        "fit_speed.py",
        "time of a fit beside a plain PyTorch loop and skorch",
        ("--repeats", "3"),
        (),
        (0.8, 2),
    ),
    Entry(
        "fit_scale",
        "fit_scale.py",
        "memory and time of a fit at LaMem's size",
        ("--sizes", "1000", "10000", "--svr-rows", "1000"),
        (),
        (0.2, 3),
    ),
    Entry(
        "parallel_folds",
        "parallel_folds.py",
        "folds side by side, and features of repeated folds",
        None,
        (),
        (0, 5),
    ),
    Entry(
        "search",
        "search.py",
        "guided search beside a random one and hyperopt",
        ("--quick",),
        (),
        (1, 5),
        module="hyperopt",
    ),
    Entry(
        "feature_throughput",
        "feature_throughput.py",
        "pictures to features beside torch's DataLoader",
        ("--pictures", "200", "--vgg", "20", "--repeats", "2", "--only-speed"),
        (),
        (1, 10),
        data="flickr8k/images",
    ),
    Entry(
        "retrieval",
        "retrieval.py",
        "recall of pictures and captions",
        ("--encoders", "bow", "--negatives", "softmax", "--epochs", "2"),
        ("--encoders", "bow", "--epochs", "10", "--cache", "../flickr8k.sqlite"),
        (1.5, 15),
        data="flickr8k",
    ),
    Entry(
        "retrieval_speed",
        "retrieval.py",
        "time of learning a joint space beside a plain loop",
        None,
        ("--speed", "--cache", "../flickr8k.sqlite"),
        (0, 10),
        data="flickr8k",
    ),
    Entry(
        "report_speed",
        "report_speed.py",
        "size and speed of a report of many pictures",
        ("--pictures", "500", "--repeats", "1"),
        (),
        (0.1, 3),
    ),
    Entry(
        "storage",
        "storage.py",
        "features on disk: room, writing, reading",
        ("--rows", "5000", "--seconds", "1"),
        (),
        (0.4, 3),
    ),
    Entry(
        "larger_than_memory",
        "larger_than_memory.py",
        "training on features larger than the memory allowed",
        None,
        (),
        (0, 4),
    ),
    Entry(
        "clusters",
        "clusters.py",
        "pictures on Dask's and Ray's workers",
        None,
        (),
        (0, 5),
        data="things_images/images",
        module="ray",
    ),
    Entry(
        "plan",
        "plan.py",
        "what a million pictures take",
        None,
        (),
        (0, 2),
        data="things_images",
    ),
    Entry(
        "faults",
        "faults.py",
        "kills, full disks, damaged files: what must hold all the same",
        None,
        (),
        (0, 6),
    ),
    Entry(
        "fuzz",
        "fuzz.py",
        "readers of files and texts, given what is made to harm them",
        None,
        ("--minutes", "10"),
        (0, 10),
    ),
)
