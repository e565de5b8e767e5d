"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH",
        help="Pictures, folders, patterns such as 'a/*.jpg', or - for a list on stdin.",
        show_default=False,
    ),
]
Model = Annotated[
    str,
    typer.Option("--model", "-m", metavar="FILE", help="A model that 'fit' made."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the output.")]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to stdout.")]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive/--no-recursive", help="Look in subfolders, too (default).", show_default=False
    ),
]
Null = Annotated[bool, typer.Option("--null", "-0", help="The list on stdin is separated by NUL.")]
Progress = Annotated[
    bool,
    typer.Option("--progress/--no-progress", help="On a terminal (default).", show_default=False),
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, metavar="N", help="Pictures computed at a time."),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", help="cpu, cuda, mps; else the best there is."),
]
Cache = Annotated[
    str | None,
    typer.Option("--cache", metavar="FILE", help="Keep features here for the next time."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of all that is drawn.")]
# Told of once, in the help of the command as a whole.
Debug = Annotated[bool, typer.Option("--debug", hidden=True)]

Images = Annotated[
    Path, typer.Option("--images", metavar="DIR", help="The folder with the pictures.")
]
Scores = Annotated[
    Path, typer.Option("--scores", metavar="FILE", help="The table of scores, .csv or .tsv.")
]
ImageColumn = Annotated[
    str, typer.Option("--image-column", metavar="NAME", help="Its column of file names.")
]
ScoreColumn = Annotated[
    str, typer.Option("--score-column", metavar="NAME", help="Its column of scores.")
]
GroupColumn = Annotated[
    str | None,
    typer.Option("--group-column", metavar="NAME", help="Its column of what belongs together."),
]
Backbone = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME",
        help="The network; 'models' lists them. [default: efficientnet_lite0]",
        show_default=False,
    ),
]
Embedding = Annotated[
    str | None,
    typer.Option(
        "--embedding",
        metavar="NAME",
        help="Add features from this joint space of pictures and captions.",
    ),
]
