"""What a model's page says of it: a card with a header that the Hub reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LIBRARY = "sklearn-memorability"
TASK = "tabular-regression"
_TAGS = ("image-memorability", "scikit-learn", "skops")


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is to be known of a model that is shared.

    Parameters
    ----------
    title : str
        Its name.
    description : str
        What it predicts, from what, and how it was trained.
    license : str
        Its licence, as the Hub lists them, such as ``"cc-by-4.0"``; ``"unknown"`` where
        none was chosen. The pictures and the pretrained networks that it was made with may
        bind you.
    data : str, optional
        The data set that it was trained on.
    metrics : mapping of str to float, optional
        What it reached, by name, such as ``{"spearman": 0.66}``.
    measured_on : str, optional
        What rows the metrics were computed on.
    limits : str, optional
        What it should not be used for, and where it is known to fail.
    tags : sequence of str, optional
        Tags beside ``image-memorability``, ``scikit-learn`` and ``skops``.

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
            What :func:`read_facts` returns of the model.

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
            "library_name": LIBRARY,
            "license": self.license,
            "pipeline_tag": TASK,
            "tags": list(dict.fromkeys([*_TAGS, *self.tags])),
        }
        if self.metrics:
            header["metrics"] = list(self.metrics)
            data = self.data or "not said"
            header["model-index"] = [
                {
                    "name": self.title,
                    "results": [
                        {
                            "task": {"type": TASK, "name": "Image memorability"},
                            "dataset": {"type": data, "name": self.measured_on or data},
                            "metrics": [
                                {"type": name, "name": name, "value": float(value)}
                                for name, value in self.metrics.items()
                            ],
                        }
                    ],
                }
            ]
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
        if self.limits:
            lines += ["", "## Limits", "", self.limits]
        return lines


def _use(facts: Mapping[str, Any]) -> list[str]:
    n_features = facts["n_features"]
    takes = "pictures" if n_features is None else f"features, an array of {n_features} columns"
    lines = [
        f'`pip install "{LIBRARY}[share]"`, then, in the folder with these files:',
        "",
        "```python",
        "from sklearn_memorability.persistence import load",
        "",
        'model = load("model.skops")',
        "scores = model.predict(X)",
        "```",
        "",
        f"`X` is {takes}. The file holds no pickle, and loading it runs no code.",
    ]
    if facts["image_networks"]:
        names = ", ".join(sorted({f"`{known['backbone']}`" for known in facts["image_networks"]}))
        lines += ["", f"Image network, not in the file: {names}."]
    if facts["weights_files"]:
        names = ", ".join(f"`{name}`" for name in facts["weights_files"])
        lines += ["", f"Weights that must lie beside it: {names}."]
    return lines
