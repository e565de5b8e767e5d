"""What can be chosen, listed."""

import json
import re
import sys

from sklearn_memorability.persistence import read_facts


def test_all_that_can_be_chosen_is_listed_within_80_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = run("models")
    assert (done.code, done.err) == (0, "")
    for name in ("efficientnet_lite0", "vgg16", "timm:NAME", "flickr8k", "for --model"):
        assert name in done.out
    for row in ("vitmem +MIT +343 MB", "memcoach +Apache-2.0 +3.5 GB", "resmem +non-commercial"):
        assert re.search(row, done.out)
    assert re.search(r"Spearman +embedded +vitmem +memcoach +resmem", done.out)
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
    ready = {row["name"]: row for row in document["ready_models"]}
    assert ready["embedded"]["weights"] == "here"
    assert ready["embedded"]["measured"] == read_facts("embedded").get("measured", {})
    assert ready["resmem"].items() >= read_facts("resmem").items()
    monkeypatch.setenv("TORCH_HOME", "nowhere")
    monkeypatch.setitem(sys.modules, "resmem", None)
    monkeypatch.setitem(sys.modules, "timm", None)
    ready = {row["name"]: row for row in json.loads(run("models", "--json").out)["ready_models"]}
    assert ready["memcoach"]["weights"] == "downloaded at first use"
    assert ready["resmem"]["weights"] == "pip install resmem"
    assert ready["vitmem"]["weights"] == "pip install 'sklearn-memorability[timm]'"
    networks = {row["name"]: row for row in json.loads(run("models", "--json").out)["networks"]}
    assert networks["timm:NAME"]["weights"] == "pip install 'sklearn-memorability[timm]'"
    assert "[timm]" in run("models").out
