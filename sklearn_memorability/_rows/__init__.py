"""Rows of features on disk: read when they are needed, never all at once."""

from sklearn_memorability._rows._stored_features import StoredFeatures, as_stored

__all__ = ["StoredFeatures", "as_stored"]
