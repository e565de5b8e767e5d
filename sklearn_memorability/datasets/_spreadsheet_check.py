"""Whether a spreadsheet is as small as it looks, before its reader makes room for it.

The reader takes memory for all cells between the first and the last, which a few bytes can
place a million rows apart, and ends the process where there is none.
"""

import re
import zipfile
from pathlib import Path

# Far more than the 2,222 rows of faces take.
_LARGEST = 1 << 26
_MOST_CELLS = 5_000_000

_TAG = re.compile(rb"<(?:\w+:)?(row|c)\b([^>]*)>")
_PLACE = re.compile(rb"\br\s*=\s*[\"']\s*([A-Za-z]*)(\d+)")


def check_spreadsheet(path: Path) -> None:
    """Refuse a file of Excel's (.xlsx) that is large once it is read.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Raises
    ------
    ValueError
        If it is unpacked, or spread out, to more than any table of scores.
    zipfile.BadZipFile
        If it is no such file.
    """
    left = _LARGEST
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            with archive.open(info) as member:
                content = member.read(left + 1)
            left -= len(content)
            if left < 0:
                raise ValueError(f"it has more than {_LARGEST:,} bytes when it is unpacked.")
            rows, columns = _extent(content)
            if rows * columns > _MOST_CELLS:
                raise ValueError(f"{info.filename!r} has cells over {rows:,} x {columns:,} places.")


def _extent(sheet: bytes) -> tuple[int, int]:
    """Return the last row and the last column of a sheet; cells may say where they are."""
    row = column = rows = columns = 0
    for tag, attributes in _TAG.findall(sheet):
        place = _PLACE.search(attributes)
        if tag == b"row":
            row, column = row + 1, 0
        else:
            column += 1
        if place is not None:
            row = int(place[2][:9])
            column = _number(place[1]) if place[1] else column
        rows, columns = max(rows, row), max(columns, column)
    return rows, columns


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper()[:6]:
        number = 26 * number + letter - ord("A") + 1
    return number
