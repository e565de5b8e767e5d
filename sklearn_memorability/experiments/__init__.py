"""The paper's experiments: Tables 1 to 3, as functions that return a table."""

from sklearn_memorability.experiments._figures import figure3, figure4
from sklearn_memorability.experiments._table1 import table1
from sklearn_memorability.experiments._transfer import table2, table3

__all__ = ["figure3", "figure4", "table1", "table2", "table3"]
