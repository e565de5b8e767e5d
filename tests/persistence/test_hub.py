"""The Hugging Face Hub: a local server speaks its protocol to the true client."""

import base64
import hashlib
import http.server
import json
import sys
import threading

import numpy as np
import pytest
import skops.io
import yaml
from sklearn.datasets import load_sample_images

from sklearn_memorability import ImageFeatures
from sklearn_memorability.persistence import ModelCard, load, push_to_hub, read_facts
from sklearn_memorability.pipelines import mlp_regressor

CARD = ModelCard(title="Small", license="cc-by-4.0")
ANN = "Bearer hf_ann"


class Hub(http.server.BaseHTTPRequestHandler):
    """Private repositories: dicts of commits, each a dict of files."""

    def log_message(self, *arguments):
        pass

    def answer(self, content=b"", status=200, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_GET(self):
        if self.headers["Authorization"] != ANN:
            return self.answer(status=401, X_Error_Code="RepoNotFound")
        if "/resolve/" not in self.path:
            return self.answer({"id": "ann/small"})  # what older clients ask before they upload
        repo, _, file = self.path[1:].partition("/resolve/")
        commits, (revision, _, path) = self.server.repos.get(repo), file.partition("/")
        if not commits:
            return self.answer(status=401, X_Error_Code="RepoNotFound")
        commit = list(commits)[-1] if revision == "main" else revision
        content = commits.get(commit, {}).get(path)
        if content is None:
            return self.answer(status=404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit)
        self.server.served.append(path)
        etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=commit)

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        asked, *rest = [json.loads(line) for line in sent.splitlines()]
        address = f"http://{self.headers['Host']}"
        if self.headers["Authorization"] != ANN:
            return self.answer(status=401)
        if self.path == "/api/validate-yaml":
            return self.answer({"warnings": [], "errors": []})
        if self.path == "/api/repos/create":
            repo = f"{asked['organization']}/{asked['name']}"
            status = 409 if repo in self.server.repos else 200
            self.server.repos.setdefault(repo, {})
            return self.answer({"url": f"{address}/{repo}"}, status)
        if "/preupload/" in self.path:
            kind = {"uploadMode": "regular", "shouldIgnore": False}
            return self.answer({"files": [{"path": f["path"], **kind} for f in asked["files"]]})
        repo = "/".join(self.path.split("/")[3:5])
        commits = self.server.repos[repo]
        commit = hashlib.sha1(b"%d" % len(commits)).hexdigest()
        files = [line["value"] for line in rest]
        commits[commit] = {f["path"]: base64.b64decode(f["content"]) for f in files}
        url = f"{address}/{repo}/commit/{commit}"
        return self.answer({"commitUrl": url, "commitOid": commit})


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server, with its repositories; ``restart`` gives it a new client."""

    def restart(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        # It reads its variables when it is imported.
        for name in [n for n in sys.modules if n.partition(".")[0] == "huggingface_hub"]:
            monkeypatch.delitem(sys.modules, name)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as httpd:
        httpd.repos, httpd.served, httpd.restart = {}, [], restart
        address = f"http://127.0.0.1:{httpd.server_port}"
        restart(HF_ENDPOINT=address, HF_HOME=str(tmp_path), HF_TOKEN=ANN.split()[1])
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


def test_what_was_pushed_is_loaded_by_branch_or_commit_and_offline(hub, small, recommended, rows):
    first = push_to_hub(small, "ann/small", card=CARD, private=True)
    second = push_to_hub(recommended, "ann/small", card=CARD, facts={"terms": "mine"})
    assert list(hub.repos["ann/small"]) == [first, second]
    text = hub.repos["ann/small"][first]["README.md"].decode()
    header = yaml.safe_load(text.split("---")[1])
    assert header["library_name"] == "sklearn-memorability"
    assert (header["license"], header["pipeline_tag"]) == ("cc-by-4.0", "tabular-regression")
    assert 'load("hf://ann/small")' in text
    for revision, model in ((None, recommended), (first, small)) * 2:
        loaded = load("hf://ann/small", revision=revision, device="cpu")
        np.testing.assert_array_equal(loaded.predict(rows[0]), model.predict(rows[0]))
        if revision:
            hub.restart(HF_HUB_OFFLINE="1")  # for the second time
    assert set(hub.served) == {"model.skops"}
    assert read_facts("hf://ann/small")["terms"] == "mine"
    with pytest.raises(FileNotFoundError, match="'hf://ann/small', revision 'v2'"):
        load("hf://ann/small", revision="v2")


def test_weights_of_its_network_come_with_it(hub, squeezenet_weights):
    images = load_sample_images().images
    features = ImageFeatures("squeezenet1_1", weights=squeezenet_weights, device="cpu")
    model = mlp_regressor(features, n_classes=2, max_epochs=1, device="cpu")
    model.fit(images, [0.6, 0.8])
    push_to_hub(model, "ann/images", card=CARD, weights=[squeezenet_weights])
    load("hf://ann/images", weights=squeezenet_weights)
    assert squeezenet_weights.name not in hub.served
    loaded = load("hf://ann/images")
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))
    assert squeezenet_weights.name in hub.served


def test_what_is_no_model_of_ours_is_refused(hub, small, monkeypatch):
    commit = push_to_hub(small, "ann/small", card=CARD)
    sound, evil = hub.repos["ann/small"][commit]["model.skops"], skops.io.dumps({"run": print})
    for name, files in {
        "evil": {"model.skops": evil},
        "cut": {"model.skops": sound[:-50]},
        "pickle": {"model.pkl": b""},
    }.items():
        hub.repos[f"eve/{name}"] = {name[0] * 40: files}
    for path, error, message in (
        ("hf://eve/evil", ValueError, r"model\.skops' can't be read as a model"),
        ("hf://eve/cut", ValueError, r"model\.skops' can't be read as a model"),
        ("hf://eve/pickle", FileNotFoundError, "'hf://eve/pickle'.*404"),
        ("hf://eve/none", FileNotFoundError, "'hf://eve/none'.*401"),
        ("hf://a/b/c", ValueError, "a/b/c"),
    ):
        with pytest.raises(error, match=message):
            load(path)
    with pytest.raises(ValueError, match="revision='v1'"):
        load("vitmem", revision="v1")
    monkeypatch.setenv("HF_TOKEN", "hf_eve")
    with pytest.raises(OSError, match="401"):
        push_to_hub(small, "ann/new", card=CARD)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"sklearn-memorability\[hub\]"):
        load("hf://ann/small")
