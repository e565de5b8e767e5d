"""How long training takes, beside a plain PyTorch loop and skorch with its defaults.

    python benchmarks/fit_speed.py [--rows 4800] [--repeats 5] [--threads 0]

The setting is the paper's batch of 16 on 4,800 rows of 5,120 features in two branches,
one epoch, and torch's own number of threads, which is what a user has who does nothing
about it. Every repeat times all sides in turn; ratios are of the same repeat, and their
median is printed. ``--pipelines`` times whole fits of the ready Pipelines instead, beside a
ridge regression tuned by five folds, on 2,000 rows of 1,280 features.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet
from torch import nn

from sklearn_memorability.pipelines import mlp_regressor, recommended_regressor, svr_regressor
from sklearn_memorability.regression import BalancedQuantileClassifierRegressor

WIDTHS, HIDDEN, N_CLASSES, BATCH = (4096, 1024), 256, 4, 16


class PlainMLP(nn.Module):
    """The same network as a user would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(w, HIDDEN), nn.ReLU(), nn.Dropout(0.5)) for w in WIDTHS
        )
        self.head = nn.Sequential(
            nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(0.5), nn.Linear(HIDDEN, N_CLASSES)
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        parts = X.split(WIDTHS, dim=1)
        merged = [branch(part) for branch, part in zip(self.branches, parts, strict=True)]
        return self.head(torch.cat(merged, dim=1))


def plain_loop(X: np.ndarray, y: np.ndarray) -> None:
    """Train with a fused optimiser on batches taken by index."""
    torch.manual_seed(0)
    network = PlainMLP().train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss_of = nn.CrossEntropyLoss()
    rows, labels = torch.from_numpy(X), torch.from_numpy(_labels(y))
    for batch in torch.randperm(len(rows)).split(BATCH):
        optimizer.zero_grad()
        loss = loss_of(network(rows[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        loss.item()  # every loop reports its loss


def skorch_defaults(X: np.ndarray, y: np.ndarray) -> None:
    """Train with skorch, its data loader and Adam."""
    torch.manual_seed(0)
    net = NeuralNet(
        PlainMLP,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=1,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    net.fit(X, _labels(y))


def _labels(y: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.quantile(y, [0.25, 0.5, 0.75]), y)


def ours(**params: object) -> BalancedQuantileClassifierRegressor:
    """Return this package's estimator in the same setting."""
    return BalancedQuantileClassifierRegressor(
        branches=WIDTHS, max_epochs=1, random_state=0, **params
    )


def whole_fits(repeats: int) -> None:
    """Print the seconds of a fit of each ready Pipeline."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 1280)).astype(np.float32)
    y = 1 / (1 + np.exp(-X[:, :20].sum(axis=1) / 5 - rng.normal(size=2000)))
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 6, 7), cv=5))
    for name, model in {
        "recommended": recommended_regressor(random_state=0),
        "paper, K = 4": mlp_regressor(random_state=0),
        "SVR": svr_regressor(),
        "ridge, tuned": ridge,
    }.items():
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            model.fit(X, y)
            seconds.append(time.perf_counter() - started)
        print(f"  {name:33} {np.median(seconds):7.2f} s", flush=True)


def main() -> None:
    """Time all sides and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4800)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--threads", type=int, default=0, help="of torch (default: 0, as many as torch takes)"
    )
    parser.add_argument("--pipelines", action="store_true", help="fits of the ready Pipelines")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.pipelines:
        whole_fits(arguments.repeats)
        return
    rng = np.random.default_rng(0)
    X = rng.normal(size=(arguments.rows, sum(WIDTHS))).astype(np.float32)
    y = rng.uniform(size=arguments.rows)
    sides = {
        "plain PyTorch loop": plain_loop,
        "skorch with its defaults": skorch_defaults,
        "ours, 1 member": lambda X, y: ours().fit(X, y),
        "ours, 4 members": lambda X, y: ours(n_members=4).fit(X, y),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(arguments.repeats + 1):
        for name, run in sides.items():
            started = time.perf_counter()
            run(X, y)
            if repeat:  # the first warms up
                seconds[name].append(time.perf_counter() - started)
    print(
        f"{arguments.rows} x {sum(WIDTHS)}, batch {BATCH}, one epoch, "
        f"{torch.get_num_threads()} thread(s)"
    )
    for name, each in seconds.items():
        print(f"  {name:33} {np.median(each):7.2f} s")

    def ratio(name: str, other: str) -> float:
        return float(np.median(np.divide(seconds[name], seconds[other])))

    plain, default, single, members = sides
    print(f"ours / plain loop        {ratio(single, plain):.2f}   (mark: at most 1.25)")
    print(f"ours / skorch defaults   {ratio(single, default):.2f}   (mark: at most 0.40)")
    print(f"4 members / 1 member     {ratio(members, single):.2f}")


if __name__ == "__main__":
    main()
