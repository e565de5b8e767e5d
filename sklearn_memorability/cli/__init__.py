"""The command ``sklearn-memorability``."""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments. None takes those of the process.

    Returns
    -------
    int
        The exit code: 0; 1 if some images failed; 2 if it can't be done as asked; 130 if
        it was interrupted; 141 if the reader of its output went away.

    Examples
    --------
    >>> from sklearn_memorability.cli import main
    >>> main(["predict", "--no-such-option"])
    2
    """
    try:
        from sklearn_memorability.cli._app import run
    except ImportError as error:
        if error.name not in {"rich", "typer"}:
            raise
        sys.stderr.write(
            f"error: the command needs the package {error.name!r}: "
            "pip install 'sklearn-memorability[cli]'\n"
        )
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return 130
    return run(sys.argv[1:] if argv is None else list(argv))
