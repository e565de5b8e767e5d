"""The command ``python -m sklearn_memorability.experiments``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sklearn.base import clone
from sklearn.pipeline import FeatureUnion

from sklearn_memorability.datasets import (
    fetch_figrim,
    fetch_isola,
    fetch_lamem,
    fetch_memcat,
    fetch_things,
    load_bainbridge,
    load_cohendet,
    load_dubey,
    load_figrim,
    load_flickr,
    load_gygli,
    load_image_folder,
    load_isola,
    load_lamem,
    load_libkuman,
    load_massvis,
    load_mediaeval,
    load_memcat,
    load_things,
)
from sklearn_memorability.experiments._figures import figure3, figure4
from sklearn_memorability.experiments._published import TABLE_1, TABLE_2, TABLE_3
from sklearn_memorability.experiments._result_table import ResultTable
from sklearn_memorability.experiments._table1 import table1
from sklearn_memorability.experiments._transfer import table2, table3
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures, VGGFeatures
from sklearn_memorability.pipelines import recommended_regressor, two_branch_regressor

# How each set is read from a folder, and downloaded where that is open to all.
_LOADERS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "isola": (load_isola, fetch_isola),
    "bylinskii": (load_figrim, fetch_figrim),
    "dubey": (load_dubey, None),
    "cohendet": (load_cohendet, None),
    "libkuman": (load_libkuman, None),
    "bainbridge": (load_bainbridge, None),
    "borkin": (load_massvis, None),
    "memcat": (load_memcat, fetch_memcat),
    "things": (load_things, fetch_things),
    "mediaeval": (load_mediaeval, None),
    "flickr": (load_flickr, None),
    "gygli1": (lambda folder: load_gygli(folder, 1), None),
    "gygli2": (lambda folder: load_gygli(folder, 2), None),
    "gygli3": (lambda folder: load_gygli(folder, 3), None),
}
_TABLES = {
    "table2": (table2, [row.key for row in TABLE_2] + ["memcat", "things"]),
    "table3": (table3, [row.key for row in TABLE_3]),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments. None takes those of the process.

    Returns
    -------
    int
        0; 2 if something can't be done as asked; 130 if it was interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        table = _run(arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(
            f"\nInterrupted. What is finished is kept in {arguments.output}; the same command goes "
            "on from there.\n"
        )
        return 130
    sys.stdout.write(f"{table}\n\nWritten to {arguments.output}.\n")
    return 0


def _run(arguments: argparse.Namespace) -> ResultTable:
    arguments.output.mkdir(parents=True, exist_ok=True)
    cnn, ic = _features(arguments)
    measured = {"n_resamples": arguments.resamples, "random_state": arguments.seed}
    verbose = 0 if arguments.quiet else 1
    if arguments.command == "table1":
        data = _data(arguments, arguments.folds)
        extra = {}
        if arguments.recommended:
            # The features are in the cache by then; a bar for each fold would say nothing.
            quiet = (clone(features).set_params(verbose=0) for features in (cnn, ic))
            both = FeatureUnion(list(zip(("cnn", "ic"), quiet, strict=True)))
            extra["recommended"] = recommended_regressor(
                both, score_range=data.score_range, random_state=arguments.seed
            )
        cv = data.cv
        if arguments.folds and cv is not None and len(arguments.folds) < len(cv):
            cv = [cv[fold - 1] for fold in arguments.folds]
        table = table1(
            data,
            cnn=cnn,
            ic=ic,
            cv=cv,
            rows=arguments.rows,
            extra=extra,
            nested=arguments.nested,
            folder=arguments.output,
            n_jobs=arguments.jobs,
            verbose=verbose,
            **measured,
        )
        if arguments.figure:
            _save(figure3(data, table), arguments.output / "figure3.png")
        return table

    compute, names = _TABLES[arguments.command]
    sets = _sets(arguments.set, names)
    data = _data(arguments, [arguments.fold])
    model = two_branch_regressor(
        cnn,
        arguments.embedding,
        score_range=data.score_range,
        random_state=arguments.seed,
    )
    # Both branches keep their features where Table 1 keeps them.
    model.set_params(features__ic=ic)
    train = range(len(data.images)) if data.cv is None else data.cv[0][0]
    model.fit([data.images[i] for i in train], data.target[train])
    table = compute(model, sets, verbose=verbose, **measured)
    table.notes.insert(0, f"Model: CNN + IC, MLP, 4 classes, fitted to {len(train)} pictures.")
    table.to_csv(arguments.output / f"{arguments.command}.csv")
    table.to_markdown(arguments.output / f"{arguments.command}.md")
    if arguments.figure:
        _save(figure4(sets), arguments.output / "figure4.png")
    return table


def _features(arguments: argparse.Namespace) -> tuple[Any, Any]:
    shared = {
        "cache": arguments.output / "features.sqlite",
        "device": arguments.device,
        "precision": arguments.precision,
        "verbose": 0 if arguments.quiet else 1,
    }
    if arguments.backbone == "vgg16":
        cnn = VGGFeatures(weights=arguments.weights, **shared)
    else:
        cnn = ImageFeatures(arguments.backbone, weights=arguments.weights, **shared)
    return cnn, CaptionEmbedding(arguments.embedding, **shared)


def _data(arguments: argparse.Namespace, folds: Sequence[int] | None) -> Any:
    if arguments.lamem is not None:
        split: Any = folds[0] if folds and len(folds) == 1 else "all"
        if arguments.lamem == "":
            return fetch_lamem(split=split)
        return load_lamem(arguments.lamem, split=split)
    if arguments.scores is None:
        raise ValueError("--images needs --scores, a table with the pictures' scores.")
    return load_image_folder(
        arguments.images,
        arguments.scores,
        image_column=arguments.image_column,
        score_column=arguments.score_column,
        group_column=arguments.group_column,
        score_range=tuple(arguments.score_range),
    )


def _sets(given: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if name not in names:
            raise ValueError(f"--set {text}: expected one of {', '.join(names)}.")
        load, fetch = _LOADERS[name]
        if not equals and fetch is None:
            raise ValueError(f"--set {name} can't be downloaded; say where it is: {name}=FOLDER.")
        try:
            sets[name] = load(folder) if equals or fetch is None else fetch()
        except OSError as error:
            # The table says so, and the other sets get their rows.
            sets[name] = str(error)
    return sets


def _save(display: Any, path: Path) -> None:
    display.plot().figure_.savefig(path, dpi=150)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_memorability.experiments",
        description="The tables of Squalli-Houssaini et al. (2018), computed anew.",
    )
    commands = parser.add_subparsers(dest="command", required=True)

    first = commands.add_parser("table1", help="features and models on LaMem, five folds")
    _add_common(first)
    first.add_argument(
        "--folds", type=int, nargs="+", choices=range(1, 6), help="only these of LaMem's splits"
    )
    first.add_argument(
        "--rows",
        nargs="+",
        choices=[row.key for row in TABLE_1],
        help="only these rows (an SVR on 45,000 pictures takes hours)",
    )
    first.add_argument(
        "--nested",
        type=int,
        metavar="N",
        help="choose hyper-parameters by N inner folds of each training part",
    )
    first.add_argument(
        "--recommended", action="store_true", help="add a row with the recommended regressor"
    )
    first.add_argument(
        "--jobs", type=int, metavar="N", help="how many fits to run side by side (default 1)"
    )
    first.add_argument(
        "--figure", action="store_true", help="draw Figure 3 too (needs the extra plot)"
    )
    for name, text in (("table2", "memorability sets"), ("table3", "interestingness sets")):
        other = commands.add_parser(name, help=f"the LaMem model on other {text}")
        _add_common(other)
        other.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME[=FOLDER]",
            help="a set and where it is; without a folder it is downloaded, if that is open. May "
            f"be given again. Names: {', '.join(_TABLES[name][1])}",
        )
        other.add_argument(
            "--fold", type=int, choices=range(1, 6), default=1, help="train on this LaMem split"
        )
        other.add_argument(
            "--figure", action="store_true", help="draw Figure 4 too (needs the extra plot)"
        )
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--lamem",
        nargs="?",
        const="",
        metavar="FOLDER",
        help="LaMem, the folder with images/ and splits/; without a folder it is downloaded",
    )
    data.add_argument("--images", metavar="FOLDER", help="pictures of your own, in LaMem's place")
    own = parser.add_argument_group("pictures of your own")
    own.add_argument("--scores", metavar="FILE", help="their table of scores (.csv or .tsv)")
    own.add_argument("--image-column", default="image", metavar="NAME")
    own.add_argument("--score-column", default="score", metavar="NAME")
    own.add_argument("--group-column", metavar="NAME", help="what folds must not split")
    own.add_argument(
        "--score-range", type=float, nargs=2, default=[0.0, 1.0], metavar=("LOW", "HIGH")
    )
    features = parser.add_argument_group("features")
    features.add_argument(
        "--backbone",
        default="vgg16",
        help="the CNN, as in ImageFeatures (default: vgg16; efficientnet_lite0 works offline)",
    )
    features.add_argument("--weights", metavar="FILE", help="its weights, in place of a download")
    features.add_argument(
        "--embedding",
        default="flickr8k",
        help="the joint space of the IC features, as in CaptionEmbedding (default: flickr8k)",
    )
    features.add_argument("--device", help="where to compute features (default: the best there is)")
    features.add_argument("--precision", choices=["float32", "bfloat16", "auto"], default="float32")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("memorability-tables"),
        metavar="FOLDER",
        help="where results, features and finished fits are kept (default: memorability-tables)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--resamples", type=int, default=1000, help="of the bootstrap interval; 0 leaves it out"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
