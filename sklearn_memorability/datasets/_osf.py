"""Files of a project on the Open Science Framework, found by their names."""

from typing import Any

API = "https://api.osf.io/v2"

_TIMEOUT = (15.0, 60.0)  # seconds, to connect and to read
_MOST_PAGES = 1000
_PASSING = (429, 500, 502, 503, 504)


def osf_files(node: str, *, n_retries: int = 3, delay: float = 1.0) -> dict[str, dict[str, Any]]:
    """List the files of a project's storage, those in folders included.

    Parameters
    ----------
    node : str
        The project's five characters, as in ``https://osf.io/<node>``.
    n_retries : int, default=3
        How often to try again after a broken connection or passing trouble.
    delay : float, default=1.0
        Seconds to wait before that, doubled each time.

    Returns
    -------
    dict of str to dict
        By file name: ``url``, ``known_hash`` (as pooch writes it) and ``size``, the
        latter two None where the service doesn't tell. Of files of the same name, the one
        that is listed first.

    Raises
    ------
    OSError
        If the service can't be reached or answers otherwise than documented.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    retries = Retry(n_retries, backoff_factor=delay, status_forcelist=_PASSING)
    found: dict[str, dict[str, Any]] = {}
    pages = [f"{API}/nodes/{node}/files/osfstorage/?page[size]=100"]
    with requests.Session() as session:
        session.mount(API, HTTPAdapter(max_retries=retries))
        for _ in range(_MOST_PAGES):
            if not pages:
                return found
            response = session.get(pages.pop(0), timeout=_TIMEOUT)
            response.raise_for_status()
            try:
                page = response.json()
                for entry in page["data"]:
                    if entry["attributes"]["kind"] == "folder":
                        inner = entry["relationships"]["files"]["links"]["related"]["href"]
                        pages.append(_address(inner))
                    else:
                        found.setdefault(entry["attributes"]["name"], _described(entry))
                if page["links"].get("next"):
                    pages.insert(0, _address(page["links"]["next"]))
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
                raise OSError(
                    f"The list of the files of https://osf.io/{node} can't be read: {error!r}."
                ) from error
    raise OSError(f"The list of the files of https://osf.io/{node} doesn't end.")


def _address(page: Any) -> str:
    """Return the address of a further page, which must be the service's own."""
    if not (isinstance(page, str) and page.startswith(f"{API}/")):
        raise ValueError(f"{page!r:.200} is no page of {API}")
    return page


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    attributes = entry["attributes"]
    name, url, size = attributes["name"], entry["links"]["download"], attributes.get("size")
    if not (isinstance(name, str) and isinstance(url, str) and isinstance(size, int | None)):
        raise ValueError(f"{name!r:.200} is not described as a file is")
    hashes = (attributes.get("extra") or {}).get("hashes") or {}
    known = [f"{kind}:{hashes[kind]}" for kind in ("sha256", "md5") if hashes.get(kind)]
    return {"url": url, "known_hash": known[0] if known else None, "size": size}
