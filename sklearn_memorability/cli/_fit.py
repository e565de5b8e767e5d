"""``extract`` and ``fit``: features of images, and a model fitted to them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sklearn_memorability._utils._files import whole_file
from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._console import (
    OK,
    REFUSED,
    SOME_FAILED,
    as_json,
    emit,
    list_failures,
    say,
    shows_progress,
)
from sklearn_memorability.cli._tables import check_output, number, write_table

# Below so many images, features that were tuned to memorability make up for some of them.
_FEW = 1000


def extract(
    paths: options.Paths,
    output: options.Output,
    backbone: options.Backbone = None,
    embedding: options.Embedding = None,
    recursive: options.Recursive = True,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
) -> int:
    """Compute features of images: one row each, to .npz, .csv or .npy.

    A .npz file has the arrays features, images, names (of the features) and errors.
    The row of an image that can't be read is NaN, and empty in a table.

    .npy is for more rows than fit into memory; NAME.images.csv beside it names the image
    of each row. With --cache, the same command goes on after an interruption.
    """
    check_output(output, (".npz", ".csv", ".npy"), force)
    from sklearn_memorability.cli._inputs import find_images, given, make_transformer
    from sklearn_memorability.features import write_features
    from sklearn_memorability.features._extractor import unreadable_images

    images = find_images(paths, recursive)
    is_npy = output.suffix.lower() == ".npy"
    verbose = int(shows_progress(progress))
    transformer = make_transformer(
        backbone,
        embedding,
        on_error="nan",
        verbose=0 if is_npy else verbose,
        **given(batch_size=batch_size, device=device, cache=cache),
    )
    transformer.fit(images)
    with unreadable_images() as errors:
        if is_npy:
            rows: Any = write_features(transformer, images, output, verbose=verbose)
        else:
            rows = transformer.transform(images)
    reasons = [errors[row].reason if row in errors else None for row in range(len(images))]
    list_failures({images[row]: error.reason for row, error in errors.items()})
    if len(errors) == len(images):
        say("no image could be read.", "error")
        return REFUSED
    beside = ""
    if is_npy:
        table = output.with_name(f"{output.stem}.images.csv")
        write_table(table, ["image", "error"], list(zip(images, reasons, strict=True)))
        beside = f" Names: {table}."
    else:
        names = [str(name) for name in transformer.get_feature_names_out()]
        _write(output, images, names, rows, reasons)
    n_rows, n_columns = rows.shape
    say(f"Wrote {output}: {n_rows} x {n_columns} features, {len(errors)} failed.{beside}")
    return SOME_FAILED if errors else OK


def fit(
    images: options.Images,
    scores: options.Scores,
    output: options.Output = Path("model.skops"),
    kind: options.ModelKind = options.Kind.RECOMMENDED,
    backbone: options.Backbone = None,
    embedding: options.Embedding = None,
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    hits: options.Hits = None,
    misses: options.Misses = None,
    group_column: options.GroupColumn = None,
    score_range: options.ScoreRange = None,
    cv: Annotated[
        int, typer.Option("--cv", min=0, metavar="N", help="Folds of cross-validation; 0: none.")
    ] = 5,
    seed: options.Seed = 0,
    json: options.Json = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
) -> int:
    """Fit a model to images with scores, measure it and save it.

    The measure is Spearman's correlation on images that the model was not fitted to:
    mean and standard error over folds. Images of one group stay in one fold. With
    --hits and --misses, columns of counts, the score is the hit rate.
    """
    check_output(output, (".skops",), force)
    import numpy as np
    from sklearn.base import clone
    from tqdm import tqdm

    from sklearn_memorability.cli._inputs import given, image_transformers, load_scored
    from sklearn_memorability.features._extractor import unreadable_images
    from sklearn_memorability.metrics import spearman_score
    from sklearn_memorability.persistence import save

    score_range = score_range or (0.0, 1.0)
    data = load_scored(
        images, scores, image_column, score_column, group_column, score_range, hits, misses
    )
    splitter = _splitter(cv, data, seed) if cv else None
    settings = given(batch_size=batch_size, device=device, cache=cache)
    shows_bar = shows_progress(progress)
    is_papers = kind in (options.Kind.PAPER, options.Kind.TWO_BRANCH)
    if not (backbone or embedding or is_papers) and len(data.images) < _FEW:
        backbone = "memorability"
    model = _make_model(
        kind,
        backbone,
        embedding,
        score_range,
        seed,
        {"on_error": "nan", "verbose": int(shows_bar), **settings},
    )
    if device is not None and hasattr(model[-1], "device"):
        model[-1].set_params(device=device)
    with unreadable_images() as errors:
        X = model[0].fit(data.images, data.target).transform(data.images)
    list_failures({str(data.images[row]): error.reason for row, error in errors.items()})
    good = np.setdiff1d(np.arange(len(X)), list(errors))
    if not len(good):
        raise ValueError(f"None of the images in {str(images)!r} could be read.")
    X, y = X[good], data.target[good]
    if len(np.unique(y)) < 2:
        raise ValueError(
            f"fit needs images with different scores; those read are {len(y)}, all of {y[0]:g}."
        )
    groups = None if data.groups is None else data.groups[good]
    head = model[1:]
    folds = []
    if splitter is not None:
        splits = list(splitter.split(X, y, groups))
        for train, test in tqdm(splits, "Cross-validating", leave=False, disable=not shows_bar):
            predicted = clone(head).fit(X[train], y[train]).predict(X[test])
            folds.append(spearman_score(y[test], predicted))
            if progress and not shows_bar:
                say(f"Fold {len(folds)} of {len(splits)}: Spearman {folds[-1]:.3f}")
    # The steps are those of the whole Pipeline, so this fits it.
    head.fit(X, y)
    for transformer in image_transformers(model):
        transformer.set_params(cache=None, on_error="raise", verbose=0)
    save(model, output)
    if folds:
        mean = float(np.mean(folds))
        error_of_mean = float(np.std(folds, ddof=1) / np.sqrt(len(folds)))
    if json:
        document = {
            "model": str(output),
            "kind": kind.value,
            "n_images": len(y),
            "n_failed": len(errors),
            "folds": [number(fold) for fold in folds] or None,
            "spearman": number(mean) if folds else None,
            "standard_error": number(error_of_mean) if folds else None,
        }
        emit(as_json(document))
    elif folds:
        by = "equal images" if group_column is None else repr(group_column)
        grouped = "" if groups is None else f", grouped by {by}"
        emit(
            f"Spearman {mean:.3f} ± {error_of_mean:.3f} ({cv} folds of {len(y)} images{grouped})\n"
        )
    say(f"Wrote {output}, fitted to {len(y)} images.")
    return SOME_FAILED if errors else OK


def _make_model(
    kind: options.Kind,
    backbone: str | None,
    embedding: str | None,
    score_range: tuple[float, float],
    seed: int,
    settings: dict[str, Any],
) -> Any:
    """Return the Pipeline from images to scores that the options ask for."""
    from sklearn_memorability.cli._inputs import make_transformer
    from sklearn_memorability.pipelines import (
        mlp_regressor,
        recommended_regressor,
        svr_regressor,
        two_branch_regressor,
    )

    if kind is options.Kind.TWO_BRANCH:
        embedding = embedding or "flickr8k"
    features = make_transformer(backbone, embedding, **settings)
    if kind is options.Kind.SVR:
        return svr_regressor(features)
    shared: dict[str, Any] = {"score_range": score_range, "random_state": seed}
    if kind is options.Kind.TWO_BRANCH:
        # One transformer, or a union of two, gives the columns of the branches in order.
        model = two_branch_regressor(embedding=embedding, **shared)
        return model.set_params(features=features)
    if kind is options.Kind.PAPER:
        return mlp_regressor(features, **shared)
    return recommended_regressor(features, **shared)


def _splitter(cv: int, data: Any, seed: int) -> Any:
    """Return five folds, or as many as asked for, that keep groups together."""
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold

    if data.groups is None:
        # A fold of one image has no order.
        n_units, units, most = len(data.images), "images", len(data.images) // 2
    else:
        n_units = most = len(np.unique(data.groups))
        units = "groups"
    if cv == 1 or cv > most:
        several = f"from 2 to {most}, or " if most >= 2 else ""
        raise typer.BadParameter(
            f"{cv}: there are {n_units} {units}, so it can be {several}0 for no cross-validation.",
            param_hint="--cv",
        )
    kind = KFold if data.groups is None else GroupKFold
    return kind(cv, shuffle=True, random_state=seed)


def _write(
    output: Path, images: list[str], names: list[str], rows: Any, reasons: list[str | None]
) -> None:
    """Write features as a .npz file, or as a table."""
    import numpy as np

    if output.suffix.lower() == ".npz":
        with whole_file(output) as draft, draft.open("wb") as file:
            np.savez(
                file,
                features=rows,
                images=np.array(images, dtype=np.str_),
                names=np.array(names, dtype=np.str_),
                errors=np.array([reason or "" for reason in reasons], dtype=np.str_),
            )
        return
    table = [
        [image, *map(number, row), reason]
        for image, row, reason in zip(images, rows.tolist(), reasons, strict=True)
    ]
    write_table(output, ["image", *names, "error"], table)
