"""scikit-learn's StandardScaler, for features on disk too."""

from typing import Any, Self

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearn_memorability._rows import StoredFeatures, as_stored


class IncrementalScaler(StandardScaler):
    """StandardScaler that reads features on disk block by block.

    Of arrays in memory it makes what :class:`~sklearn.preprocessing.StandardScaler`
    makes of them. :class:`~sklearn_memorability.features.StoredFeatures`, a
    ``numpy.memmap`` and a ``zarr.Array`` may be larger than memory: ``fit`` reads them
    once, in blocks, and ``transform`` returns
    :class:`~sklearn_memorability.features.StoredFeatures` that are scaled whenever they
    are read.

    Parameters
    ----------
    copy : bool, default=True
        Whether to copy an array in memory before it is scaled; features on disk are never
        changed.
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation.

    Attributes
    ----------
    mean_, var_, scale_ : numpy.ndarray of shape (n_features,) or None
        Mean, variance and what is divided by, as of StandardScaler.
    n_samples_seen_ : int or numpy.ndarray of shape (n_features,)
        How many rows were seen.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : numpy.ndarray of shape (n_features_in_,)
        Names of the features, where ``X`` had names that are all strings.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : What it is in memory.

    Notes
    -----
    A container of ``set_output`` would hold all rows in memory, so transforming features
    on disk with ``set_output(transform="pandas")`` is an error.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn_memorability.features import StoredFeatures
    >>> from sklearn_memorability.pipelines import IncrementalScaler
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/features.npy", np.array([[1.0, 0.0], [3.0, 8.0]]))
    ...     X = IncrementalScaler().fit_transform(StoredFeatures(f"{folder}/features.npy"))
    ...     np.asarray(X)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go on computing mean and standard deviation with more rows.

        Parameters
        ----------
        X : array-like or StoredFeatures of shape (n_samples, n_features)
            The rows.
        y : None
            Not used.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row.

        Returns
        -------
        IncrementalScaler
            Itself, fitted.
        """
        stored = as_stored(X)
        if stored is None or len(stored) == 0:
            return super().partial_fit(X, y, sample_weight)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, stored)
        for rows, block in stored.blocks(exact=True):
            super().partial_fit(
                block, sample_weight=None if sample_weight is None else sample_weight[rows]
            )
        return self

    def transform(self, X: Any, copy: bool | None = None) -> np.ndarray | StoredFeatures:
        """Scale rows.

        Parameters
        ----------
        X : array-like or StoredFeatures of shape (n_samples, n_features)
            The rows.
        copy : bool, optional
            In place of the parameter ``copy``.

        Returns
        -------
        numpy.ndarray or StoredFeatures of shape (n_samples, n_features)
            Features on disk are read, and scaled, only when they are used.

        Raises
        ------
        ValueError
            If features on disk are to become a table in memory by ``set_output``.
        """
        stored = as_stored(X)
        if stored is None or len(stored) == 0:
            return super().transform(X, copy)
        check_is_fitted(self)
        validate_data(self, stored, reset=False, skip_check_array=True)
        container = _get_output_config("transform", self)["dense"]
        if container != "default":
            raise ValueError(
                f"set_output(transform={container!r}) would load all of {stored!r}. Use "
                "set_output(transform='default'), or load it yourself: np.asarray(X)."
            )
        return stored.scaled(
            self.mean_ if self.with_mean else None, self.scale_ if self.with_std else None
        )
