"""Loss and score by epoch of fitted networks."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_memorability.inspection._displays import BLUE, COLOURS, ORANGE, axes_for, pyplot
from sklearn_memorability.inspection._unwrap import fitted_steps

# More epochs than this are a curve without marks.
_MOST_MARKED = 30
_NAME_WIDTH = 34
_LOSSES = {
    "train_loss": ("training loss", "-", BLUE),
    "valid_loss": ("validation loss", ":", BLUE),
}
_BEST: dict[str, Any] = {"marker": "o", "ms": 10, "mfc": "none", "mew": 1.8, "linestyle": ""}


class TrainingCurveDisplay:
    """Loss and validation score of a network's training, epoch by epoch.

    Use :meth:`from_estimator`. All parameters are stored as attributes.

    Parameters
    ----------
    histories : mapping of str to sequence of mappings
        From a model's name to its ``history_``: for each epoch, its figures by their
        names: ``"train_loss"`` and, where there are rows held out, ``"valid_loss"`` or a
        score such as ``"valid_spearman"``, of which larger is better.
    score : str, optional
        Which figure is the score. By default, the one whose name begins with
        ``"valid_"`` and is no loss, if there is one.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the losses are.
    score_ax_ : matplotlib Axes or None
        Where the validation score is, with its own scale at the right.
    figure_ : matplotlib Figure or SubFigure
        The figure of both.
    best_epochs_ : dict of str to int
        For each model with a score, the epoch, from 1, in which it was highest: the one
        whose weights ``early_stopping`` has restored.
    lines_ : list of matplotlib Line2D
        The curves.

    Examples
    --------
    >>> from sklearn_memorability.inspection import TrainingCurveDisplay
    >>> epochs = [{"train_loss": 1.4, "valid_spearman": 0.2},
    ...           {"train_loss": 1.2, "valid_spearman": 0.4},
    ...           {"train_loss": 1.1, "valid_spearman": 0.3}]
    >>> TrainingCurveDisplay({"mine": epochs}).plot().best_epochs_
    {'mine': 2}
    """

    def __init__(
        self, histories: Mapping[str, Sequence[Mapping[str, Any]]], *, score: str | None = None
    ) -> None:
        self.histories = histories
        self.score = score

    def plot(self, ax: Any = None) -> "TrainingCurveDisplay":
        """Draw the curves; nothing is shown on a screen.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            What to draw in. By default, a new figure of pyplot's.

        Returns
        -------
        TrainingCurveDisplay
            Itself, with the attributes that end in an underscore.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        ValueError
            If there is no epoch to draw, or no epoch has a figure of the name ``score``.
        """
        histories = {name: [dict(epoch) for epoch in h] for name, h in self.histories.items()}
        empty = [name for name, history in histories.items() if not history]
        if not histories or empty:
            of = f" of {empty[0]!r}" if empty else ""
            raise ValueError(f"histories has no epoch to draw{of}.")
        score = self.score or _score_of(histories)
        known = {figure: None for h in histories.values() for epoch in h for figure in epoch}
        if score is not None and score not in known:
            raise ValueError(f"score={score!r} is in no epoch; there are {list(known)}.")
        self.ax_, self.figure_ = axes_for("TrainingCurveDisplay.plot", ax, (6.4, 4.4))
        ax = self.ax_
        self.lines_: list[Any] = []
        self.best_epochs_: dict[str, int] = {}
        self.score_ax_: Any = None if score is None else ax.twinx()
        n_epochs, several = max(map(len, histories.values())), len(histories) > 1
        # One epoch is a point, which a line would not show.
        marker = "." if n_epochs <= _MOST_MARKED else ""
        kinds = {key: (ax, *look) for key, look in _LOSSES.items()}
        if score is not None:
            text = f"validation {_plain(score)}"
            kinds[score] = (self.score_ax_, text, "--", ORANGE)
            kinds[score][0].set_ylabel(f"{text} (dashed)" if several else text)
        handles = []
        for i, (name, history) in enumerate(histories.items()):
            lines = []
            for key, (axes, text, style, colour) in kinds.items():
                values = np.array([epoch.get(key, np.nan) for epoch in history], dtype=float)
                if np.isnan(values).all():
                    continue
                # Of one model, colours tell kinds of curves; of several, the models.
                look = {"color": COLOURS[i % len(COLOURS)] if several else colour}
                at = np.arange(1, len(values) + 1)
                lines += axes.plot(at, values, label=text, marker=marker, linestyle=style, **look)
                if key == score:
                    best = int(np.nanargmax(values))
                    self.best_epochs_[name] = best + 1
                    label = f"best epoch ({best + 1})"
                    lines += axes.plot(best + 1, values[best], label=label, **look, **_BEST)
            self.lines_ += [line for line in lines if line.get_linestyle() != "None"]
            if several and i < len(COLOURS):
                lines[0].set_label(textwrap.shorten(name, _NAME_WIDTH, placeholder=" …"))
            handles += lines[:1] if several else lines
        ax.set(xlabel="epoch", ylabel="loss")
        ax.set_xlim(0.5, n_epochs + 0.5)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        if len(histories) <= len(COLOURS):
            legend = ax.legend(
                handles=handles,
                loc="lower left",
                bbox_to_anchor=(0, 1),
                ncols=2,
                frameon=False,
                fontsize=9,
            )
            for label in legend.get_texts():
                label.set_parse_math(False)
        return self

    @classmethod
    def from_estimator(
        cls, model: Any, *, score: str | None = None, **plot_options: Any
    ) -> "TrainingCurveDisplay":
        """Draw the training of a fitted model, or of several.

        Parameters
        ----------
        model : estimator, sequence of estimators, or mapping of str to estimator
            A fitted
            :class:`~sklearn_memorability.regression.BalancedQuantileClassifierRegressor`,
            or another estimator with a ``history_``, or a Pipeline, search
            (``best_estimator_``) or frozen estimator around it. Several are drawn
            together, such as those of the folds that scikit-learn's ``cross_validate``
            returns with ``return_estimator=True``.
        score : str, optional
            Which figure is the score; see :class:`TrainingCurveDisplay`.
        **plot_options
            Passed to :meth:`plot`: ``ax``.

        Returns
        -------
        TrainingCurveDisplay
            What was drawn.

        Raises
        ------
        TypeError
            If a model holds no estimator with a history.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        ImportError, ValueError
            As :meth:`plot`.

        Notes
        -----
        The training loss is measured during an epoch, with dropout; a model of several
        members has the mean of theirs.

        Examples
        --------
        >>> from sklearn_memorability.datasets import load_things_concepts
        >>> from sklearn_memorability.inspection import TrainingCurveDisplay
        >>> from sklearn_memorability.pipelines import mlp_regressor
        >>> X, y = load_things_concepts(return_X_y=True)
        >>> model = mlp_regressor(early_stopping=True, max_epochs=3, random_state=0).fit(X, y)
        >>> display = TrainingCurveDisplay.from_estimator(model)
        >>> display.score_ax_.get_ylabel()
        'validation Spearman'
        """
        pyplot("TrainingCurveDisplay.from_estimator")
        if isinstance(model, Mapping):
            models = {str(name): each for name, each in model.items()}
        elif isinstance(model, list | tuple | np.ndarray):
            models = {str(i): each for i, each in enumerate(model, 1)}
        else:
            models = {type(model).__name__: model}
        histories = {name: _history(each) for name, each in models.items()}
        return cls(histories, score=score).plot(**plot_options)


def _history(model: Any) -> Any:
    steps = [step for step in fitted_steps(model) if hasattr(step, "history_")]
    if not steps:
        raise TypeError(
            f"{type(model).__name__} holds no estimator with a history_; expected a "
            "BalancedQuantileClassifierRegressor, or a Pipeline or search around one."
        )
    return steps[-1].history_


def _score_of(histories: dict[str, list[dict[str, Any]]]) -> str | None:
    names = [name for history in histories.values() for epoch in history for name in epoch]
    scores = [n for n in names if n.startswith("valid_") and not n.endswith(("loss", "best"))]
    return scores[0] if scores else None


def _plain(score: str) -> str:
    return score.removeprefix("valid_").replace("_", " ").replace("spearman", "Spearman")
