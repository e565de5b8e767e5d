"""What is here, and what works without a network."""

import json
from importlib.metadata import version


def test_versions_extras_folders_and_models_are_told(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "vitmem_base_patch16_224_miil_v1-f580d24a.pth").write_bytes(b"0" * 3_000_000)
    found = json.loads(run("doctor", "--json").out)
    facts = {row["what"]: row["value"] for row in found["machine"]}
    assert facts["sklearn-memorability"] == version("sklearn-memorability")
    packages = {row["name"]: row["version"] for row in found["packages"]}
    assert packages["torch"] == version("torch")
    assert "pytest" not in packages
    extras = {row["extra"]: row["missing"] for row in found["extras"]}
    assert extras["embedded"] == extras["cli"] == ""
    assert found["folders"][0] == {"what": "weights", "size": "3 MB", "folder": str(folder)}
    offline = {row["name"]: row["offline"] for row in found["ready_models"]}
    assert (offline["embedded"], offline["vitmem"], offline["memcoach"]) == ("yes", "yes", "no")
    done = run("doctor")
    assert (done.code, done.err) == (0, "")
    assert str(folder) in "".join(line.strip() for line in done.out.splitlines())
