"""How well ready models rank images of any set, beside the ceiling, and how fast they are.

    python benchmarks/ready_models.py --set NAME=FOLDER [--models resmem ...] [--n-images 200]

A folder has ``images/`` and ``scores.csv`` with the columns image_name and memorability. Printed is
Spearman's correlation with its bootstrap interval, the ceiling that people's agreement sets
(``--consistency NAME=R``, or the table's counts hits and n_resp), and milliseconds an image. A
model that can't be loaded here is left out with the reason. ResMem is timed beside its own loop,
one image at a time, as its readme has it.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from _figures import Figure, add_json_option, timed, write_figures
from PIL import Image

from sklearn_memorability.metrics import (
    spearman_interval,
    spearman_score,
    split_half_consistency,
)
from sklearn_memorability.persistence import load

MODELS = ("embedded", "vitmem", "memcoach", "resmem")


def read(folder: Path, n_images: int, seed: int) -> tuple[list[Path], np.ndarray, float | None]:
    """Return a random sample of a set: images, scores, and people's agreement on all, if known."""
    with (folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    consistency = None
    if {"hits", "n_resp"} <= rows[0].keys():
        hits, shown = (np.array([float(r[name]) for r in rows]) for name in ("hits", "n_resp"))
        found = split_half_consistency(hits=hits, misses=shown - hits, random_state=seed)
        consistency = found.consistency
    chosen = np.random.default_rng(seed).permutation(len(rows))[: n_images or None]
    images = [folder / "images" / rows[i]["image_name"] for i in chosen]
    return images, np.array([float(rows[i]["memorability"]) for i in chosen]), consistency


def loop_of_resmem(images: list[Path]) -> tuple[np.ndarray, float]:
    """Return ResMem's scores by its own code, and the seconds that its loop takes."""
    from resmem import ResMem, transformer

    model = ResMem(pretrained=True).eval()
    started = time.perf_counter()
    with torch.inference_mode():
        scores = [
            model(transformer(Image.open(path).convert("RGB")).view(-1, 3, 227, 227)).item()
            for path in images
        ]
    return np.array(scores), time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--consistency", action="append", default=[], metavar="NAME=R")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--n-images", type=int, default=0, help="a random sample; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    add_json_option(parser)
    arguments = parser.parse_args()
    agreed = {n: float(r) for n, r in (text.split("=") for text in arguments.consistency)}
    models, figures = {}, []
    for name in arguments.models:
        try:
            models[name] = load(name)
        except (ImportError, OSError) as error:
            print(f"{name} is left out: {str(error).splitlines()[0]}")
    for text in arguments.set:
        name, _, folder = text.partition("=")
        images, y, consistency = read(Path(folder), arguments.n_images, arguments.seed)
        consistency = agreed.get(name, consistency)
        ceiling = None if consistency is None else (2 * consistency / (1 + consistency)) ** 0.5
        reach = "unknown" if ceiling is None else f"{ceiling:.3f}"
        print(f"\n{name}: {len(images)} images, ceiling {reach}")
        for label, model in models.items():
            model.predict(images[:2])
            started = time.perf_counter()
            predicted = model.predict(images)
            seconds = time.perf_counter() - started
            score = spearman_score(y, predicted)
            low, high = spearman_interval(y, predicted, random_state=0)
            speed = f"{1000 * seconds / len(images):.0f} ms an image"
            print(f"{label:9} {score:.3f} ({low:.3f} to {high:.3f}), {speed}", flush=True)
            figures.append(
                Figure(
                    f"{label} on {name}",
                    score,
                    "higher",
                    "Spearman",
                    peer=ceiling,
                    peer_name="ceiling",
                    spread=(high - low) / 4,
                )
            )
            if label == "resmem":
                theirs, loop = loop_of_resmem(images)
                apart = np.abs(predicted - theirs).max()
                per_image = 1000 * loop / len(images)
                print(f"its own loop: {per_image:.0f} ms an image; scores differ by {apart:.1e}")
                figures.append(timed("ResMem's time", [seconds], [loop], peer_name="its loop"))
    write_figures(arguments.json, figures)


if __name__ == "__main__":
    main()
