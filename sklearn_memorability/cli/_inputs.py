"""What commands work on: images, tables of scores, models and transformers."""

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from sklearn.pipeline import FeatureUnion

from sklearn_memorability._utils._estimators import parts_of
from sklearn_memorability.datasets import load_image_folder
from sklearn_memorability.datasets._tables import read_counts, read_scores, read_table
from sklearn_memorability.features import CaptionEmbedding, ImageFeatures
from sklearn_memorability.images import list_images
from sklearn_memorability.images._collect import only_images
from sklearn_memorability.images._read import suffixes
from sklearn_memorability.metrics import memorability_score, spearman_score, split_half_consistency
from sklearn_memorability.persistence import load

_RANGE = "--score-range"


def find_images(paths: Sequence[str], recursive: bool) -> list[str]:
    """List the images that paths stand for, each once, in their order.

    A file that is named counts whatever it is called; whether it can be read shows later.
    """
    images: dict[str, None] = {}
    for path in _with_stdin(paths):
        images.update(dict.fromkeys(_images_of(path, recursive)))
    if not images:
        raise typer.BadParameter("stdin names no image.", param_hint="PATH")
    return list(images)


def _with_stdin(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if path != "-":
            yield path
            continue
        lines = sys.stdin.buffer.read().splitlines()
        yield from (os.fsdecode(line) for line in lines if line)


def _images_of(path: str, recursive: bool) -> list[str]:
    """Return the images of a file, a folder, or a pattern that no shell has expanded."""
    if os.path.isdir(path):
        images = [os.fspath(image) for image in list_images(path, recursive=recursive)]
        if not images:
            raise typer.BadParameter(f"{path}: the folder holds no image.", param_hint="PATH")
        return images
    # A file may have brackets in its name.
    if os.path.lexists(path) or not glob.has_magic(path):
        return [path]
    matches = sorted(glob.glob(path, recursive=True))
    files = [match for match in matches if not os.path.isdir(match)]
    known = any(os.path.splitext(file)[1].lower() in suffixes() for file in files)
    images = only_images(files, path) if known else files
    for match in matches:
        if os.path.isdir(match):
            images += [os.fspath(image) for image in list_images(match, recursive=recursive)]
    if not images:
        raise typer.BadParameter(f"{path}: no image matches the pattern.", param_hint="PATH")
    return list(dict.fromkeys(images))


def load_scored(
    folder: Path,
    scores: Path,
    image_column: str,
    score_column: str,
    group_column: str | None,
    score_range: tuple[float, float],
    hits: str | None = None,
    misses: str | None = None,
) -> Any:
    """Load a folder of images and their scores, or counts, as ``load_image_folder``."""
    low, high = score_range
    if low >= high:
        raise typer.BadParameter(f"{low:g} {high:g}: LOW must be below HIGH.", param_hint=_RANGE)
    wanted = {"--image-column": image_column, "--group-column": group_column}
    if (hits is None) != (misses is None):
        raise typer.BadParameter("--hits and --misses go together.", param_hint="--hits")
    if hits is None or misses is None:
        table = read_columns(scores, {**wanted, "--score-column": score_column})
    else:
        table = read_columns(scores, {**wanted, "--hits": hits, "--misses": misses})
        counts = [read_counts(table[name], name) for name in (hits, misses)]
        table[score_column] = list(memorability_score(*counts))
    read_scores(table[score_column], score_column, None)
    try:
        read_scores(table[score_column], score_column, score_range)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=_RANGE) from error
    return load_image_folder(
        folder,
        table,
        image_column=image_column,
        score_column=score_column,
        group_column=group_column,
        score_range=score_range,
    )


def agreement(scores: Path, seed: int) -> float | None:
    """Return how well two halves of people agree, by a table's columns; None if it can't tell."""
    table = read_table(scores)

    def numbers(name: str) -> Any:
        return read_scores(table[name], name, None)

    if {"half1", "half2"} <= table.keys():
        return spearman_score(numbers("half1"), numbers("half2"))
    if "hits" not in table or not {"misses", "responses"} & table.keys():
        return None
    hits = numbers("hits")
    counts = {"hits": hits}
    counts["misses"] = numbers("misses") if "misses" in table else numbers("responses") - hits
    correction = "none"
    if {"false_alarms", "correct_rejections"} <= table.keys():
        counts |= {name: numbers(name) for name in ("false_alarms", "correct_rejections")}
        correction = "difference"
    return split_half_consistency(**counts, correction=correction, random_state=seed).consistency


def read_columns(scores: Path, columns: dict[str, str | None]) -> dict[str, list[Any]]:
    """Read a table of scores that has these columns, each by the option that names it."""
    table = read_table(scores)
    for option, column in columns.items():
        if column is not None and column not in table:
            hint = ""
            if option == "--score-column" and {"hits", "misses"} <= {c.lower() for c in table}:
                hint = " For scores of counts, 'fit' has --hits and --misses."
            raise typer.BadParameter(
                f"{column}: {str(scores)!r} has no such column; it has "
                f"{', '.join(map(repr, table))}.{hint}",
                param_hint=option,
            )
    return table


def open_model(name: str, batch_size: int | None, device: str | None, cache: str | None) -> Any:
    """Load a model that takes images, and set how it reads them."""
    try:
        model = load(name, device=device)
    except FileNotFoundError as error:
        hint = "'sklearn-memorability fit' makes files, 'sklearn-memorability models' lists names."
        raise typer.BadParameter(f"{name}: {error} {hint}", param_hint="--model") from error
    transformers = image_transformers(model)
    if not transformers:
        raise typer.BadParameter(
            f"{name}: this {type(model).__name__} takes features, not images. Save it as a "
            "Pipeline whose first step is ImageFeatures.",
            param_hint="--model",
        )
    for transformer in transformers:
        transformer.set_params(verbose=0, **given(batch_size=batch_size, cache=cache))
    return model


def make_transformer(backbone: str | None, embedding: str | None, **settings: Any) -> Any:
    """Return the transformer from images to features that the options ask for."""
    if embedding is None:
        return ImageFeatures(**given(backbone=backbone), **settings)
    if backbone is None:
        return CaptionEmbedding(embedding, with_cnn=True, **settings)
    cnn = ImageFeatures(backbone, **settings)
    return FeatureUnion([("cnn", cnn), ("ic", CaptionEmbedding(embedding, **settings))])


def image_transformers(model: Any) -> list[Any]:
    """Return the transformers inside a model that read images."""
    return [part for part in parts_of(model) if hasattr(part, "on_error")]


def given(**settings: Any) -> dict[str, Any]:
    """Return the settings that are not None."""
    return {name: value for name, value in settings.items() if value is not None}
