"""Data to learn and measure with: published sets, bundled ones, and a user's own folder."""

from sklearn_memorability.datasets._bainbridge import load_bainbridge
from sklearn_memorability.datasets._figrim import fetch_figrim, load_figrim
from sklearn_memorability.datasets._folder import load_image_folder
from sklearn_memorability.datasets._isola import fetch_isola, load_isola
from sklearn_memorability.datasets._lamem import fetch_lamem, load_lamem
from sklearn_memorability.datasets._lnsim import fetch_lnsim, load_lnsim
from sklearn_memorability.datasets._massvis import load_massvis
from sklearn_memorability.datasets._memcat import fetch_memcat, load_memcat
from sklearn_memorability.datasets._requested import load_dubey, load_iaps, load_interestingness
from sklearn_memorability.datasets._things import (
    fetch_things,
    load_things,
    load_things_concepts,
    load_things_photographs,
)

__all__ = [
    "fetch_figrim",
    "fetch_isola",
    "fetch_lamem",
    "fetch_lnsim",
    "fetch_memcat",
    "fetch_things",
    "load_bainbridge",
    "load_dubey",
    "load_figrim",
    "load_iaps",
    "load_image_folder",
    "load_interestingness",
    "load_isola",
    "load_lamem",
    "load_lnsim",
    "load_massvis",
    "load_memcat",
    "load_things",
    "load_things_concepts",
    "load_things_photographs",
]
