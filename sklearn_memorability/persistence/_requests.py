"""What an estimator asks of scikit-learn's metadata routing, as a dictionary."""

from typing import Any

from sklearn.utils._metadata_requests import MetadataRequest, MethodMetadataRequest

ATTRIBUTE = "_metadata_request"


def as_dict(request: Any) -> Any:
    """Return requests by method and name; without their owner, which holds them in turn."""
    return request._serialize() if isinstance(request, MetadataRequest) else request


def put_requests(estimator: Any) -> None:
    """Give an estimator the requests that are there as a dictionary.

    Raises
    ------
    ValueError
        If there is no such method or request.
    """
    if ATTRIBUTE not in vars(estimator):
        return
    requests = estimator.__dict__.pop(ATTRIBUTE)
    found = estimator.get_metadata_routing()
    for method, asked in requests.items():
        of_method = getattr(found, method, None)
        if not isinstance(of_method, MethodMetadataRequest):
            raise ValueError(f"{type(estimator).__name__} asks for metadata of {method!r:.40}.")
        for name, alias in asked.items():
            of_method.add_request(param=name, alias=alias)
    setattr(estimator, ATTRIBUTE, found)
