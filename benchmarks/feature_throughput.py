"""How fast pictures become features, beside what a user would write.

    python benchmarks/feature_throughput.py [FOLDER] [--pictures 1000] [--vgg 60]

FOLDER holds JPEG files (default: the Flickr8k pictures of MEMORABILITY_TEST_DATA). For
``efficientnet_lite0``, and for VGG16 with seeded random weights on fewer pictures:

- the parts: decoding alone, and forward passes alone on ready tensors;
- ours, from files to rows, and again with a full cache, in this process and a new one;
- the same network as a user would use it, in torch's own memory layout: in torch's
  ``DataLoader`` with two workers, as its documentation has it; one picture at a time.

Every side uses torch's own number of threads. Ratios are of the same repeat; medians are
printed. Then the peak of memory, of 500 and of 7,000 pictures, each in a process of its
own; and bfloat16 beside float32, with the Spearman correlation between the predictions
of one head from both.

``--megapixels 12`` instead enlarges the pictures to that size, as JPEGs of quality 92, and
times reading at a reduced scale beside the full scale, and beside ``DataLoader`` with
torchvision's own decoding; with the cosine of the features and the Spearman correlation of
the embedded model's predictions.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _figures import Figure, add_json_option, timed, write_figures
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms.functional import resized_crop

from sklearn_memorability.datasets import load_things_photographs
from sklearn_memorability.features import FeatureCache, ImageFeatures
from sklearn_memorability.features._backbones import Backbone
from sklearn_memorability.features._families import get_backbone
from sklearn_memorability.features._networks import release_networks
from sklearn_memorability.images import read_image
from sklearn_memorability.metrics import spearman_score
from sklearn_memorability.persistence import load
from sklearn_memorability.pipelines import svr_regressor

BATCH = 32  # of the DataLoader loop, as tutorials have it


class Pictures(Dataset):
    """What a user would write around torchvision's or a network's own transform."""

    def __init__(self, paths: list[str], backbone: Backbone) -> None:
        self.paths, self.preprocess = paths, backbone.preprocess

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        picture = Image.open(self.paths[i]).convert("RGB")
        return self.preprocess.normalize(self.preprocess.view(picture)[None])[0].contiguous()


def data_loader_loop(paths: list[str], backbone: Backbone, module: nn.Module) -> np.ndarray:
    """Return features as a loop over torch's DataLoader gives them."""
    loader = DataLoader(Pictures(paths, backbone), batch_size=BATCH, num_workers=2)
    with torch.inference_mode():
        return np.concatenate([module(batch).numpy() for batch in loader])


def one_at_a_time(paths: list[str], backbone: Backbone, module: nn.Module) -> np.ndarray:
    """Return features picture by picture."""
    dataset = Pictures(paths, backbone)
    with torch.inference_mode():
        return np.concatenate([module(dataset[i][None]).numpy() for i in range(len(paths))])


class Decoded(Pictures):
    """The same with torchvision's own decoding and scaling, which give tensors."""

    def __getitem__(self, i: int) -> torch.Tensor:
        picture = decode_image(self.paths[i], ImageReadMode.RGB)
        left, top, right, bottom = self.preprocess.seen(picture.shape[2], picture.shape[1])
        side = self.preprocess.crop
        view = resized_crop(picture, top, left, bottom - top, right - left, [side, side])
        return self.preprocess.normalize(view[None])[0].contiguous()


