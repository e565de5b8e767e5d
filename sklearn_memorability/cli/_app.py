"""The command's names and options; what they do is imported when it is asked for."""

import re
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sklearn_memorability.cli import _options as options
from sklearn_memorability.cli._choices import Kind

if TYPE_CHECKING:
    from sklearn_memorability.cli._pictures import Found

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine; 1 some pictures failed; 2 can't be done; 130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sklearn-memorability {installed_version('sklearn-memorability')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show it and exit."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")] = False,
) -> None:
    """Image memorability: pictures in, one score each out."""


@app.command()
def predict(
    paths: options.Paths,
    model: options.Model = "embedded",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write .csv, .json or .parquet, not to stdout."
        ),
    ] = None,
    as_json: options.Json = False,
    classes: Annotated[
        bool,
        typer.Option(
            "--classes/--no-classes",
            help="With each class's probability (default).",
            show_default=False,
        ),
    ] = True,
    recursive: options.Recursive = True,
    null: options.Null = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Score pictures: a table with a row each, as CSV on stdout.

    Columns: image, score, the interval that nine of ten scores lie in (q05, q95), the
    probabilities of the model's classes (p1, p2, ...), and the error of a picture that
    can't be read.
    """
    _check_output(output, (".csv", ".json", ".parquet"), force)
    pictures = _find(paths, recursive, null)
    from sklearn_memorability.cli import _predict

    raise typer.Exit(
        _predict.predict(
            pictures,
            model,
            output=output,
            as_json=as_json,
            classes=classes,
            progress=progress,
            batch_size=batch_size,
            device=device,
            cache=cache,
        )
    )


@app.command()
def fit(
    images: options.Images,
    scores: options.Scores,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The model's file.")
    ] = Path("model.skops"),
    kind: Annotated[
        Kind,
        typer.Option("--model", "-m", metavar="KIND", help=f"{', '.join(Kind)}."),
    ] = Kind.RECOMMENDED,
    backbone: options.Backbone = None,
    embedding: options.Embedding = None,
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    group_column: options.GroupColumn = None,
    score_range: Annotated[
        tuple[float, float],
        typer.Option(
            "--score-range",
            metavar="LOW HIGH",
            help="The least and the largest score there can be.",
        ),
    ] = (0.0, 1.0),
    cv: Annotated[
        int, typer.Option("--cv", min=0, metavar="N", help="Folds to measure it by; 0 for none.")
    ] = 5,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Fit a model to pictures with scores, measure it and save it.

    Its measure is the Spearman correlation on pictures that it was not fitted to: the
    mean over folds and its standard error. Pictures of one group stay in one fold.
    """
    _check_output(output, (".skops",), force)
    from sklearn_memorability.cli import _fit
    from sklearn_memorability.cli._scored import Columns

    raise typer.Exit(
        _fit.fit(
            images,
            scores,
            output,
            kind=kind,
            backbone=backbone,
            embedding=embedding,
            columns=Columns(image_column, score_column, group_column),
            score_range=score_range,
            cv=cv,
            seed=seed,
            as_json=as_json,
            progress=progress,
            **_given(batch_size=batch_size, device=device, cache=cache),
        )
    )


@app.command()
def evaluate(
    images: options.Images,
    scores: options.Scores,
    model: options.Model = "embedded",
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    group_column: options.GroupColumn = None,
    score_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--score-range", metavar="LOW HIGH", help="As in 'fit'; else the model's own."
        ),
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    debug: options.Debug = False,
) -> None:
    """Measure a model on other pictures with scores.

    Spearman's correlation with its bootstrap interval, the mean squared error, and the
    bias. Of pictures that the model was fitted to, the figures are too good.
    """
    from sklearn_memorability.cli import _evaluate
    from sklearn_memorability.cli._scored import Columns

    raise typer.Exit(
        _evaluate.evaluate(
            model,
            images,
            scores,
            columns=Columns(image_column, score_column, group_column),
            score_range=score_range,
            seed=seed,
            as_json=as_json,
            progress=progress,
            batch_size=batch_size,
            device=device,
            cache=cache,
        )
    )


