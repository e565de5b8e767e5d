"""A folder for the Hugging Face Hub: a model, its card and its configuration."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sklearn_memorability._utils._files import write_whole
from sklearn_memorability.persistence._contents import hash_of_file

# The file in a folder for the Hub.
MODEL_FILE = "model.skops"

_LIBRARY = "sklearn-memorability"
_TASK = "tabular-regression"
_TAGS = ("image-memorability", "scikit-learn", "skops")
# Facts of ready models, and of others saved with ``facts``, that readers of a card must know.
_ORIGIN = {
    "terms": "Terms",
    "trained_on": "Trained on",
    "scale": "Scale of the score",
    "citation": "Published in",
}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What readers should know about a shared model.

    Parameters
    ----------
    title : str
        The model's name.
    description : str, default=""
        What it predicts, from what, and how it was trained.
    license : str, default="unknown"
        Its licence, as the Hub lists them, such as ``"cc-by-4.0"``. The licences of the images
        and of the pretrained network that it was made with may bind you.
    data : str, optional
        The data set that it was trained on.
    metrics : mapping of str to float, optional
        Its results by name, such as ``{"spearman": 0.66}``.
    measured_on : str, optional
        The rows that the metrics were computed on.
    limits : str, default=""
        What it should not be used for, and where it is known to fail.
    tags : sequence of str, default=()
        Tags beside ``image-memorability``, ``scikit-learn`` and ``skops``.

    Raises
    ------
    ValueError
        If the title is empty or a metric is not a number.
    TypeError
        If ``tags`` is a single string.

    Examples
    --------
    >>> from sklearn_memorability.persistence import ModelCard
    >>> card = ModelCard(title="THINGS concepts", license="cc-by-4.0", metrics={"spearman": 0.6})
    >>> card.metrics["spearman"]
    0.6
    """

    title: str
    description: str = ""
    license: str = "unknown"
    data: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    measured_on: str | None = None
    limits: str = ""
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.title, str) or not self.title.strip():
            raise ValueError(f"title={self.title!r} must be the model's name.")
        if isinstance(self.tags, str):
            raise TypeError(f"tags={self.tags!r} must be a list of strings.")
        for name, value in self.metrics.items():
            if isinstance(value, str | bool) or not hasattr(value, "__float__"):
                raise ValueError(f"metrics[{name!r}]={value!r} must be a number.")

    def render(self, facts: Mapping[str, Any]) -> str:
        """Return the card as Markdown with a YAML header.

        Parameters
        ----------
        facts : mapping
            What :func:`read_facts` returns for the model.

        Returns
        -------
        str
            The text.
        """
        # JSON is YAML, and leaves nothing in a title or a tag to be read as its syntax.
        header = [f"{key}: {json.dumps(value)}" for key, value in self._header().items()]
        return "\n".join(["---", *header, "---", "", *self._body(facts), ""])

    def _header(self) -> dict[str, Any]:
        header: dict[str, Any] = {
            "library_name": _LIBRARY,
            "license": self.license,
            "pipeline_tag": _TASK,
            "tags": list(dict.fromkeys([*_TAGS, *self.tags])),
        }
        if self.metrics:
            data = self.data or "unknown"
            result = {
                "task": {"type": _TASK, "name": "Image memorability"},
                "dataset": {"type": data, "name": self.measured_on or data},
                "metrics": [
                    {"type": name, "name": name, "value": float(value)}
                    for name, value in self.metrics.items()
                ],
            }
            header["metrics"] = list(self.metrics)
            header["model-index"] = [{"name": self.title, "results": [result]}]
        return header

    def _body(self, facts: Mapping[str, Any]) -> list[str]:
        lines = [f"# {self.title}", ""]
        if self.description:
            lines += [self.description, ""]
        lines += ["## Use", "", *_use(facts), ""]
        if self.metrics:
            where = f" on {self.measured_on}" if self.measured_on else ""
            lines += [f"## Results{where}", "", "| metric | value |", "|---|---|"]
            lines += [f"| {name} | {float(v):.3g} |" for name, v in self.metrics.items()]
            lines += [""]
        lines += ["## Training", ""]
        if self.data:
            lines += [f"Data: {self.data}.", ""]
        if facts["n_samples"]:
            lines += [f"Rows: {facts['n_samples']}.", ""]
        versions = ", ".join(f"{name} {v}" for name, v in facts["versions"].items())
        lines += [f"Saved {facts['saved']} with {versions}."]
        origin = [f"- {text}: {facts[key]}" for key, text in _ORIGIN.items() if facts.get(key)]
        if origin:
            lines += ["", "## Origin", "", *origin]
        if facts.get("measured"):
            lines += ["", "| set | Spearman |", "|---|---|"]
            lines += [f"| {name} | {value:.3g} |" for name, value in facts["measured"].items()]
        if self.limits:
            lines += ["", "## Limits", "", self.limits]
        return lines


def _use(facts: Mapping[str, Any]) -> list[str]:
    n_features = facts["n_features"]
    takes = "images" if n_features is None else f"features, an array of {n_features} columns"
    # Where it was uploaded to.
    hub = facts.get("hub")
    extra, place = ("hub", "") if hub else ("share", ", in the folder with these files")
    lines = [
        f'`pip install "{_LIBRARY}[{extra}]"`, then{place}:',
        "",
        "```python",
        "from sklearn_memorability.persistence import load",
        "",
        f'model = load("{hub or MODEL_FILE}")',
        "scores = model.predict(X)",
        "```",
        "",
        f"`X` is {takes}. The file holds no pickle, and loading it runs no code.",
    ]
    if facts["image_networks"]:
        names = sorted({f"`{network['backbone']}`" for network in facts["image_networks"]})
        lines += ["", f"Image network, not in the file: {', '.join(names)}."]
    if facts["weights_files"]:
        names = [f"`{name}`" for name in facts["weights_files"]]
        lines += ["", f"Weights that must lie beside it: {', '.join(names)}."]
    return lines


def write_beside(
    folder: Path, card: ModelCard, facts: dict[str, Any], weights: Sequence[str | os.PathLike[str]]
) -> None:
    """Write what goes with a model in a folder: files of weights, the card, its configuration."""
    needed = facts["weights_files"]
    for path in map(Path, weights):
        if needed.get(path.name) != hash_of_file(path):
            raise ValueError(
                f"weights has {str(path)!r}, which the model does not need; it needs {needed}."
            )
        if path.resolve() != (folder / path.name).resolve():
            shutil.copyfile(path, folder / path.name)
    write_whole(folder / "README.md", card.render(facts))
    write_whole(folder / "config.json", json.dumps(_config(facts), indent=2) + "\n")


def _config(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration in the layout that the Hub knows for scikit-learn's models."""
    return {
        "sklearn": {
            "environment": [f"{n}={v}" for n, v in facts["versions"].items() if n != "python"],
            "model": {"file": MODEL_FILE},
            "model_format": "skops",
            "task": _TASK,
            "use_intelex": False,
        },
        _LIBRARY: facts,
    }
