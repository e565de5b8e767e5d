"""Fitted models in files to share: without pickle, for the Hub, as ONNX; and ready ones."""

from sklearn_memorability.persistence._card import ModelCard
from sklearn_memorability.persistence._hub import push_to_hub
from sklearn_memorability.persistence._model import load, read_facts, save
from sklearn_memorability.persistence._onnx import export_onnx, onnx_input

__all__ = [
    "ModelCard",
    "export_onnx",
    "load",
    "onnx_input",
    "push_to_hub",
    "read_facts",
    "save",
]
