"""scikit-learn's StandardScaler in less memory."""

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches

from sklearn_memorability.regression._rows import refuse_bfloat16

_ROWS_AT_A_TIME = 4096
_UNITS_OF_THEIR_OWN = 30


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


class SpreadScaler(BatchedScaler):
    """Scaler that keeps a part of what features of one kind differ in spread.

    A network's features with a large spread say more about the scores than those with a small
    one. A feature's standard deviation becomes the square root of its ratio to the median one,
    between 1/2 and 2. Where spreads differ thirtyfold, features are not of one kind: each
    standard deviation becomes 1.
    """

    scale_: np.ndarray

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Compute the mean and the scale."""
        super().fit(X, y, sample_weight)
        spreads = self.scale_[self.var_ > 0]
        if len(spreads):
            low, median, high = np.quantile(spreads, [0.05, 0.5, 0.95])
            if high < _UNITS_OF_THEIR_OWN * low:
                self.scale_ = self.scale_ / np.clip(np.sqrt(self.scale_ / median), 0.5, 2)
        return self
