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
        typer.Option(metavar="DIR", help=f"LaMem's folder, or '{_DOWNLOAD}' for its 2.7 GB."),
    ] = None,
    images: options.OptionalImages = None,
    scores: options.OptionalScores = None,
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    group_column: options.GroupColumn = None,
    score_range: options.ScoreRange = None,
    row: Annotated[
        list[str] | None,
        typer.Option(metavar="ROW", help="Table 1: only this row, as cnn-svr. May be repeated."),
    ] = None,
    fold: Annotated[
        list[int] | None,
        typer.Option(min=1, max=5, metavar="N", help="A LaMem split; of table1, may be repeated."),
    ] = None,
    nested: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Table 1: choose parameters by N inner folds."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Tables 2 and 3: a ready or saved model; repeatable."),
    ] = None,
    fit_each: Annotated[
        bool, typer.Option("--fit-each", help="Tables 2 and 3: add an SVR fitted to each set.")
    ] = False,
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
            f"it is open. May be repeated. Names: {', '.join(_TABLE_2)}; {', '.join(_TABLE_3)}; "
            "or any, of a folder of yours with images/ and scores.csv.",
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
        typer.Option("--output", "-o", metavar="DIR", help="Folder for tables and features."),
    ] = Path("memorability-tables"),
    figure: Annotated[
        bool, typer.Option("--figure", help="Draw the table, and Figure 3 (needs the extra plot).")
    ] = False,
    seed: options.Seed = 0,
    progress: options.Progress = True,
) -> int:
    """Compute the paper's Tables 1 to 3.

    Table 1 compares features and models on LaMem, or on images of your own (--images and
    --scores). Tables 2 and 3 apply to other sets the CNN + IC model fitted to those, or
    other models: a matrix of models and sets, of the embedded model by default. What is
    finished is kept in the output folder: the same command goes on after an interruption.
    """
    is_table_1 = table is TableName.TABLE_1
    only = {"--row": row, "--nested": nested, "--recommended": recommended, "--jobs": jobs}
    others = {"--set": set_, "--model": model, "--fit-each": fit_each}
    for option, value in (others if is_table_1 else only).items():
        if value:
            raise typer.BadParameter(f"it is not for {table}.", param_hint=option)
    from sklearn.base import clone
    from sklearn.pipeline import FeatureUnion

    from sklearn_memorability.cli._inputs import open_model
    from sklearn_memorability.experiments import figure3, table1, table2, table3
    from sklearn_memorability.features import CaptionEmbedding, ImageFeatures, VGGFeatures
    from sklearn_memorability.inspection import TableDisplay
    from sklearn_memorability.persistence import read_facts
    from sklearn_memorability.pipelines import (
        recommended_regressor,
        svr_regressor,
        two_branch_regressor,
    )

    folds = sorted(set(fold or [])) if is_table_1 else (fold or [1])[:1]
    columns = (image_column, score_column, group_column, score_range or (0.0, 1.0))
    names = _TABLE_3 if table is TableName.TABLE_3 else _TABLE_2
    sets = dict(_load_set(text, names, columns, seed) for text in set_ or [])
    data: Any = None
    if is_table_1 or lamem or images:
        data = _load_data(lamem, (images, scores, *columns), folds)
    output.mkdir(parents=True, exist_ok=True)
    verbose = int(shows_progress(progress))
    cache = output / "features.sqlite"
    shared: dict[str, Any] = {"cache": cache, "device": device, "verbose": verbose}
    if backbone == "vgg16":
        cnn: Any = VGGFeatures(weights=weights, **shared)
    else:
        cnn = ImageFeatures(backbone, weights=weights, **shared)
    ic = CaptionEmbedding(embedding, **shared)
    measured: dict[str, Any] = {"random_state": seed, "verbose": verbose}
    of_data = {"score_range": data.score_range, "random_state": seed} if data else {}
    if is_table_1:
        extra = {}
        if recommended:
            # Their features are kept by then: no progress bars.
            parts = [(n, clone(t).set_params(verbose=0)) for n, t in (("cnn", cnn), ("ic", ic))]
            extra["recommended"] = recommended_regressor(FeatureUnion(parts), **of_data)
        cv = data.cv
        if folds and cv is not None and len(folds) < len(cv):
            cv = [cv[i - 1] for i in folds]
        how: dict[str, Any] = {
            "rows": row or None,
            "nested": nested,
            "n_jobs": jobs,
            "folder": output,
        }
        result = table1(data, cnn=cnn, ic=ic, cv=cv, extra=extra, **how, **measured)
    else:
        opened = model or ([] if fit_each or data else ["embedded"])
        models: Any = {x: open_model(x, None, device, str(cache)) for x in opened}
        seen = {x: read_facts(x).get("trained_on", "") for x in opened}
        if fit_each:
            models["SVR"] = svr_regressor(clone(cnn).set_params(verbose=0))
        if data:
            pipeline = two_branch_regressor(cnn, embedding, **of_data)
            # Both branches keep their features where Table 1 keeps them.
            pipeline.set_params(features__ic=ic)
            train = range(len(data.images)) if data.cv is None else data.cv[0][0]
            pipeline.fit([data.images[i] for i in train], data.target[train])
            name = f"CNN + IC, MLP, 4 classes, fitted to {len(train)} images"
            models = {**models, name: pipeline} if models else pipeline
        compute = table2 if table is TableName.TABLE_2 else table3
        result = compute(models, sets, trained_on=seen, **measured)
        result.notes += [f"Model: {name}."] if data else []
        result.to_csv(output / f"{table}.csv")
        result.to_markdown(output / f"{table}.md")
    if figure:
        TableDisplay.from_table(result).figure_.savefig(output / f"{table}.png", dpi=150)
        if is_table_1:
            figure3(data, result).plot().figure_.savefig(output / "figure3.png", dpi=150)
    emit(f"{result}\n\nWritten to {output}.\n")
    return OK


def _load_data(lamem: str | None, own: tuple[Any, ...], folds: list[int]) -> Any:
    """Load LaMem, or images of the user's own."""
    from sklearn_memorability.cli._inputs import load_scored
    from sklearn_memorability.datasets import fetch_lamem, load_lamem

    images, scores, *columns = own
    if (lamem is None) == (images is None):
        raise typer.BadParameter(
            "give one of the two, and not both.", param_hint="--lamem, --images"
        )
    if lamem is None:
        if scores is None:
            raise typer.BadParameter("--images needs a table of scores.", param_hint="--scores")
        return load_scored(images, scores, *columns)
    split: Any = folds[0] if len(folds) == 1 else "all"
    return fetch_lamem(split=split) if lamem == _DOWNLOAD else load_lamem(lamem, split=split)


def _load_set(text: str, names: list[str], columns: Any, seed: int) -> tuple[str, Any]:
    """Return the name of a set, and its images with scores, or the reason why it is missing."""
    from sklearn_memorability.cli._inputs import agreement, load_scored

    datasets = import_module("sklearn_memorability.datasets")

    name, has_folder, folder = text.partition("=")
    if has_folder and name not in (*_TABLE_2, *_TABLE_3):
        table = Path(folder, "scores.csv")
        data = load_scored(Path(folder, "images"), table, *columns)
        return name, data | {"consistency": agreement(table, seed)}
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
