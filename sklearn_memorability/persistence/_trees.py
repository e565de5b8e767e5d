"""Decision trees from files: whether their nodes point where nodes may."""

from typing import Any

import numpy as np
from sklearn.tree._tree import Tree


def check_trees(estimator: Any) -> None:
    """Check the nodes of a decision tree, or that the trees of an ensemble fit each other.

    scikit-learn follows the indices in a tree without looking at them, so those of a
    file could lead anywhere in memory, or in a circle.

    Parameters
    ----------
    estimator : estimator
        Whatever was built from the file.

    Raises
    ------
    ValueError
        If a tree is not one that could have been grown.
    """
    tree = getattr(estimator, "tree_", None)
    if isinstance(tree, Tree):
        _check_tree(tree, getattr(estimator, "n_features_in_", None))
    members = getattr(estimator, "estimators_", None)
    if isinstance(members, list | np.ndarray):
        grown = [getattr(member, "tree_", None) for member in np.ravel(np.array(members, object))]
        if len({t.n_features for t in grown if isinstance(t, Tree)}) > 1:
            raise ValueError("the trees of an ensemble take different numbers of features.")


def _check_tree(tree: Tree, n_features: Any) -> None:
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    places = np.arange(tree.node_count)
    inner = left != -1
    # A node is grown before its children, so every way leads on to the end.
    fits = (
        tree.node_count > 0
        and tree.n_features == n_features
        and all(
            (child[inner] > places[inner]).all() and (child[inner] < tree.node_count).all()
            for child in (left, right)
        )
        and ((feature[inner] >= 0) & (feature[inner] < tree.n_features)).all()
    )
    if not fits:
        raise ValueError("the nodes of a decision tree in it point to where there is nothing.")
