"""Which types a file may be made of, in which kind of node of its structure."""

from collections.abc import Sequence
from typing import Any

# Types of this package that stand in a structure. Networks are not among them: their
# weights are tensors, and the networks are built here.
OWN_TYPES = frozenset(
    {
        "sklearn_memorability.captions._visual_semantic.VisualSemanticEmbedding",
        "sklearn_memorability.features._caption_embedding.CaptionEmbedding",
        "sklearn_memorability.features._image_features.ImageFeatures",
        "sklearn_memorability.features._image_features.VGGFeatures",
        "sklearn_memorability.features._networks.Recipe",
        "sklearn_memorability.pipelines._scaler.IncrementalScaler",
        "sklearn_memorability.regression._balanced_quantile.BalancedQuantileClassifierRegressor",
        "sklearn_memorability.regression._distribution.ClassDistributions",
        "sklearn_memorability.regression._linear_path.Ridge",
    }
)

# What skops leaves to its caller. The nodes of a Tree are checked once it is built.
_OTHER_TYPES = frozenset({"numpy.dtype", "sklearn.tree._tree.Tree", "sklearn.utils._bunch.Bunch"})

# The kinds of node that a structure may have, with the types that each may build; None
# leaves the choice among scikit-learn's and NumPy's types to skops.
_KINDS: dict[str, frozenset[str] | None] = {
    "JsonNode": frozenset({"builtins.str"}),
    "DictNode": frozenset(
        {"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"}
    ),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SetNode": frozenset({"builtins.set"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
    "NdArrayNode": None,
    "LossNode": None,
    "TypeNode": None,
    "FunctionNode": None,
    "ObjectNode": None,
}
# A class of the user's own may also say how it is built.
_KINDS_OF_USERS = frozenset({"ConstructorFromReduceNode"})


def names_of(trusted: Sequence[str | type] | None) -> frozenset[str]:
    """Return the full names of the types that a user trusts.

    Raises
    ------
    TypeError
        If it is not a list of names and types.
    """
    if trusted is None:
        return frozenset()
    if isinstance(trusted, str | bool) or not all(
        isinstance(t, str) or hasattr(t, "__qualname__") for t in trusted
    ):
        raise TypeError(f"trusted={trusted!r} must be a list of types or of their full names.")
    return frozenset(t if isinstance(t, str) else f"{t.__module__}.{t.__name__}" for t in trusted)


def default_types() -> frozenset[str]:
    """Return the names of the types trusted beyond those that skops trusts itself."""
    return OWN_TYPES | _OTHER_TYPES


def refusal(node: dict[str, Any], trusted: frozenset[str]) -> str | None:
    """Return why a node of a structure may not be built, or None.

    Parameters
    ----------
    node : dict
        The node, with its kind (``__loader__``) and the name of its type.
    trusted : frozenset of str
        The names that the user trusts.

    Returns
    -------
    str or None
    """
    kind, module, name = (node.get(key) for key in ("__loader__", "__module__", "__class__"))
    if not (isinstance(kind, str) and isinstance(module, str) and isinstance(name, str)):
        return "a node of its structure says no type."
    full = f"{module}.{name}"
    if kind in _KINDS_OF_USERS and full in trusted:
        return None
    if kind not in _KINDS:
        return f"{full!r:.120} would be built by {kind!r:.40}, which no model needs."
    allowed = _KINDS[kind]
    if allowed is not None and full not in allowed:
        return f"{full!r:.120} is no type for {kind}."
    return None
