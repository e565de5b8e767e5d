"""A CLIP model small enough to be made in a test."""

import json

import open_clip
import pytest
import torch


@pytest.fixture
def tiny_clip(tmp_path):
    """The model "tiny-clip" of open_clip, and the file of its weights."""
    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8}
    path = tmp_path / "tiny-clip.json"
    path.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = open_clip.create_model("tiny-clip").eval()
    torch.save(network.state_dict(), tmp_path / "tiny.pt")
    yield network, tmp_path / "tiny.pt"
    open_clip.factory._MODEL_CONFIGS.pop("tiny-clip", None)
