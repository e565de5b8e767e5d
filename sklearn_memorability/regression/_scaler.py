"""scikit-learn's StandardScaler in less memory."""

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from sklearn_memorability.regression._rows import refuse_bfloat16

_ROWS_AT_A_TIME = 4096


class BatchedScaler(StandardScaler):
    """StandardScaler that is fitted on some rows at a time.

    scikit-learn's own ``fit`` copies all rows in double precision: it takes 2.25 times the memory
    of features in single precision, beyond them.
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Compute the mean and the standard deviation, as StandardScaler does."""
        refuse_bfloat16(X)
        if not isinstance(X, np.ndarray) or sample_weight is not None:
            return super().fit(X, y, sample_weight)
        self._reset()
        for rows in gen_batches(max(len(X), 1), _ROWS_AT_A_TIME):
            self.partial_fit(X[rows])
        return self