def camera_sized(megapixels: float, sources: list[str], repeats: int) -> list[Figure]:
    """Time camera-sized files, and compare the features with those of the full scale."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for source in sources:
            picture = read_image(source)
            scale = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
            size = round(picture.width * scale), round(picture.height * scale)
            paths.append(str(Path(folder, f"{len(paths)}.jpg")))
            picture.resize(size, Image.Resampling.BICUBIC).save(paths[-1], quality=92)
        ours = ImageFeatures().fit(paths)
        preprocess = ours._recipe.load().preprocess

        def whole(picture: Image.Image) -> torch.Tensor:
            return preprocess.normalize(preprocess.view(picture)[None])[0]

        full = ImageFeatures(preprocessing=whole).fit(paths)
        backbone = get_backbone(ours.backbone)
        module = backbone.load(ours._recipe.layer, None)
        loader = DataLoader(Decoded(paths, backbone), batch_size=BATCH, num_workers=2)

        def loop() -> None:
            with torch.inference_mode():
                for batch in loader:
                    module(batch)

        found: dict[str, list[float]] = {}
        for _ in range(repeats):
            rows, times = {}, {}
            for name, transformer in (("reduced", ours), ("full", full)):
                started = time.perf_counter()
                rows[name] = transformer.transform(paths)
                times[name] = time.perf_counter() - started
            times["DataLoader, torchvision's decoding"] = seconds(loop)
            for name, value in times.items():
                found.setdefault(name, []).append(value)
        model = load("embedded")
        unreduced = ImageFeatures("memorability", layer="stages", preprocessing=whole).fit(paths)
        scores = model.predict(paths), model[1:].predict(unreduced.transform(paths))
    rank = spearman_score(*scores)
    for name, values in found.items():
        print(f"{name:36} {1e3 * np.median(values) / len(paths):7.1f} ms a picture")
    norms = [np.linalg.norm(features, axis=1) for features in rows.values()]
    cosine = float(((rows["reduced"] * rows["full"]).sum(axis=1) / norms[0] / norms[1]).min())
    print(f"cosine at least {cosine:.4f}; Spearman of the predictions {rank:.4f}")
    title = f"{megapixels:g} megapixels, {len(paths)} pictures"
    mine = found.pop("reduced")
    figures = [
        timed(f"{title}: times as fast as {n}", mine, v, peer_name=n, faster=True, mark=m)
        for (n, v), m in zip(found.items(), (2.5, 1), strict=True)
    ]
    for name, value in (("cosine of features, least", cosine), ("predictions", rank)):
        spread = 0.001
        figure = Figure(f"{title}: {name}", value, "higher", name, spread=spread, compared="ours")
        figures.append(figure)
    return figures


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(title: str, transformer: ImageFeatures, paths: list[str], repeats: int) -> list[Figure]:
    """Time all sides and print them with their ratios."""
    transformer.fit(paths)
    network = transformer._recipe.load()
    backbone = get_backbone(transformer.backbone)
    plain = backbone, backbone.load(transformer._recipe.layer, transformer.weights)
    some = paths[: max(4, len(paths) // 10)]
    expected = transformer.transform(some)
    for peer in (data_loader_loop, one_at_a_time):
        np.testing.assert_allclose(peer(some, *plain), expected, rtol=1e-2, atol=1e-2)
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        views: list[torch.Tensor] = []

        def decode(views: list[torch.Tensor] = views) -> None:
            views += [network.preprocess.view(read_image(path)) for path in paths]

        times = {"decoding alone": seconds(decode)}
        size = transformer._batch_size()
        batches = [torch.stack(views[i : i + size]) for i in range(0, len(views), size)]
        times["forward passes alone"] = seconds(lambda b=batches: [network.features(x) for x in b])
        times["ours, files to rows"] = seconds(lambda: transformer.transform(paths))
        times["DataLoader, 2 workers"] = seconds(lambda: data_loader_loop(paths, *plain))
        times["one at a time"] = seconds(lambda: one_at_a_time(paths, *plain))
        for name, value in times.items():
            found.setdefault(name, []).append(value)
    print(f"\n{title}: {len(paths)} pictures, {torch.get_num_threads()} threads")
    for name, values in found.items():
        print(f"  {name:24} {len(paths) / np.median(values):8.1f} pictures/s")
    ours = np.array(found["ours, files to rows"])
    parts = np.add(found["decoding alone"], found["forward passes alone"])
    print(
        f"  ours / (decoding + forward passes) {np.median(ours / parts):6.2f} (mark: at most 1.10)"
    )
    loader = np.median(found["DataLoader, 2 workers"] / ours)
    print(f"  ours, times the DataLoader loop    {loader:6.2f} (mark: above 1)")
    single = np.median(found["one at a time"] / ours)
    print(f"  ours, times one at a time          {single:6.2f} (mark: at least 2)")
    name = f"{title}, {len(paths)} pictures"
    mine = found["ours, files to rows"]
    loop = found["DataLoader, 2 workers"]
    return [
        timed(name, mine, parts, peer_name="decoding and forward passes", mark=1.1),
        timed(
            f"{name}: times as fast as a loop",
            mine,
            loop,
            peer_name="DataLoader, 2 workers",
            faster=True,
            mark=1,
        ),
        timed(
            f"{name}: times as fast as one by one",
            mine,
            found["one at a time"],
            peer_name="one at a time",
            faster=True,
            mark=2,
        ),
    ]


def cached(name: str, paths: list[str], weights: str | None) -> list[Figure]:
    """Time the first run and the second, in this process and in a new one."""
    with tempfile.TemporaryDirectory() as folder:
        release_networks()
        first = seconds(lambda: run(name, paths, weights, folder))
        second = seconds(lambda: run(name, paths, weights, folder))
        assert len(FeatureCache(folder)) == len(paths)
        child = child_run("cached", name, weights or "", folder, *paths)
    print(f"{name}, from the cache: {first / second:.0f} times as fast (mark: at least 100)")
    print(f"  in a new process, with loading the network: {first / child['seconds']:.0f} times")
    return [
        timed(
            f"{name}, from the cache: times as fast",
            [second],
            [first],
            peer_name="first run",
            faster=True,
            mark=100,
        ),
        timed(
            f"{name}, from the cache in a new process: times as fast",
            [child["seconds"]],
            [first],
            peer_name="first run",
            faster=True,
        ),
    ]


def run(name: str, paths: list[str], weights: str | None, cache: str | None) -> np.ndarray:
    """Fit and transform once."""
    return ImageFeatures(name, weights=weights, cache=cache).fit_transform(paths)


def child_run(*arguments: str) -> dict[str, float]:
    """Run a part of this script in a process of its own."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(kind: str, *arguments: str) -> None:
    """Measure time from the cache, or the peak of memory, and print it."""
    if kind == "cached":
        name, weights, cache, *paths = arguments
        print(json.dumps({"seconds": seconds(lambda: run(name, paths, weights or None, cache))}))
        return
    paths = list(arguments)
    n_pictures = int(paths.pop(0))
    transformer = ImageFeatures().fit(paths)
    transformer.transform(paths[:64])
    many = [paths[i % len(paths)] for i in range(n_pictures)]
    features = transformer.transform(many)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak": peak - features.nbytes}))


