"""Every public name is documented as numpydoc asks, and is in the reference."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate

import sklearn_memorability

DOCS = Path(__file__).parents[1] / "docs"
ROOMS = sorted(
    name
    for name in sklearn_memorability.__all__
    if inspect.ismodule(getattr(sklearn_memorability, name))
)
# Asked of none: a "See Also" and a long text, which not every name has use for.
NOT_ASKED = {"SA01", "ES01"}


def _public():
    for room in ROOMS:
        module = importlib.import_module(f"sklearn_memorability.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                yield f"{room}.{name}", True
            elif inspect.isclass(thing):
                is_shown = not issubclass(thing, Exception | tuple)
                yield f"{room}.{name}", is_shown
                for member, value in vars(thing).items():
                    # scikit-learn writes those that set a metadata request.
                    written = re.fullmatch(r"set_\w+_request", member)
                    if not (member.startswith("_") or written) and inspect.isroutine(value):
                        yield f"{room}.{name}.{member}", False


@pytest.mark.parametrize(("name", "needs_example"), list(_public()))
def test_docstrings_are_numpydocs(name, needs_example):
    found = validate(f"sklearn_memorability.{name}")["errors"]
    # Methods, exceptions and records are shown where they are used.
    spared = NOT_ASKED | (set() if needs_example else {"EX01"})
    assert [f"{code}: {text}" for code, text in found if code not in spared] == []


def test_every_room_is_in_the_reference():
    # The site's build makes a page of each, with its __all__.
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^   ~sklearn_memorability\.(\w+)$", text, re.MULTILINE)) == ROOMS
