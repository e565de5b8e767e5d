"""How large and how quick a report of many pictures is.

    python benchmarks/report_speed.py [--pictures 5000] [--repeats 3] [--keep FILE]

Pictures of smooth noise, which take as many bytes as photographs do, and an MLP on their
mean colours. Printed are the seconds to write the report, its size and, in a headless
Chromium (found as the tests find it), the medians of: opening it until it is drawn, each
order of sorting, and a filter, each until it is drawn.
"""

import argparse
import runpy
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from _figures import Figure, add_json_option, write_figures
from PIL import Image
from sklearn.preprocessing import FunctionTransformer

from sklearn_memorability.images import read_image
from sklearn_memorability.inspection import write_report
from sklearn_memorability.pipelines import mlp_regressor

HELPER = Path(__file__).parents[1] / "tests" / "inspection" / "chromium.py"

CHANGE = """
(async () => {
  const input = document.getElementById(%r);
  const status = document.getElementById("status");
  const said = status.textContent;
  const before = performance.now();
  input.value = %r;
  input.dispatchEvent(new Event(%r, {bubbles: true}));
  do await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  while (status.textContent === said);
  return performance.now() - before;
})()
"""


def smooth_noise(n: int, folder: Path) -> list[Path]:
    """Write pictures whose neighbouring pixels are alike, as those of photographs are."""
    chance = np.random.default_rng(0)
    paths = []
    for i in range(n):
        rough = Image.fromarray(chance.integers(0, 256, (40, 30, 3), dtype=np.uint8))
        paths.append(folder / f"picture {i:05d}.jpg")
        rough.resize((320, 240), Image.Resampling.BICUBIC).save(paths[-1], quality=85)
    return paths


def mean_colours(images: list[Path]) -> np.ndarray:
    """Return the mean of each channel of each picture's corner."""
    return np.array([np.asarray(read_image(image))[:40, :40].mean((0, 1)) for image in images])


def main() -> None:
    """Write the report, and look how quick it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="where to leave the report")
    add_json_option(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = smooth_noise(options.pictures, folder)
        y = np.random.default_rng(1).beta(8, 3, len(paths))
        model = mlp_regressor(FunctionTransformer(mean_colours), max_epochs=1, random_state=0)
        model.fit(paths[:200], y[:200])
        started = time.perf_counter()
        report = write_report(model, paths, y, options.keep or folder / "report.html")
        took, size = time.perf_counter() - started, report.stat().st_size / 1e6
        print(f"written in {took:.1f} s")
        print(f"size: {size:.1f} MB")
        figures = [
            Figure(f"{options.pictures} pictures: written in", took, "lower", "s"),
            Figure(f"{options.pictures} pictures: size", size, "lower", "MB"),
            *(
                Figure(f"{options.pictures} pictures: {what}", seconds, "lower", "s")
                for what, seconds in look(report, options.repeats).items()
            ),
        ]
        write_figures(options.json, figures)


def look(report: Path, repeats: int) -> dict[str, float]:
    """Print how long a browser takes, and return it in seconds, of sorting the slowest."""
    helper = runpy.run_path(str(HELPER))
    program = helper["find_chromium"]()
    if program is None:
        print("no Chromium was found: install it, or name it in CHROMIUM")
        return {}
    browser = helper["Chromium"](program)
    try:
        opened = [browser.open(report.resolve()) for _ in range(repeats)]
        print(f"opening: {statistics.median(opened):.2f} s")
        # To each key from the names, and back, so that there always is something to do.
        taken: dict[str, list[float]] = {"name": []}
        for key in ("true", "error", "size", "width", "row", "predicted"):
            taken[key] = []
            for _ in range(repeats):
                taken[key].append(browser.run(CHANGE % ("sort", key, "change")))
                taken["name"].append(browser.run(CHANGE % ("sort", "name", "change")))
        for key, times in taken.items():
            print(f"sorting by {key}: {statistics.median(times) / 1000:.3f} s")
        words = [str(10 ** (i % 4)) for i in range(repeats)]
        times = [browser.run(CHANGE % ("words", word, "input")) for word in words]
        print(
            f"filtering: {statistics.median(times) / 1000:.3f} s, .12 s of it a wait for more keys"
        )
        slowest = max(map(statistics.median, taken.values()))
        return {
            "opening": statistics.median(opened),
            "sorting": slowest / 1000,
            "filtering": statistics.median(times) / 1000,
        }
    finally:
        browser.close()


if __name__ == "__main__":
    main()
