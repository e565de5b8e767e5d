"""The options of all commands; each is said once, here."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """The models that ``fit`` fits."""

    RECOMMENDED = "recommended"
    PAPER = "paper"
    SVR = "svr"
    TWO_BRANCH = "two-branch"


# Images.
Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="Images, folders, patterns such as 'a/*.jpg', or - for a list on stdin.",
        show_default=False,
    ),
]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive/--no-recursive",
        help="Look in subfolders too (default).",
        show_default=False,
    ),
]

# Images with scores.
_images = typer.Option("--images", metavar="DIR", help="Folder with the images.")
_scores = typer.Option("--scores", metavar="FILE", help="Table of true scores, .csv or .tsv.")
Images = Annotated[Path, _images]
Scores = Annotated[Path, _scores]
OptionalImages = Annotated[Path | None, _images]
OptionalScores = Annotated[Path | None, _scores]
ImageColumn = Annotated[
    str, typer.Option("--image-column", metavar="NAME", help="Column with file names.")
]
ScoreColumn = Annotated[
    str, typer.Option("--score-column", metavar="NAME", help="Column with scores.")
]
Hits = Annotated[
    str | None, typer.Option("--hits", metavar="NAME", help="Column with hits, instead of scores.")
]
Misses = Annotated[
    str | None, typer.Option("--misses", metavar="NAME", help="Column with misses, with --hits.")
]
GroupColumn = Annotated[
    str | None,
    typer.Option(
        "--group-column",
        metavar="NAME",
        help="Column with group labels; images of a group stay in one fold.",
    ),
]
ScoreRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--score-range",
        metavar="LOW HIGH",
        help="Least and largest possible score. [default: the model's own, or 0 1]",
        show_default=False,
    ),
]

# Models and features.
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A ready model ('models' lists them), a file that 'fit' has saved, or hf://USER/NAME.",
    ),
]
ModelKind = Annotated[
    Kind, typer.Option("--model", "-m", metavar="KIND", help=f"{', '.join(Kind)}.")
]
Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The network; 'models' lists them. [default: efficientnet_lite0; of 'fit' to fewer "
        "than 1000 images memorability, the embedded model's]",
        show_default=False,
    ),
]
Embedding = Annotated[
    str | None,
    typer.Option(
        "--embedding",
        metavar="NAME",
        help="Add features from this joint space of images and captions.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, metavar="N", help="Images per batch in the network."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="cpu, cuda or mps. [default: the best]"),
]
Cache = Annotated[
    str | None,
    typer.Option("--cache", metavar="FILE", help="File to keep features in for later runs."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Random seed.")]

# Output.
_output = typer.Option("--output", "-o", metavar="FILE", help="File to write.")
Output = Annotated[Path, _output]
OptionalOutput = Annotated[Path | None, _output]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the output file.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]
Progress = Annotated[
    bool,
    typer.Option(
        "--progress/--no-progress",
        help="Show progress on a terminal (default).",
        show_default=False,
    ),
]
