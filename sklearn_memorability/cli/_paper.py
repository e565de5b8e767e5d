"""``tables``: the paper's Tables 1 to 3."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._console import OK, emit, shows_progress

# How each set is read from a folder, and downloaded where that is open to all: the names of
# functions of sklearn_memorability.datasets.
_LOADERS: dict[str, tuple[str, str | None]] = {
    "isola": ("load_isola", "fetch_isola"),
    "bylinskii": ("load_figrim", "fetch_figrim"),
    "dubey": ("load_dubey", None),
    "cohendet": ("load_iaps", None),
    "libkuman": ("load_iaps", None),
    "bainbridge": ("load_bainbridge", None),
    "borkin": ("load_massvis", None),
    "lnsim": ("load_lnsim", "fetch_lnsim"),
    "memcat": ("load_memcat", "fetch_memcat"),
    "things": ("load_things", "fetch_things"),
}
_TABLE_2, _TABLE_3 = list(_LOADERS), ["mediaeval", "flickr", "gygli1", "gygli2", "gygli3"]
_DOWNLOAD = "download"


class TableName(StrEnum):
    """The paper's tables."""

    TABLE_1 = "table1"
    TABLE_2 = "table2"
    TABLE_3 = "table3"


def tables(
    table: Annotated[TableName, typer.Argument(metavar="TABLE", help=f"{', '.join(TableName)}.")],
    lamem: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help=f"LaMem, the folder with images/ and splits/; '{_DOWNLOAD}' fetches its 2.7 GB.",
        ),
    ] = None,
    images: options.OptionalImages = None,
    scores: options.OptionalScores = None,
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    group_column: options.GroupColumn = None,
    score_range: options.ScoreRange = None,
    row: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROW",
            help="Table 1: this row only: cnn-svr, cnn-mlp2, cnn-mlp4, ic-svr, ic-mlp4 or "
            "cnn+ic-mlp4. May be repeated.",
        ),
    ] = None,
    fold: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=5,
            metavar="N",
            help="Table 1: this LaMem split only; may be repeated. Tables 2 and 3: the split "
            "to train on. [default: 1]",
            show_default=False,
        ),
    ] = None,
    nested: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Table 1: choose parameters by N inner folds."),
    ] = None,
    recommended: Annotated[
        bool, typer.Option("--recommended", help="Table 1: add the recommended regressor.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Table 1: fits to run in parallel.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME[=DIR]",
            help="Tables 2 and 3: a set and its folder; without a folder it is downloaded, if "
            f"it is open. May be repeated. Names: {', '.join(_TABLE_2)}; {', '.join(_TABLE_3)}.",
        ),
    ] = None,
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="The network of the CNN features.")
    ] = "vgg16",
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its weights, in place of a download.")
    ] = None,
    embedding: Annotated[
        str, typer.Option(metavar="NAME", help="The joint space of the IC features.")
    ] = "flickr8k",
    device: options.Device = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for tables, features and predictions."
        ),
    ] = Path("memorability-tables"),
    figure: Annotated[
        bool, typer.Option("--figure", help="Draw Figure 3 or 4 too (needs the extra plot).")
    ] = False,
    seed: options.Seed = 0,
    progress: options.Progress = True,
) -> int:
    """Compute the paper's Tables 1 to 3.

    Table 1 compares features and models on LaMem, or on images of your own (--images and
    --scores). Tables 2 and 3 fit the CNN + IC model and apply it to other sets. What is
    finished is kept in the output folder: the same command goes on after an interruption.
    """
    is_table_1 = table is TableName.TABLE_1
    only = {"--row": row, "--nested": nested, "--recommended": recommended, "--jobs": jobs}
    for option, value in ({"--set": set_} if is_table_1 else only).items():
        if value:
            raise typer.BadParameter(f"it is not for {table}.", param_hint=option)
    from sklearn.base import clone
    from sklearn.pipeline import FeatureUnion

    from sklearn_memorability.experiments import figure3, figure4, table1, table2, table3
    from sklearn_memorability.features import CaptionEmbedding, ImageFeatures, VGGFeatures
    from sklearn_memorability.pipelines import recommended_regressor, two_branch_regressor

    folds = sorted(set(fold or [])) if is_table_1 else (fold or [1])[:1]
    sets = dict(
        _load_set(text, _TABLE_3 if table is TableName.TABLE_3 else _TABLE_2) for text in set_ or []
    )
    own = (images, scores, image_column, score_column, group_column, score_range)
    data = _load_data(lamem, own, folds)
    output.mkdir(parents=True, exist_ok=True)
    verbose = int(shows_progress(progress))
    shared: dict[str, Any] = {
        "cache": output / "features.sqlite",
        "device": device,
        "verbose": verbose,
    }
    if backbone == "vgg16":
        cnn: Any = VGGFeatures(weights=weights, **shared)
    else:
        cnn = ImageFeatures(backbone, weights=weights, **shared)
    ic = CaptionEmbedding(embedding, **shared)
    measured: dict[str, Any] = {"random_state": seed, "verbose": verbose}
    model: dict[str, Any] = {"score_range": data.score_range, "random_state": seed}
    if is_table_1:
        extra = {}
        if recommended:
            # Their features are kept by then: no progress bars.
            parts = [(n, clone(t).set_params(verbose=0)) for n, t in (("cnn", cnn), ("ic", ic))]
            extra["recommended"] = recommended_regressor(FeatureUnion(parts), **model)
        cv = data.cv
        if folds and cv is not None and len(folds) < len(cv):
            cv = [cv[i - 1] for i in folds]
        result = table1(
            data,
            cnn=cnn,
            ic=ic,
            cv=cv,
            rows=row or None,
            extra=extra,
            nested=nested,
            n_jobs=jobs,
            folder=output,
            **measured,
        )
    else:
        pipeline = two_branch_regressor(cnn, embedding, **model)
        # Both branches keep their features where Table 1 keeps them.
        pipeline.set_params(features__ic=ic)
        train = range(len(data.images)) if data.cv is None else data.cv[0][0]
        pipeline.fit([data.images[i] for i in train], data.target[train])
        note = f"Model: CNN + IC, MLP, 4 classes, fitted to {len(train)} images."
        compute = table2 if table is TableName.TABLE_2 else table3
        result = compute(pipeline, sets, **measured)
        result.notes.insert(0, note)
        result.to_csv(output / f"{table}.csv")
        result.to_markdown(output / f"{table}.md")
    if figure:
        display = figure3(data, result) if is_table_1 else figure4(sets)
        display.plot().figure_.savefig(output / f"figure{3 if is_table_1 else 4}.png", dpi=150)
    emit(f"{result}\n\nWritten to {output}.\n")
    return OK


