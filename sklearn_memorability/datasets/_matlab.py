"""Reading MATLAB's files, in which many sets are released."""

import io
import os
from pathlib import Path
from typing import Any

import scipy.io

from sklearn_memorability.datasets._matlab_check import check_matlab


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
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file or damaged.
    """
    content = path.read_bytes()
    try:
        check_matlab(content)
        variables = scipy.io.loadmat(io.BytesIO(content), squeeze_me=True)
    # SciPy raises whatever a damaged file leads it to: zlib.error, OSError, TypeError, ...
    except Exception as error:
        raise ValueError(f"{os.fspath(path)!r} can't be read as a MATLAB file: {error}") from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}
