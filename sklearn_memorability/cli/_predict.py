"""``predict``, ``evaluate`` and ``report``: what a model says of images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from sklearn_memorability.cli._tables import check_output, csv_text, number, write_table

if TYPE_CHECKING:
    import numpy as np

# Large enough to keep the network busy, small enough that Ctrl-C costs seconds.
_BLOCK = 128


def predict(
    paths: options.Paths,
    model: options.Model = "embedded",
    output: options.OptionalOutput = None,
    json: options.Json = False,
    classes: Annotated[
        bool,
        typer.Option(
            "--classes/--no-classes",
            help="Include the probability of each class (default).",
            show_default=False,
        ),
    ] = True,
    recursive: options.Recursive = True,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
) -> int:
    """Score images: a table with one row each, as CSV on stdout.

    Columns: image, score, the interval of nine in ten true scores (q05, q95), the
    probabilities of the model's classes (p1, p2, ...), and the error of an image that
    can't be read. A file's name ends in .csv or .json.
    """
    check_output(output, (".csv", ".json"), force)
    from sklearn_memorability.cli._inputs import find_images, open_model

    images = find_images(paths, recursive)
    opened = open_model(model, batch_size, device, cache)
    columns = _columns(opened, classes)
    header = ["image", *columns, "error"]
    is_streamed = output is None and not json
    # Rows on a terminal show how far it is, and a bar would get into their way.
    bar = shows_progress(progress) and not is_streamed
    if is_streamed:
        emit(csv_text([header]))
    rows: list[list[Any]] = []
    failures: dict[str, str] = {}
    stopped_by: BaseException | None = None
    try:
        for block, values, errors in _predict_blocks(opened, images, bar):
            new = [
                [name, *map(number, row[: len(columns)]), errors.get(name)]
                for name, row in zip(block, values.tolist(), strict=True)
            ]
            rows += new
            failures |= errors
            if is_streamed:
                emit(csv_text(new))
    except typer.Exit:  # the reader of stdout is gone
        raise
    except (KeyboardInterrupt, Exception) as error:
        # What is done may have taken hours; it is written all the same.
        if not rows:
            raise
        stopped_by = error
    list_failures(failures)
    if output is not None:
        write_table(output, header, rows)
        say(f"Wrote {output}: {_count(len(rows))}, {len(failures)} failed.")
    if json:
        document = {
            "model": model,
            "n_images": len(images),
            "n_failed": len(failures),
            "interrupted": stopped_by is not None,
            "images": [dict(zip(header, row, strict=True)) for row in rows],
        }
        emit(as_json(document))
    if stopped_by is not None:
        say(f"{len(rows)} of {_count(len(images))} done.")
        raise stopped_by
    if len(failures) == len(rows):
        say("no image could be scored.", "error")
        return REFUSED
    return SOME_FAILED if failures else OK


def evaluate(
    images: options.Images,
    scores: options.Scores,
    model: options.Model = "embedded",
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    group_column: options.GroupColumn = None,
    score_range: options.ScoreRange = None,
    consistency: Annotated[
        float | None,
        typer.Option(
            "--consistency",
            min=0,
            max=1,
            metavar="R",
            help="Correlation of the scores from two halves of people.",
        ),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
) -> int:
    """Measure how well a model fits images with scores.

    Spearman's correlation with its bootstrap interval, the mean squared error, the
    bias, and the spread of predicted and true scores. On images that the model was
    fitted to, the figures are too good.

    The ceiling is what people's agreement lets a model reach. It needs --consistency,
    or columns half1 and half2 (scores from two halves of people), or hits with misses
    or responses (and false_alarms with correct_rejections).
    """
    import numpy as np

    from sklearn_memorability._utils._estimators import steps_of
    from sklearn_memorability.cli._inputs import agreement, load_scored, open_model
    from sklearn_memorability.metrics import spearman_interval, spearman_score
    from sklearn_memorability.metrics._consistency import reliability_of

    opened = open_model(model, batch_size, device, cache)
    own_range = getattr(steps_of(opened)[-1][1], "score_range_", None)
    data = load_scored(
        images, scores, image_column, score_column, group_column, score_range or own_range or (0, 1)
    )
    agreed = agreement(scores, seed) if consistency is None else consistency
    ceiling = None if agreed is None else reliability_of(agreed) ** 0.5
    names = [str(path) for path in data.images]
    predicted: list[float] = []
    failures: dict[str, str] = {}
    for _, values, errors in _predict_blocks(opened, names, shows_progress(progress)):
        predicted += values[:, 0].tolist()
        failures |= errors
    list_failures(failures)
    good = np.array([name not in failures for name in names])
    if not good.any():
        raise ValueError(f"None of the images in {str(images)!r} could be read.")
    found, true = np.array(predicted)[good], data.target[good]
    groups = None if data.groups is None else data.groups[good]
    spearman = spearman_score(true, found)
    low, high = spearman_interval(true, found, groups=groups, random_state=seed)
    mse, bias = float(((found - true) ** 2).mean()), float((found - true).mean())
    spread = float(found.std()), float(true.std())
    if json:
        document = {
            "model": model,
            "spearman": number(spearman),
            "interval": [number(low), number(high)],
            "consistency": None if agreed is None else number(agreed),
            "ceiling": None if ceiling is None else number(ceiling),
            "mse": number(mse),
            "bias": number(bias),
            "spread": [*map(number, spread)],
            "n_images": len(true),
            "n_failed": len(failures),
        }
        emit(as_json(document))
    else:
        by = "equal images" if group_column is None else f"groups of {group_column!r}"
        drawn = "images" if groups is None else by
        failed = f"  ({len(failures)} failed)" if failures else ""
        reach = ""
        if ceiling is not None:
            reach = f"ceiling   {ceiling:.3f}  (two halves of people agree at {agreed:.3f})\n"
        emit(
            f"Spearman  {spearman:.3f}  (95 % interval {low:.3f} to {high:.3f}, {drawn} redrawn)\n"
            f"{reach}"
            f"MSE       {mse:.4g}\n"
            f"bias      {bias:+.4g}  (predicted less true)\n"
            f"spread    {spread[0]:.4g}  (standard deviation; that of true scores is "
            f"{spread[1]:.4g})\n"
            f"images    {len(true)}{failed}\n"
        )
    return SOME_FAILED if failures else OK


def report(
    paths: options.Paths,
    model: options.Model = "embedded",
    scores: options.OptionalScores = None,
    output: options.Output = Path("report.html"),
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    recursive: options.Recursive = True,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
) -> int:
    """Write a page that shows images with their scores.

    With a table of true scores, only the images in it are shown. Its names are
    relative to a folder among the paths, or the ends of the images' paths.
    """
    check_output(output, (".html", ".htm"), force)
    from sklearn_memorability.cli._inputs import find_images, open_model
    from sklearn_memorability.features._extractor import unreadable_images
    from sklearn_memorability.inspection._report import write_report

    images = find_images(paths, recursive)
    true = None
    if scores is not None:
        images, true = _with_scores(images, scores, image_column, score_column)
    opened = open_model(model, batch_size, device, cache)
    with unreadable_images() as errors:
        write_report(
            opened,
            images,
            true,
            output,
            on_error="skip",
            verbose=int(shows_progress(progress)),
        )
    list_failures({images[row]: error.reason for row, error in errors.items()})
    say(f"Wrote {output}: {_count(len(images) - len(errors))}, {len(errors)} failed.")
    return SOME_FAILED if errors else OK


def _columns(model: Any, classes: bool) -> list[str]:
    """Name what is known of each image: its score, an interval, class probabilities."""
    from sklearn_memorability._utils._estimators import steps_of

    head = steps_of(model)[-1][1]
    if not hasattr(head, "predict_class_proba"):
        return ["score"]
    n_classes = len(head.class_values_) if classes else 0
    return ["score", "q05", "q95", *(f"p{k}" for k in range(1, n_classes + 1))]


def _predict_blocks(
    model: Any, images: Sequence[str], shows_bar: bool
) -> Iterator[tuple[Sequence[str], "np.ndarray", dict[str, str]]]:
    """Yield images, a row of predictions for each, and the errors of those that are bad."""
    import numpy as np
    from tqdm import tqdm

    from sklearn_memorability.inspection._unwrap import predict_images

    with tqdm(
        total=len(images), desc="Scoring", unit="image", leave=False, disable=not shows_bar
    ) as bar:
        for start in range(0, len(images), _BLOCK):
            block = images[start : start + _BLOCK]
            predicted = predict_images(model, block, (0.05, 0.95))
            columns = [predicted.score, predicted.quantiles, predicted.class_proba]
            values = np.column_stack([column for column in columns if column is not None])
            yield block, values, {block[error.row]: error.reason for error in predicted.errors}
            bar.update(len(block))


def _with_scores(
    images: list[str], scores: Path, image_column: str, score_column: str
) -> tuple[list[str], list[float]]:
    """Return the images that a table has scores of, and their scores."""
    from sklearn_memorability._utils._found import refuse
    from sklearn_memorability.cli._inputs import read_columns
    from sklearn_memorability.datasets._tables import read_scores

    table = read_columns(scores, {"--image-column": image_column, "--score-column": score_column})
    names = [PurePath(str(name).strip()).parts for name in table[image_column]]
    refuse(
        ("/".join(name) for name, count in Counter(names).items() if count > 1),
        f"Column {image_column!r} names images more than once",
    )
    score_of = dict(
        zip(names, read_scores(table[score_column], score_column, None).tolist(), strict=True)
    )
    depths = sorted({len(name) for name in names}, reverse=True)
    pairs = []
    for image in images:
        parts = PurePath(image).parts
        # The longest name that the path ends in says most.
        match = next((parts[-n:] for n in depths if parts[-n:] in score_of), None)
        if match is not None:
            pairs.append((image, score_of[match]))
    if not pairs:
        raise typer.BadParameter(
            f"{scores}: column {image_column!r} names none of the images, such as "
            f"{images[0]!r}; it has {'/'.join(names[0])!r}.",
            param_hint="--scores",
        )
    if len(pairs) < len(images):
        n_left = len(images) - len(pairs)
        say(f"{n_left} of {len(images)} images are not in {scores} and left out.", "warning")
    return [image for image, _ in pairs], [score for _, score in pairs]


def _count(n: int) -> str:
    return "1 image" if n == 1 else f"{n} images"
