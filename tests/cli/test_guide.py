"""The guide to the command names commands and options that there are."""

import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "command.md").read_text(encoding="utf-8")
LINES = re.findall(
    r"sklearn-memorability ([a-z]+)((?: [^|>\n]*)?)",
    "".join(re.findall(r"```(?:bash|console)\n.*?```", GUIDE, re.DOTALL)),
)


def test_every_command_is_shown():
    commands = {"predict", "fit", "evaluate", "extract", "report", "models", "tables"}
    assert {command for command, _ in LINES} == commands


@pytest.mark.parametrize(("command", "rest"), [line for line in LINES if line[0] != "tables"])
def test_options_exist(run, command, rest):
    options = set(re.findall(r"(?<!\S)(--[a-z-]+|-[a-z0])(?!\S)", rest.partition(" -- ")[0]))
    shown = run(command, "--help").out
    assert {option for option in options if option not in shown} == set()
