"""Reading MATLAB's files, in which many sets are released."""

import os
from pathlib import Path
from typing import Any

import scipy.io


def read_matlab(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file.

    Parameters
    ----------
    path : pathlib.Path
        The file, of version 4 to 7.2.

    Returns
    -------
    dict of str to numpy.ndarray or scalar
        Without dimensions of length one; structures are structured arrays.

    Raises
    ------
    ValueError
        If it is no such file or damaged.
    """
    try:
        variables = scipy.io.loadmat(path, squeeze_me=True)
    # SciPy raises whatever a damaged file leads it to: zlib.error, OSError, TypeError, ...
    except Exception as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a MATLAB file: {error}") from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}