def _load_data(lamem: str | None, own: tuple[Any, ...], folds: list[int]) -> Any:
    """Load LaMem, or images of the user's own."""
    from sklearn_memorability.cli._inputs import load_scored
    from sklearn_memorability.datasets import fetch_lamem, load_lamem

    images, scores, image_column, score_column, group_column, score_range = own
    if (lamem is None) == (images is None):
        raise typer.BadParameter(
            "give one of the two, and not both.", param_hint="--lamem, --images"
        )
    if lamem is None:
        if scores is None:
            raise typer.BadParameter("--images needs a table of scores.", param_hint="--scores")
        columns = (image_column, score_column, group_column)
        return load_scored(images, scores, *columns, score_range or (0.0, 1.0))
    split: Any = folds[0] if len(folds) == 1 else "all"
    return fetch_lamem(split=split) if lamem == _DOWNLOAD else load_lamem(lamem, split=split)


def _load_set(text: str, names: list[str]) -> tuple[str, Any]:
    """Return the name of a set, and its images with scores, or the reason why it is missing."""
    datasets = import_module("sklearn_memorability.datasets")

    name, has_folder, folder = text.partition("=")
    if name not in names:
        raise typer.BadParameter(f"{text}: expected one of {', '.join(names)}.", param_hint="--set")
    load, fetch = _LOADERS.get(name, ("load_interestingness", None))
    if not has_folder and fetch is None:
        raise typer.BadParameter(
            f"{name} can't be downloaded; say where it is: {name}=FOLDER.", param_hint="--set"
        )
    which = [name] if load in ("load_iaps", "load_interestingness") else []
    try:
        if has_folder:
            return name, getattr(datasets, load)(*which, folder)
        return name, getattr(datasets, str(fetch))()
    except OSError as error:
        # The table says so, and the other sets get their rows.
        return name, str(error)
