"""How large and how quick a report of many images is.

    python benchmarks/report_speed.py [--images 5000]

Images of smooth noise, which take as many bytes as photographs do, and an MLP on their
mean colours. Printed are the seconds to write the report, its size and, in a headless
Chromium (found as the tests find it), the seconds to open it, to sort it by the slowest key
(the median of three) and to filter it, each until it is drawn.
"""

import argparse
import runpy
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from sklearn.preprocessing import FunctionTransformer

from sklearn_memorability.images import read_image
from sklearn_memorability.inspection import write_report
from sklearn_memorability.pipelines import mlp_regressor

HELPER = Path(__file__).parents[1] / "tests" / "inspection" / "chromium.py"
CHANGE = """(async () => {
  const input = document.getElementById(%r);
  const before = performance.now();
  input.value = %r;
  input.dispatchEvent(new Event(%r, {bubbles: true}));
  await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
  return (performance.now() - before) / 1000;
})()"""


def smooth_noise(n: int, folder: Path) -> list[Path]:
    """Write images whose neighbouring pixels are alike, as those of photographs are."""
    rng = np.random.default_rng(0)
    paths = [folder / f"image {i:05d}.jpg" for i in range(n)]
    for path in paths:
        rough = Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8))
        rough.resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=85)
    return paths


def mean_colours(images: list[Path]) -> np.ndarray:
    """Return the mean of each channel of each image's corner."""
    return np.array([np.asarray(read_image(image))[:40, :40].mean((0, 1)) for image in images])


def main() -> None:
    """Write the report, and look how quick it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = smooth_noise(options.images, Path(folder))
        y = np.random.default_rng(1).beta(8, 3, len(paths))
        model = mlp_regressor(FunctionTransformer(mean_colours), max_epochs=1, random_state=0)
        model.fit(paths[:200], y[:200])
        started = time.perf_counter()
        report = write_report(model, paths, y, Path(folder) / "report.html")
        print(f"written in {time.perf_counter() - started:.1f} s")
        print(f"size: {report.stat().st_size / 1e6:.1f} MB")
        helper = runpy.run_path(str(HELPER))
        program = helper["find_chromium"]()
        if program is None:
            raise SystemExit("no Chromium was found")
        browser = helper["Chromium"](program)
        try:
            print(f"opened in {browser.open(report.resolve()):.2f} s")
            keys = ("true", "name", "error", "size", "width", "row", "predicted")
            rounds = [[browser.run(CHANGE % ("sort", k, "change")) for k in keys] for _ in range(3)]
            print(f"sorted in {max(map(median, zip(*rounds, strict=True))):.3f} s")
            times = [browser.run(CHANGE % ("words", word, "input")) for word in ("1", "12", "")]
            print(f"filtered in {median(times):.3f} s")
        finally:
            browser.close()


if __name__ == "__main__":
    main()
