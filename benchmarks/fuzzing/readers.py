"""All readers of files and texts in the package."""

from fuzzing.files import FILES
from fuzzing.reader import Reader
from fuzzing.shown import SHOWN
from fuzzing.stores import STORES
from fuzzing.tables import TABLES

READERS: list[Reader] = [*FILES, *STORES, *TABLES, *SHOWN]