@app.command()
def extract(
    paths: options.Paths,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .npz, .csv, .parquet, .npy or .zarr file."
        ),
    ],
    backbone: options.Backbone = None,
    embedding: options.Embedding = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="float32 (default), or float16 for half the room."),
    ] = None,
    chunk_rows: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Rows that are written together (default: 1024)."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Write the I-th (from 0) of N parts of a .zarr file: a job of many."
        ),
    ] = None,
    recursive: options.Recursive = True,
    null: options.Null = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Compute features of pictures: a row each.

    A .npz file has the arrays features, images, names (of the features) and errors.
    The row of a picture that can't be read is NaN there, and empty in a table.

    .npy and .zarr are for more rows than fit into memory: they are written as they are
    computed, and the same command goes on after an interruption. The names of the
    pictures are in a table beside them, NAME.images.csv. --dtype, --chunk-rows and
    --part are for them alone.
    """
    is_resumable = output.suffix.lower() in (".npy", ".zarr")
    stored = _given(dtype=dtype, chunk_rows=chunk_rows, part=_part(part))
    if not is_resumable:
        _check_output(output, (".npz", ".csv", ".parquet", ".npy", ".zarr"), force)
        if stored:
            option = next(iter(stored)).replace("_", "-")
            raise ValueError(f"--{option} is for an --output that ends in .npy or .zarr.")
    pictures = _find(paths, recursive, null)
    from sklearn_memorability.cli import _extract

    settings = {
        "backbone": backbone,
        "embedding": embedding,
        "progress": progress,
        **_given(batch_size=batch_size, device=device, cache=cache),
    }
    if is_resumable:
        code = _extract.extract_to_disk(
            pictures, output, overwrite=force, stored=stored, **settings
        )
    else:
        code = _extract.extract(pictures, output, **settings)
    raise typer.Exit(code)


@app.command()
def report(
    paths: options.Paths,
    model: options.Model = "embedded",
    scores: Annotated[
        Path | None,
        typer.Option("--scores", metavar="FILE", help="A table of true scores, .csv or .tsv."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")
    ] = Path("report.html"),
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="The page's title.")
    ] = None,
    image_column: options.ImageColumn = "image",
    score_column: options.ScoreColumn = "score",
    recursive: options.Recursive = True,
    null: options.Null = False,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    cache: options.Cache = None,
    progress: options.Progress = True,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Write a page that shows pictures with their scores.

    With a table of true scores, only the pictures in it are shown. Its names are
    relative to a folder among the paths, or the ends of the pictures' paths.
    """
    _check_output(output, (".html", ".htm"), force)
    pictures = _find(paths, recursive, null)
    from sklearn_memorability.cli import _report
    from sklearn_memorability.cli._scored import Columns

    raise typer.Exit(
        _report.report(
            pictures,
            model,
            output,
            scores=scores,
            columns=Columns(image_column, score_column),
            title=title,
            progress=progress,
            batch_size=batch_size,
            device=device,
            cache=cache,
        )
    )


@app.command()
def models(as_json: options.Json = False, debug: options.Debug = False) -> None:
    """List the networks, the joint spaces and the embedded model."""
    from sklearn_memorability.cli import _models

    raise typer.Exit(_models.models(as_json=as_json))


@app.command(
    context_settings={
        "allow_extra_args": True,
        "allow_interspersed_args": False,
        "ignore_unknown_options": True,
    }
)
def tables(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="table1, table2 or table3.")],
    debug: options.Debug = False,
) -> None:
    """Compute the paper's Tables 1 to 3.

    What follows the table's name are its own options; see 'tables table1 --help'.
    """
    from sklearn_memorability.experiments._command import main

    raise typer.Exit(main([table, *context.args]))


def _find(paths: list[str], recursive: bool, null: bool) -> list["Found"]:
    from sklearn_memorability.cli._pictures import find_pictures

    pictures = find_pictures(paths, recursive=recursive, null=null)
    if all(found.error for found in pictures):
        listed = "; ".join(f"{found.name}: {found.error}" for found in pictures[:3])
        raise ValueError(listed or "stdin names no picture.")
    return pictures


def _check_output(path: Path | None, suffixes: tuple[str, ...], force: bool) -> None:
    from sklearn_memorability.cli._tables import check_output

    check_output(path, suffixes, force)


def _part(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise ValueError(f"--part {text}: must be I/N, the I-th of N parts, from 0/N to N-1/N.")
    return int(found[1]), int(found[2])


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