def precisions(paths: list[str], weights: str) -> list[Figure]:
    """Time both precisions and compare the predictions that follow from them."""
    figures = []
    for name, file, some in (
        ("efficientnet_lite0", None, paths),
        ("vgg16", weights, paths[: len(paths) // 5]),
    ):
        found, took = {}, {}
        for precision in ("float32", "bfloat16"):
            transformer = ImageFeatures(name, weights=file, precision=precision).fit(some)
            transformer.transform(some[:8])
            started = time.perf_counter()
            found[precision] = transformer.transform(some)
            took[precision] = time.perf_counter() - started
        if name == "efficientnet_lite0":
            data = load_things_photographs()
            head = svr_regressor().fit(data.data, data.target)
        else:  # no scores go with random weights: any function of the features will do
            target = np.random.default_rng(0).uniform(size=len(some))
            head = svr_regressor().fit(found["float32"], target)
        rank = spearman_score(*(head.predict(features) for features in found.values()))
        print(
            f"{name}, bfloat16: {took['float32'] / took['bfloat16']:.2f} times float32; Spearman "
            f"of the predictions {rank:.4f}"
        )
        figures += [
            timed(
                f"{name}, bfloat16: times as fast",
                [took["bfloat16"]],
                [took["float32"]],
                peer_name="float32",
                faster=True,
            ),
            Figure(
                f"{name}, bfloat16 beside float32: predictions",
                rank,
                "higher",
                "Spearman",
                spread=0.005,  # features change in the third digit
                compared="ours",
            ),
        ]
    return figures


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data = Path(os.environ.get("MEMORABILITY_TEST_DATA", "."))
    parser.add_argument("folder", nargs="?", type=Path, default=data / "flickr8k" / "images")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--vgg", type=int, default=60)
    parser.add_argument("--megapixels", type=float, help="of camera-sized files")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only-speed", action="store_true", help="leave out cache and memory")
    add_json_option(parser)
    arguments = parser.parse_args()
    paths = [str(path) for path in sorted(arguments.folder.glob("*.jpg"))]
    if len(paths) < arguments.pictures:
        parser.error(f"{arguments.folder} has {len(paths)} JPEG files of {arguments.pictures}.")
    if arguments.megapixels:
        few = paths[: arguments.pictures]
        write_figures(arguments.json, camera_sized(arguments.megapixels, few, arguments.repeats))
        return
    some, few = paths[: arguments.pictures], paths[: arguments.vgg]
    with tempfile.TemporaryDirectory() as folder:
        from torchvision.models import vgg16

        torch.manual_seed(0)
        weights = str(Path(folder, "vgg16.pth"))
        torch.save(vgg16(weights=None).state_dict(), weights)
        figures = compare("efficientnet_lite0", ImageFeatures(), some, arguments.repeats)
        figures += compare("vgg16", ImageFeatures("vgg16", weights=weights), few, arguments.repeats)
        if arguments.only_speed:
            write_figures(arguments.json, figures)
            return
        print()
        figures += cached("efficientnet_lite0", some, None)
        figures += cached("vgg16", few, weights)
        figures += precisions(paths[: 5 * arguments.vgg], weights)
    small, large = (child_run("memory", n, *paths[:1000])["peak"] for n in (500, 7000))
    print(
        f"peak memory beyond the output, 7,000 pictures less 500: {(large - small) / 1e6:+.0f} MB "
        "(mark: within 100)"
    )
    more = Figure(
        "peak memory, 7,000 pictures less 500",
        (large - small) / 1e6,
        "lower",
        "MB",
        mark=100,
    )
    write_figures(arguments.json, [*figures, more])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
