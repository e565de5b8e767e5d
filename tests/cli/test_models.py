"""What can be chosen, listed."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_networks_spaces_and_the_model_are_listed_within_80_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run("models")
    assert (done.code, done.err) == (0, "")
    for name in ("efficientnet_lite0", "vgg16", "timm:NAME", "flickr8k", "--model embedded"):
        assert name in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "\x1b" not in done.out


def test_json_tells_where_weights_come_from_and_how_to_get_what_is_missing(run, monkeypatch):
    document = json.loads(run("models", "--json").out)
    networks = {row["name"]: row for row in document["networks"]}
    assert networks["efficientnet_lite0"] == {
        "name": "efficientnet_lite0",
        "features": 1280,
        "weights": "installed",
    }
    assert networks["vgg16"]["features"] == 4096
    assert networks["vgg16"]["weights"] == "downloaded at first use"
    (space,) = document["joint_spaces"]
    assert space == {"name": "flickr8k", "features": 1024, "network": "efficientnet_lite0"}
    shown = document["embedded_model"]
    assert shown["fitted to"] == 946
    assert shown["network"] == "efficientnet_lite0"
    assert (ROOT / shown["card"]).is_file()
    monkeypatch.setitem(sys.modules, "timm", None)
    networks = {row["name"]: row for row in json.loads(run("models", "--json").out)["networks"]}
    assert networks["timm:NAME"]["weights"] == "pip install 'sklearn-memorability[timm]'"
    assert "[timm]" in run("models").out
